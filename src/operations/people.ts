import { randomUUID } from 'node:crypto';
import type { Ballot, SignedDecision } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { wonBy } from '../runbook/decisions.ts';
import { signDecision, type Chosen } from '../sign.ts';
import { say as sayTo } from './say.ts';
import { asked, DECIDE_MS, statusOf, type Access, type RunRef } from './temporal.ts';

/** What a person may say to a run besides a decision, by the signal that says it. */
export const MESSAGES = {
  acknowledge: 'I am looking at it',
  note: 'Add a note',
  pause: 'Pause',
  resume: 'Resume',
  takeOver: 'Take over',
  stop: 'Stop',
} as const;
export type Message = keyof typeof MESSAGES;

/**
 * Decide as a person on the proposal with this digest, which the person has seen. With the `updateId` of an earlier decision it
 * is that one, and has its answer.
 * @throws NotAllowed with the reason, where the run refuses: decided already, and by whom; another proposal; not this person.
 */
export async function decide(
  access: Access,
  of: RunRef & Pick<SignedDecision, 'digest' | 'person' | 'verdict' | 'via'> & Chosen & { updateId?: string },
): Promise<Ballot> {
  const { workflowId, digest, updateId = randomUUID(), ...decision } = of; // asked again, it is the same one
  const { runId } = await statusOf(access, of, DECIDE_MS);
  const { client, config } = access;
  const signed = signDecision(config, { workflowId, runId, digest }, decision);
  return await asked(
    client,
    () =>
      client.workflow
        .getHandle(workflowId, runId)
        .executeUpdate<Ballot, [SignedDecision]>('decide', { args: [signed], updateId }),
    DECIDE_MS,
  ).catch(async (error: unknown) => {
    const closed = await statusOf(access, { workflowId, runId }).catch(() => undefined);
    if (closed?.phase !== 'closed') throw error;
    const { proposal, decision: made, doing } = closed;
    throw failure(
      'NotAllowed',
      made && proposal?.digest === digest ? wonBy(made) : `it asks for no decision: ${doing}`,
    );
  });
}

/** A decision as the audit trail has it. */
export const entryOf = ({
  digest,
  verdict,
  reason = '',
  breakGlass,
}: Pick<SignedDecision, 'digest' | 'verdict'> & Chosen) => ({
  what: breakGlass ? `${verdict} alone (break-glass)` : verdict,
  detail: `proposal ${digest.slice(0, 8)} ${reason}`.trim(),
});

/** Tell a run something. @throws NotFound when it has ended, Unavailable. */
export async function say(
  { client }: Access,
  of: RunRef & { message: Message; person: string; text?: string | undefined },
): Promise<void> {
  const { workflowId, runId, message, person, text } = of;
  const said = { by: person, ...(text !== undefined && text !== '' && { text }) };
  await asked(client, () => sayTo(client, { workflowId, runId }, message, said));
}
