import { createInterface } from 'node:readline/promises';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { Ballot, Status, type Answer, type Proposal } from '../contracts/index.ts';
import * as operations from '../operations/people.ts';
import { wonBy } from '../runbook/decisions.ts';
import type { Chosen } from '../sign.ts';
import { statusOf, usageError, type Context } from './context.ts';
import { noting } from './noting.ts';
import { callAsPerson } from './remote.ts';

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
  const { id, person, verdict, proposal, ...chosen } = of;
  const status = await statusOf(context, id);
  const { digest } = assertAsked(status).proposal;
  await assertSeen(status, verdict, proposal);
  const ref = { workflowId: id, runId: status.runId };
  const noted = { who: person, on: id, ...operations.entryOf({ digest, verdict, ...chosen }) };
  const ballot = await noting(context.config, noted, () =>
    operations.decide(context, { ...ref, digest, person, verdict, via: 'cli', ...chosen }),
  );
  return { status, ballot };
}

/** @throws usage error (5) where nothing is asked. */
function assertAsked(status: Status): Status & { proposal: Proposal } {
  const { workflowId, phase, proposal, decision, doing } = status;
  if (proposal === undefined || phase !== 'waiting')
    throw usageError(`${workflowId} asks for no decision now: ${decision === undefined ? doing : wonBy(decision)}`, 5);
  return { ...status, proposal };
}

/** The same as whoever has signed in, by the API of the gateway. */
export async function decideRemotely(
  config: Config,
  of: { id: string; verdict: Answer; proposal?: string | undefined } & Chosen,
): Promise<{ status: Status; ballot: Ballot }> {
  const { id, verdict, proposal, ...chosen } = of;
  const path = `/runs/${encodeURIComponent(id)}`;
  const status = await callAsPerson(config, Status, 'GET', path);
  const { digest } = assertAsked(status).proposal;
  await assertSeen(status, verdict, proposal);
  const decision = { digest, verdict, ...chosen };
  return { status, ballot: await callAsPerson(config, Ballot, 'POST', `${path}/decision`, decision) };
}

/** Tell a run something as whoever has signed in. */
export const sayRemotely = (config: Config, id: string, message: string, text = ''): Promise<unknown> =>
  callAsPerson(config, z.unknown(), 'POST', `/runs/${encodeURIComponent(id)}/${message}`, { text });

async function assertSeen(status: Status, verdict: Answer, proposal: string | undefined): Promise<void> {
  if (proposal === undefined) await confirm(status, verdict);
  else if (proposal.length < SHOWN || !status.proposal?.digest.startsWith(proposal)) {
    const before = status.decision === undefined ? '' : `; of the last one: ${wonBy(status.decision)}`;
    throw usageError(`another proposal is open now: ${describe(status)}${before}`, 5);
  }
}

const describe = ({ proposal }: Status): string =>
  `${proposal?.summary} (--proposal ${shortDigest(proposal?.digest ?? '')})`;

/** On standard error: standard output is for the answer, which may be for a program. */
async function confirm(status: Status, verdict: Answer): Promise<void> {
  if (!process.stdin.isTTY) throw usageError(`say which proposal this is about; open is: ${describe(status)}`);
  const { summary, why = [], undo, options } = status.proposal ?? {};
  const ways =
    options === undefined ? [] : [`  Options: ${options.join(', ')} (the first, unless --option names another)`];
  console.error([summary, ...why.map((line) => `  ${line}`), `  Undo: ${undo}`, ...ways].join('\n'));
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${verdict === 'approved' ? 'Approve' : 'Reject'} it? (yes/no) `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw usageError('nothing was decided', 1);
}
