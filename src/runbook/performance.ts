/** What readings of performance mean, and what they point to. Shared by the runbook and the monitor. */
import type * as readings from '../contracts/performance.ts';
import type { Policy, Release, Releases, SlowStatement, SuspectCommit, Verdict } from '../contracts/index.ts';
import { ms } from './judgements.ts';
import { limitsOf, type Limited } from './limits.ts';
import type { Compared } from './release-evidence.ts';
import type { Checked, Judgement } from './run.ts';

/** Those that make the assessment have a limit; the others explain it. */
const vitalLimits = (policy: Limited): Partial<Record<readings.MetricName, number>> => {
  const { lcpMs: LCP, inpMs: INP, cls: CLS } = limitsOf(policy);
  return { LCP, INP, CLS };
};
/** A release older than this is not where a leak began. */
const ORIGIN_MS = 24 * 60 * 60 * 1000;
/** So much slower than before the release counts as begun with it. */
const SLOWER = 1.5;

const MIB = 2 ** 20;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
const kb = (bytes: number): string => `${Math.round(bytes / 1000)} kB`;

export const slowRoutes = (routes: readings.RouteTimes[], { objectives, measure }: Policy): readings.RouteTimes[] =>
  routes.filter(({ now }) => now.requests >= measure.minimumRequests && now.p95Ms > objectives.p95Ms);

const told = ({ route, now, before, yesterday }: readings.RouteTimes): string =>
  [
    `${route}: p50 ${ms(now.p50Ms)}, p95 ${ms(now.p95Ms)}, p99 ${ms(now.p99Ms)}, ${now.perSecond.toFixed(1)}/s`,
    ...(before === undefined ? [] : [`before the release p95 ${ms(before.p95Ms)}`]),
    ...(yesterday === undefined ? [] : [`yesterday p95 ${ms(yesterday.p95Ms)}`]),
  ].join(', ');

export const judgeRoutes =
  (policy: Policy) =>
  (routes: readings.RouteTimes[]): Judgement => {
    const enough = routes.filter(({ now }) => now.requests >= policy.measure.minimumRequests);
    if (enough.length === 0) return ['unknown', 'no route had enough requests in the window to say'];
    const slow = slowRoutes(enough, policy);
    const shown = (slow.length > 0 ? slow : enough).slice(0, 3).map(told);
    const value = Math.max(...enough.map(({ now }) => now.p95Ms));
    return [
      slow.length > 0 ? 'bad' : 'ok',
      `${slow.length} of ${enough.length} routes are slow: ${shown.join('; ')}`,
      { readings: [{ quantity: 'p95-ms', value, limit: policy.objectives.p95Ms }] },
    ];
  };

export const isLeaking =
  (policy: Limited) =>
  ({ hoursUntilLimit = Infinity, seconds }: readings.MemoryTrend): boolean => {
    const { leakHours, leakForetold } = limitsOf(policy);
    return hoursUntilLimit <= Math.min(leakHours, (leakForetold * seconds) / 3600);
  };

const leakTold = ({ instance, residentBytes, seconds, limitBytes, hoursUntilLimit = 0, ...by }: readings.MemoryTrend) =>
  `${instance} holds ${mib(residentBytes)} and grows by ${mib(by.residentBytesPerHour / 60)} a minute over ${Math.round(seconds)} s: ` +
  `${limitBytes === undefined ? 'twice as much' : 'its limit'} within ${Math.ceil(hoursUntilLimit * 60)} minutes`;

export const judgeMemory =
  (policy: Limited) =>
  (trends: readings.MemoryTrend[]): Judgement => {
    if (trends.length === 0) return ['unknown', 'no instance has enough samples since its start to say'];
    const leaking = trends.filter(isLeaking(policy));
    if (leaking.length > 0) return ['bad', leaking.slice(0, 5).map(leakTold).join('; ')];
    const most = Math.max(...trends.map(({ residentBytes }) => residentBytes));
    return ['ok', `${trends.length} instances hold ${mib(most)} at most and none grows without end`];
  };

const vitalTold = ({ page, device, metric, p75, samples, newest }: readings.WebVital): string =>
  `${metric} of ${page} on ${device} is ${metric === 'CLS' ? p75.toFixed(3) : ms(p75)} at p75 of ${newest === true ? 'the newest ' : ''}${samples}`;

export const failingVitals = (
  vitals: readings.WebVital[],
  minimumSamples: number,
  policy: Limited,
): readings.WebVital[] => {
  const limits = vitalLimits(policy);
  return vitals.filter(({ metric, p75, samples }) => samples >= minimumSamples && p75 > (limits[metric] ?? Infinity));
};

/** Passing: every core vital of every page and device class with enough samples is good at p75. */
export const judgeVitals =
  (minimumSamples: number, policy: Limited) =>
  (vitals: readings.WebVital[]): Judgement => {
    const limits = vitalLimits(policy);
    const core = vitals.filter(({ metric, samples }) => metric in limits && samples >= minimumSamples);
    if (core.length === 0)
      return ['unknown', `no page has ${minimumSamples} samples of a core vital: too few to say whether they pass`];
    const failing = failingVitals(vitals, minimumSamples, policy);
    if (failing.length > 0) return ['bad', failing.slice(0, 4).map(vitalTold).join('; ')];
    return ['ok', `${core.length} core vitals pass: ${core.slice(0, 3).map(vitalTold).join('; ')}`];
  };

export const judgeLab =
  (policy: Limited) =>
  (all: readings.LabVitals[]): Judgement => {
    if (all.length === 0) return ['unknown', 'the laboratory measured nothing'];
    const shown = all.map(
      ({ page, device, score, lcpMs, tbtMs, audits }) =>
        `${page} on ${device} scores ${Math.round(score * 100)}, LCP ${ms(lcpMs)}, TBT ${ms(tbtMs)}` +
        audits.map(({ title, savesMs }) => `, ${title}: saves ${ms(savesMs)}`).join(''),
    );
    const limits = limitsOf(policy);
    const failing = all.some(({ lcpMs, cls }) => lcpMs > limits.lcpMs || cls > limits.cls);
    return [failing ? 'bad' : 'ok', shown.join('; ')];
  };

const sum = (of: number[]): number => of.reduce((all, one) => all + one, 0);
const sizesOf = ({ entries }: readings.BundleChange) => ({
  now: sum(entries.map(({ now }) => now.rawBytes)),
  before: entries.some(({ before }) => before !== undefined)
    ? sum(entries.map(({ before }) => before?.rawBytes ?? 0))
    : undefined,
  brotli: sum(entries.map(({ now }) => now.brotliBytes)),
});
export const isHeavier = (bundle: readings.BundleChange, policy: Limited): boolean => {
  const { bundleGrowth, bundleGrowthBytes } = limitsOf(policy);
  const { now, before } = sizesOf(bundle);
  return before !== undefined && now - before > Math.max(bundleGrowthBytes, before * bundleGrowth);
};
const packagesTold = ({ packages }: readings.BundleChange): string[] =>
  packages
    .filter(({ rawBytes, beforeBytes = 0 }) => rawBytes > beforeBytes)
    .slice(0, 4)
    .map(({ name, rawBytes, beforeBytes }) =>
      beforeBytes === undefined
        ? `${name} is new with ${kb(rawBytes)}`
        : `${name} grew from ${kb(beforeBytes)} to ${kb(rawBytes)}`,
    );

export const judgeBundle =
  (policy: Limited) =>
  (bundle: readings.BundleChange): Judgement => {
    const { now, before, brotli } = sizesOf(bundle);
    const lines = [
      `${bundle.entries.length} entries, ${kb(now)} (${kb(brotli)} as brotli)`,
      ...(before === undefined ? [] : [`${kb(before)} in the release before`]),
      ...(isHeavier(bundle, policy) ? packagesTold(bundle) : []),
      ...bundle.duplicated.map(({ name, copies }) => `${name} is in it ${copies} times`),
    ];
    return [isHeavier(bundle, policy) ? 'bad' : 'ok', lines.join('; '), { bundle: bundle.parts }];
  };

export const judgeCaching = (states: readings.CachingState[]): Judgement => [
  'ok',
  states
    .map(({ route, caching, header }) => `${route} ${caching ? `may be cached (${header})` : 'is never cached'}`)
    .join('; '),
];

const changeTold = ({ id, author, subject, added, removed, files, touches }: readings.CodeChange): string =>
  `${id.slice(0, 10)} ${subject} (${author}, +${added} −${removed} in ${files.slice(0, 4).join(', ')})` +
  (touches.length === 0 ? '' : ` has to do with ${touches.join(', ')}`);

/** A commit is no fault, but those that have to do with what is wrong are suspects. */
export const judgeChanges = (changes: readings.CodeChange[]): Judgement => [
  'ok',
  changes.length === 0
    ? 'no commit between the releases'
    : `${changes.length} ${changes.length === 1 ? 'commit' : 'commits'}: ${changes.slice(0, 4).map(changeTold).join('; ')}`,
  { commits: suspectCommits(changes) },
];

/** The first of those that have to do with what is wrong. */
export const suspectCommits = (changes: readings.CodeChange[]): SuspectCommit[] =>
  changes
    .filter(({ touches }) => touches.length > 0)
    .slice(0, 3)
    .map((change) => ({ id: change.id, what: changeTold(change).slice(0, 300), touches: change.touches }));

/** All that was read; what could not be read is absent. */
export interface PerformanceEvidence {
  releases?: Releases | undefined;
  routes?: readings.RouteTimes[] | undefined;
  memory?: readings.MemoryTrend[] | undefined;
  statements?: SlowStatement[] | undefined;
  vitals?: readings.WebVital[] | undefined;
  lab?: readings.LabVitals[] | undefined;
  bundle?: readings.BundleChange | undefined;
  caching?: readings.CachingState[] | undefined;
  changes?: readings.CodeChange[] | undefined;
  saturated: boolean;
}

export interface Suspect {
  kind: 'leak' | 'slow-query' | 'slow-route' | 'saturation' | 'heavy-bundle';
  evidence: string[];
  /** Whether it began after the release that the running one is compared with. */
  began: boolean;
}

const beganWith = ({ now, before }: readings.RouteTimes, { measure }: Policy): boolean =>
  before !== undefined && before.requests >= measure.minimumRequests && now.p95Ms > before.p95Ms * SLOWER;

/** A route that has become slow and may be cached, but is not. */
export const cacheable = (slow: readings.RouteTimes[], caching: readings.CachingState[] = []) =>
  caching.find((state) => !state.caching && slow.some(({ route }) => route === state.route));

/** What the evidence points to: what began with the running release first, then a leak before its symptoms. Without a symptom that users feel nothing is suspected. */
export function suspectsOf(found: PerformanceEvidence, policy: Policy, now: number): Suspect[] {
  const { routes = [], memory = [], statements = [], vitals = [], lab, bundle, releases } = found;
  const slow = slowRoutes(routes, policy);
  const leaking = memory.filter(isLeaking(policy));
  const { performance: measured } = policy;
  const failing = failingVitals(vitals, measured.vitals?.minimumSamples ?? Infinity, policy);
  const labFails = lab !== undefined && judgeLab(policy)(lab)[0] === 'bad';
  const kindOfSlow = (): Suspect['kind'] => {
    if (statements.length > 0) return 'slow-query';
    return found.saturated && cacheable(slow, found.caching) === undefined ? 'saturation' : 'slow-route';
  };
  const suspects: (Suspect | false)[] = [
    leaking.length > 0 && { kind: 'leak', evidence: leaking.map(leakTold), began: isYoung(releases?.running, now) },
    slow.length > 0 && {
      kind: kindOfSlow(),
      evidence: [...statements.slice(0, 3).map(statementTold), ...slow.slice(0, 3).map(told)],
      began: slow.some((one) => beganWith(one, policy)),
    },
    bundle !== undefined &&
      isHeavier(bundle, policy) &&
      (failing.length > 0 || labFails) && {
        kind: 'heavy-bundle',
        evidence: [judgeBundle(policy)(bundle)[1], ...failing.slice(0, 3).map(vitalTold)],
        began: true,
      },
  ];
  return suspects.filter((one) => one !== false).toSorted((a, b) => Number(b.began) - Number(a.began));
}

const isYoung = (running: Release | undefined, now: number): boolean =>
  running !== undefined && now - Date.parse(running.deployedAt) < ORIGIN_MS;

const statementTold = ({ calls, meanMs, query, index }: SlowStatement): string =>
  `${calls} × ${ms(meanMs)}: ${query}${index === undefined ? '' : `; an index on ${index.table} (${index.columns.join(', ')}) would serve it`}`;

export const judgeSuspects =
  ({ previous, between }: Compared) =>
  (suspects: Suspect[]): Judgement => {
    const [top, ...others] = suspects;
    const began = between.length === 0 ? 'begun with the running release' : `begun after ${previous?.version}`;
    if (top === undefined) return ['ok', 'nothing that users feel points anywhere'];
    const also = others.length === 0 ? '' : `; also ${others.map(({ kind }) => kind).join(', ')}`;
    return ['bad', `${top.kind}${top.began ? `, ${began}` : ''}: ${top.evidence.join('; ')}${also}`];
  };

/** What no machine should do alone, with its evidence. */
export function actionItems(found: PerformanceEvidence, policy: Limited): string[] {
  const { bundle, statements = [], changes = [], lab = [] } = found;
  const [suspect] = changes.filter(({ touches }) => touches.length > 0);
  const [worst] = statements;
  const grown = bundle !== undefined && isHeavier(bundle, policy) ? packagesTold(bundle) : [];
  const twice = (bundle?.duplicated ?? []).map(({ name, copies }) => `have ${name} once, not ${copies} times`);
  const [audit] = lab.flatMap(({ audits }) => audits).toSorted((a, b) => b.savesMs - a.savesMs);
  return [
    ...(grown.length > 0 ? [`make the bundle smaller: ${grown.join('; ')}`] : []),
    ...twice,
    ...(worst === undefined ? [] : [`look at the statement ${statementTold(worst)}`]),
    ...(suspect === undefined ? [] : [`look at the commit ${changeTold(suspect)}`]),
    ...(audit === undefined ? [] : [`${audit.title}: saves ${ms(audit.savesMs)}`]),
  ];
}

export const judgeItems = (items: string[]): Judgement =>
  items.length === 0 ? ['ok', 'nothing to do by hand'] : ['bad', items.join('; ')];

/** Better where all of what was bad is good; what was not bad is not asked. */
export const judgeAll = (judged: Judgement[]): Judgement => {
  const worst: Verdict =
    (['bad', 'unknown', 'ok'] as const).find((one) => judged.some(([own]) => own === one)) ?? 'unknown';
  const seen = judged.flatMap(([, , { readings: own = [] } = {}]) => own);
  return [worst, judged.map(([, summary]) => summary).join('; '), { readings: seen }];
};

/** Which measures were bad: the same ones must be good again. */
export const badOf = (of: Record<'routes' | 'memory' | 'vitals', Checked<unknown> | undefined>) => ({
  routes: of.routes?.verdict === 'bad',
  memory: of.memory?.verdict === 'bad',
  vitals: of.vitals?.verdict === 'bad',
});
