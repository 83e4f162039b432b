import { createPrivateKey, sign } from 'node:crypto';
import type { Config } from './config.ts';
import type { Answer, SignedDecision } from './contracts/index.ts';
import { failure } from './errors.ts';
import { signedBytes } from './runbook/decisions.ts';

const VALID_MS = 5 * 60 * 1000;

/** Which of the ways that a proposal offers, and why. */
export interface Chosen {
  option?: string | undefined;
  reason?: string | undefined;
  /** Approve alone what the rule asks more people for. */
  breakGlass?: true | undefined;
}

/**
 * Sign a person's decision on a proposal of a run with the key of the environment; it is valid for five minutes.
 * @throws NotConfigured without a key.
 */
export function signDecision(
  { env }: Pick<Config, 'env'>,
  on: Pick<SignedDecision, 'workflowId' | 'runId' | 'digest'>,
  of: { person: string; verdict: Answer; via?: SignedDecision['via'] } & Chosen,
): SignedDecision {
  const { person, verdict, via = 'cli', option, reason, breakGlass } = of;
  const key = env['HOLDFAST_DECISION_PRIVATE_KEY'];
  const keyId = env['HOLDFAST_DECISION_KEY_ID'];
  if (key === undefined || keyId === undefined)
    throw failure(
      'NotConfigured',
      'there is no key to sign with: set HOLDFAST_DECISION_PRIVATE_KEY and HOLDFAST_DECISION_KEY_ID, or approve in the Temporal UI with your code',
    );
  const decision = {
    ...on,
    verdict,
    person,
    via,
    expiresAt: new Date(Date.now() + VALID_MS).toISOString(),
    keyId,
    ...(option !== undefined && { option }),
    ...(reason !== undefined && { reason }),
    ...(breakGlass !== undefined && { breakGlass }),
  };
  const privateKey = createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' });
  return { ...decision, signature: sign(null, signedBytes(decision), privateKey).toString('hex') };
}
