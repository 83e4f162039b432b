import { hashes, verify } from '@noble/ed25519';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { failure } from '../errors.ts';
import type { Action, Policy, Proposal, SignedDecision } from '../contracts/index.ts';

hashes.sha512 = sha512;

/** JSON with sorted keys: equal values have equal text. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** SHA-256 (hex) of what a person approves: this action, in this incident, until then. */
export const digestOf = (id: string, action: Action, expiresAt: string): string =>
  bytesToHex(sha256(utf8ToBytes(canonical({ id, action, expiresAt }))));

/** The bytes that a decision's signature is over: every field but the signature. */
export function signedBytes({
  signature: _signature,
  ...decision
}: SignedDecision | (Omit<SignedDecision, 'signature'> & { signature?: string })): Uint8Array {
  return utf8ToBytes(canonical(decision));
}

/** May this person approve an action of this risk? Says why not, else undefined. */
export function whyNot(person: string, proposal: Proposal, policy: Policy): string | undefined {
  const known = policy.people.find((one) => one.name === person);
  if (known === undefined) return `"${person}" is not a person of the configuration`;
  const { roles } = policy.approval[proposal.risk];
  if (!known.roles.some((role) => roles.includes(role)))
    return `${person} lacks the role ${roles.join(' or ')} for ${proposal.risk} risk`;
  if (proposal.notBy?.includes(person)) return `${person} asked for it: somebody else must decide`;
  return undefined;
}

/** Why this way of approving cannot be chosen, else undefined. */
export const whichNot = (
  { option, reason }: { option?: string | undefined; reason?: string | undefined },
  { options }: Proposal,
): string | undefined =>
  option === undefined || options?.includes(option) === true
    ? option === 'skip' && !reason?.trim()
      ? 'to leave a step out needs a reason'
      : undefined
    : `there is no option "${option}"${options === undefined ? '' : `; there are: ${options.join(', ')}`}`;

/**
 * Check a signed decision against the open proposal; synchronous, as an update validator must be.
 * @throws NotAllowed that says what is wrong.
 */
export function assertMayDecide(
  decision: SignedDecision,
  open: { proposal: Proposal; workflowId: string; runId: string; now: number },
  policy: Policy,
): void {
  const refuse = (why: string): never => {
    throw failure('NotAllowed', why);
  };
  if (decision.workflowId !== open.workflowId || decision.runId !== open.runId)
    refuse('the decision is for another run');
  if (decision.digest !== open.proposal.digest)
    refuse('the decision is for another proposal: read the open one and decide again');
  if (Date.parse(decision.expiresAt) <= open.now) refuse('the decision has expired: decide again');
  const key = policy.decisionKeys[decision.keyId];
  if (key === undefined) return refuse(`no key "${decision.keyId}" is known here`);
  if (!isSigned(decision, key)) refuse('the signature is wrong');
  const why = whyNot(decision.person, open.proposal, policy) ?? whichNot(decision, open.proposal);
  if (why !== undefined) refuse(why);
}

function isSigned(decision: SignedDecision, publicKey: string): boolean {
  try {
    return verify(hexToBytes(decision.signature), signedBytes(decision), hexToBytes(publicKey));
  } catch {
    return false; // not hex, or of a wrong length
  }
}
