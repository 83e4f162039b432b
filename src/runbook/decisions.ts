import { hashes, verify } from '@noble/ed25519';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { failure } from '../errors.ts';
import {
  delegateOf,
  givenTo,
  type Action,
  type Person,
  type Policy,
  type Proposal,
  type SignedDecision,
  type Status,
} from '../contracts/index.ts';

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

/** What decisions are measured by. */
type Rules = Pick<Policy, 'approval'> & { people: Pick<Person, 'name' | 'roles' | 'delegates'>[] };
type Roles = Person['roles'];
type Asking = Pick<Proposal, 'risk' | 'notBy' | 'action'>;

/** How many people must approve it; one is enough to look at what another has approved alone. */
export const neededFor = ({ risk, action }: Pick<Proposal, 'risk' | 'action'>, { approval }: Rules): number =>
  action.kind === 'confirm-break-glass' ? 1 : approval[risk].quorum;

/** Why this person decides nothing at a moment, or lacks every one of these roles; those of `except` give it none of theirs. */
function lacks(
  person: string,
  { people }: Rules,
  of: { roles: Roles; risk: Proposal['risk']; now: number; except?: readonly string[] | undefined },
): string | undefined {
  const { roles, risk, now, except = [] } = of;
  const known = people.find((one) => one.name === person);
  if (known === undefined) return `"${person}" is not a person of the configuration`;
  if (except.includes(person)) return `${person} asked for it: somebody else must decide`;
  const instead = delegateOf(known, now);
  if (instead !== undefined) return `${instead.to} decides instead of ${person} until ${instead.until}`;
  const given = givenTo(person, people, now).filter(({ name }) => !except.includes(name));
  return [known, ...given].some((one) => one.roles.some((role) => roles.includes(role)))
    ? undefined
    : `${person} lacks the role ${roles.join(' or ')} for ${risk} risk`;
}

/** May this person approve this at a moment (milliseconds since the epoch)? Says why not, else undefined. */
export function whyNot(person: string, { risk, notBy, action }: Asking, rules: Rules, now: number): string | undefined {
  if (action.kind === 'confirm-break-glass' && action.by === person)
    return `${person} approved it alone: a second person must look at it`;
  return lacks(person, rules, { roles: rules.approval[risk].roles, risk, now, except: notBy });
}

/** May this person approve this alone, where `others` have approved it so far? Says why not, else undefined. */
export function whyNotAlone(
  person: string,
  proposal: Asking,
  rules: Rules,
  { others, now }: { others: number; now: number },
): string | undefined {
  const { risk, action } = proposal;
  const { breakGlass } = rules.approval[risk];
  if (action.kind === 'confirm-break-glass') return 'this asks for a second person: nobody is that alone';
  if (breakGlass === undefined)
    return `nobody may approve ${risk} risk of ${action.service} in ${action.environment} alone: set breakGlass in approval.${risk} of the configuration, or of that environment where it has a rule of its own`;
  const why = lacks(person, rules, { roles: breakGlass.roles, risk, now });
  if (why !== undefined) return `no break-glass: ${why}`;
  return others + 1 >= neededFor(proposal, rules) && whyNot(person, proposal, rules, now) === undefined
    ? `the approval of ${person} is enough: approve it without break-glass`
    : undefined;
}

/** Why this way of deciding cannot be chosen, else undefined; `chosen` is what those who approved before have. */
export function whichNot(
  {
    verdict,
    option,
    reason,
  }: Pick<SignedDecision, 'verdict'> & { option?: string | undefined; reason?: string | undefined },
  { options, action }: Proposal,
  chosen?: string,
): string | undefined {
  if (verdict === 'approved' && chosen !== undefined && (option ?? options?.[0]) !== chosen)
    return `"${chosen}" is approved already: approve that too, or reject`;
  const isGiven = Boolean(reason?.trim());
  if (option !== undefined && options?.includes(option) !== true)
    return `there is no option "${option}"${options === undefined ? '' : `; there are: ${options.join(', ')}`}`;
  if (option === 'skip' && !isGiven) return 'to leave a step out needs a reason';
  return action.kind === 'confirm-break-glass' && verdict === 'declined' && !isGiven
    ? 'to object needs a note: say in the reason what is wrong'
    : undefined;
}

/** Why a decision is no break-glass, else undefined. */
const notAlone = ({ verdict, via, reason }: SignedDecision): string | undefined => {
  if (verdict !== 'approved') return 'break-glass is there to approve: reject it without';
  if (via === 'slack') return 'break-glass is not for Slack: use the console or the command line';
  return reason?.trim() ? undefined : 'break-glass needs a reason: say why nobody else can be waited for';
};

/** What whoever comes too late is told. */
export const wonBy = ({ verdict, by, via }: Omit<NonNullable<Status['decision']>, 'at'>): string =>
  `it was ${verdict} already by ${by.join(', ')} via ${via}`;

/**
 * Check a signed decision against the open proposal; synchronous, as an update validator must be.
 * @throws NotAllowed that says what is wrong.
 */
export function assertMayDecide(
  decision: SignedDecision,
  open: {
    proposal: Proposal;
    workflowId: string;
    runId: string;
    now: number;
    approvedBy: string[];
    /** Which way those have approved. */
    chosen?: string | undefined;
  },
  policy: Policy,
): void {
  const refuse = (why: string): never => {
    throw failure('NotAllowed', why);
  };
  if (decision.workflowId !== open.workflowId || decision.runId !== open.runId)
    refuse('the decision is for another run');
  if (decision.digest !== open.proposal.digest) refuse('another proposal is open now: read it and decide again');
  if (Date.parse(decision.expiresAt) <= open.now) refuse('the decision has expired: decide again');
  const key = policy.decisionKeys[decision.keyId];
  if (key === undefined) return refuse(`no key "${decision.keyId}" is known here`);
  if (!isSigned(decision, key)) refuse('the signature is wrong');
  const { person, breakGlass } = decision;
  const { proposal, now, approvedBy, chosen } = open;
  const others = approvedBy.filter((one) => one !== person).length;
  const may = breakGlass
    ? (notAlone(decision) ?? whyNotAlone(person, proposal, policy, { others, now }))
    : whyNot(person, proposal, policy, now);
  const why = may ?? whichNot(decision, proposal, chosen);
  if (why !== undefined) refuse(why);
  if (!breakGlass && approvedBy.includes(person)) refuse(`${person} has decided already`);
}

function isSigned(decision: SignedDecision, publicKey: string): boolean {
  try {
    return verify(hexToBytes(decision.signature), signedBytes(decision), hexToBytes(publicKey));
  } catch {
    return false; // not hex, or of a wrong length
  }
}
