import { createPrivateKey, sign } from 'node:crypto';
import type { Config } from '../config.ts';
import type { Answer, SignedDecision, Status } from '../contracts/index.ts';
import { signedBytes } from '../runbook/decisions.ts';
import { usageError } from './context.ts';

const VALID_MS = 5 * 60 * 1000;

/** Which of the ways that a proposal offers, and why. */
export interface Chosen {
  option?: string | undefined;
  reason?: string | undefined;
}

/** Sign a person's decision on the open proposal with the key of the environment; it is valid for five minutes. */
export function signDecision(
  { env }: Config,
  status: Status,
  { person, verdict, option, reason }: { person: string; verdict: Answer } & Chosen,
): SignedDecision {
  const key = env['HOLDFAST_DECISION_PRIVATE_KEY'];
  const keyId = env['HOLDFAST_DECISION_KEY_ID'];
  if (key === undefined || keyId === undefined)
    throw usageError(
      'there is no key to sign with: set HOLDFAST_DECISION_PRIVATE_KEY and HOLDFAST_DECISION_KEY_ID, or approve in the Temporal UI with your code',
      5,
    );
  if (status.proposal === undefined || status.phase !== 'waiting')
    throw usageError(`${status.workflowId} asks for no decision now: ${status.doing}`, 5);
  const decision = {
    workflowId: status.workflowId,
    runId: status.runId,
    digest: status.proposal.digest,
    verdict,
    person,
    via: 'cli' as const,
    expiresAt: new Date(Date.now() + VALID_MS).toISOString(),
    keyId,
    ...(option !== undefined && { option }),
    ...(reason !== undefined && { reason }),
  };
  const privateKey = createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' });
  return { ...decision, signature: sign(null, signedBytes(decision), privateKey).toString('hex') };
}
