import type {
  Candidate,
  DeploymentOrder,
  FlagState,
  Ledger,
  LedgerRelease,
  MigrationPlan,
  Policy,
  Release,
  Releases,
} from '../contracts/index.ts';
import type { Judgement } from './run.ts';

type Verified = LedgerRelease & { at: string };

/** What is known of a release before it is deployed. */
export interface Evidence {
  order: DeploymentOrder;
  policy: Policy;
  candidate: Candidate;
  version: string;
  /** How the same content was verified in the environment before. */
  verified: Verified | undefined;
  ledger: Ledger;
  migrations: MigrationPlan | undefined;
  /** Here, and in the environment before; undefined where they cannot be read. */
  flags: { here: FlagState[] | undefined; before: FlagState[] | undefined };
}

/** The same content, as the environment before this one has verified it. */
export const verifiedThere = (before: Ledger | undefined, { digest }: Candidate): Verified | undefined =>
  goodOf(before).find((one) => one.digest === digest);

/** What was verified good and is not held, newest first. */
export const goodOf = (ledger: Ledger | undefined): Verified[] =>
  (ledger?.verified ?? []).filter((one) => heldOf(ledger, one) === undefined);

/** Why this is not to be deployed again: the version, or the same content under another name. */
const heldOf = (ledger: Ledger | undefined, { version, digest }: { version: string; digest?: string }) =>
  ledger?.held?.find((one) => one.version === version || (one.digest !== undefined && one.digest === digest));

/** What the running release is compared with. */
export interface Compared {
  running?: Release | undefined;
  /** The newest that was verified good before it, where the ledger knows one; else the one that ran before it, unless that is held. */
  previous?: Release | undefined;
  /** When what came after that took the traffic. */
  since?: string | undefined;
  /** Versions that ran between the two and were never verified good, newest first. */
  between: string[];
}

export function comparedWith({ running, previous, recent }: Releases, ledger: Ledger | undefined): Compared {
  const good = goodOf(ledger);
  const isGood = ({ version, commit }: Release): boolean =>
    good.some((one) => one.version === version && one.commit === commit) ||
    (version === ledger?.lastVerifiedGood && heldOf(ledger, { version }) === undefined);
  const at = recent.findIndex((one) => one.version !== running?.version && isGood(one));
  const since = recent[at - 1]?.deployedAt ?? running?.deployedAt;
  const between = recent.slice(0, Math.max(0, at)).map(({ version }) => version);
  const others = [...new Set(between)].filter((version) => version !== running?.version);
  const before = previous === undefined || heldOf(ledger, previous) !== undefined ? undefined : previous;
  return { running, previous: recent[at] ?? before, since, between: others };
}

export const judgeVerified = ({ verified = [], lastVerifiedGood }: Ledger): Judgement => {
  const at = verified.find(({ version }) => version === lastVerifiedGood)?.at;
  if (lastVerifiedGood === undefined) return ['ok', 'no release was verified good yet'];
  return ['ok', `${lastVerifiedGood}${at === undefined ? '' : `, verified good at ${at}`}`];
};

/** Rules that this deployment breaks and may not: only an override, to which a second person agrees, lets it. */
export const forbidden = (evidence: Evidence): string[] => {
  const { override, overrides } = evidence.order;
  return override !== undefined && overrides === undefined ? [] : brokenRules(evidence);
};

/** Rules that this deployment breaks. */
const brokenRules = ({ policy, version, candidate, verified, ledger }: Evidence): string[] => {
  const { after } = policy.deployment;
  const held = heldOf(ledger, { version, digest: candidate.digest });
  return [
    ...(after !== undefined && verified === undefined ? [`this content was never verified in ${after}`] : []),
    ...(held === undefined ? [] : [`${held.version} is held: ${held.reason}`]),
  ];
};

/** Migrations that take something of the schema away and are not marked to: never let through. */
export const unmarked = (migrations: MigrationPlan | undefined): string[] =>
  (migrations?.pending ?? [])
    .filter(({ destroys, marked }) => destroys.length > 0 && !marked)
    .map(({ name, destroys }) => `${name} would ${destroys.join(', ')}`);

/** Migrations of two kinds: what the release needs, and what takes away that the release before may need. */
export function stagesOf(migrations: MigrationPlan | undefined) {
  const pending = migrations?.pending ?? [];
  const first = pending.findIndex(({ marked, destroys }) => marked || destroys.length > 0);
  const at = first < 0 ? pending.length : first;
  return { expand: pending.slice(0, at), contract: pending.slice(at) };
}

/** How the flags here differ from those under which it was verified. */
function flagsTold({ policy, flags }: Evidence): string {
  const { after = 'the environment before' } = policy.deployment;
  if (flags.here === undefined) return 'flags: cannot be read here';
  const shown = (all: FlagState[]) => new Map(all.map(({ flag, enabled }) => [flag, enabled ? 'on' : 'off']));
  const [here, before] = [shown(flags.here), flags.before === undefined ? undefined : shown(flags.before)];
  if (before === undefined) return `flags: ${[...here].map(([flag, is]) => `${flag} ${is}`).join(', ') || 'none'}`;
  const names = [...new Set([...here.keys(), ...before.keys()])];
  const differ = names.filter((flag) => here.get(flag) !== before.get(flag));
  const told = differ.map(
    (flag) => `${flag} ${here.get(flag) ?? 'absent'} here, ${before.get(flag) ?? 'absent'} there`,
  );
  return `flags: ${told.length === 0 ? `as in ${after}` : `other than in ${after}: ${told.join('; ')}`}`;
}

/** What those who approve must know: why it may be, what changes, what is done. */
export function reasons(evidence: Evidence, steps: { name: string }[]): string[] {
  const { order, policy, candidate, verified, migrations } = evidence;
  const { commits, commitCount, files = [], fileCount = 0 } = candidate;
  const subjects = commits.slice(0, 6).map(({ subject, author }) => `${subject} (${author})`);
  const paths = files.slice(0, 8).map(({ path, added, removed }) => `${path} (+${added} -${removed})`);
  const broken = brokenRules(evidence);
  const override = `override: ${order.override}; it breaks: ${[...broken, 'windows and freezes'].join('; ')}`;
  const pending = migrations?.pending.map(
    ({ name, destroys }) => `${name}${destroys.length > 0 ? ` (${destroys.join(', ')})` : ''}`,
  );
  return [
    ...(order.override === undefined ? [] : [override]),
    verified === undefined
      ? `no evidence of it in ${policy.deployment.after ?? 'an environment before'}`
      : `the same content was verified in ${policy.deployment.after} as ${verified.version} at ${verified.at}`,
    `${commitCount} ${commitCount === 1 ? 'commit' : 'commits'}: ${subjects.join('; ')}`,
    ...(fileCount === 0 ? [] : [`${fileCount} ${fileCount === 1 ? 'file' : 'files'}: ${paths.join('; ')}`]),
    pending === undefined || pending.length === 0 ? 'no migration' : `migrations: ${pending.join(', ')}`,
    flagsTold(evidence),
    `steps: ${steps.map(({ name }) => name).join('; ')}`,
  ].map((line) => line.slice(0, 500));
}

/** The person who ordered it, or who made the token that did: `cli:responder`, `console:responder` and `api:responder` are `responder`. */
export const askerOf = ({ orderedBy, onBehalfOf }: DeploymentOrder): string | undefined =>
  onBehalfOf ?? /^(?:cli|console|api):([a-z0-9-]{1,40})$/.exec(orderedBy)?.[1];

/** Who may not approve it: whoever asked, where the policy wants four eyes or a rule is broken. */
export function notBy({ order, policy }: Evidence): string[] {
  const asker = askerOf(order);
  return asker !== undefined && (policy.approval.high.fourEyes || order.override !== undefined) ? [asker] : [];
}
