import { createInterface } from 'node:readline/promises';
import type { Answer, Ballot, Status } from '../contracts/index.ts';
import { answered, statusOf, usageError, type Context } from './context.ts';
import { signDecision, type Chosen } from './sign.ts';

const SHOWN = 8;

/** What names a proposal on the command line: the beginning of its digest. */
export const shortDigest = (digest: string): string => digest.slice(0, SHOWN);

/**
 * Decide as a person on the proposal that the person has seen: the one whose digest begins so, or the one shown now and
 * confirmed. @throws usage error: 2 when nobody can confirm, 5 when another proposal is open or the decision is refused.
 */
export async function decide(
  context: Context,
  of: { id: string; person: string; verdict: Answer; proposal?: string | undefined } & Chosen,
): Promise<{ status: Status; ballot: Ballot }> {
  const { id, person, verdict, proposal, option, reason } = of;
  const status = await statusOf(context, id);
  const decision = signDecision(context.config, status, { person, verdict, option, reason });
  if (proposal === undefined) await confirm(status, verdict);
  else if (proposal.length < SHOWN || !decision.digest.startsWith(proposal))
    throw usageError(`another proposal is open now: ${describe(status)}`, 5);
  const ballot = await answered(context.client, () =>
    context.client.workflow
      .getHandle(id, status.runId)
      .executeUpdate<Ballot, [typeof decision]>('decide', { args: [decision] }),
  );
  return { status, ballot };
}

const describe = ({ proposal }: Status): string =>
  `${proposal?.summary} (--proposal ${shortDigest(proposal?.digest ?? '')})`;

async function confirm(status: Status, verdict: Answer): Promise<void> {
  if (!process.stdin.isTTY) throw usageError(`say which proposal this is about; open is: ${describe(status)}`);
  const { summary, why = [], undo, options } = status.proposal ?? {};
  const ways =
    options === undefined ? [] : [`  Options: ${options.join(', ')} (the first, unless --option names another)`];
  console.log([summary, ...why.map((line) => `  ${line}`), `  Undo: ${undo}`, ...ways].join('\n'));
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${verdict === 'approved' ? 'Approve' : 'Reject'} it? (yes/no) `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw usageError('nothing was decided', 1);
}
