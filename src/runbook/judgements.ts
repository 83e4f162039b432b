/** What the readings of a diagnosis mean: verdict and one line for people. Shared by every runbook. */
import type { Policy } from '../contracts/index.ts';
import type * as readings from '../contracts/readings.ts';
import type { Judgement } from './run.ts';

/** Share of one core above which an instance counts as saturated. Source: common autoscaling target of 80 % CPU. */
export const SATURATED = 0.8;
/** Share of the failing events that must carry one value before it counts as correlated. */
export const CORRELATED = 0.9;
/** A release younger than this is in its bake window and the first suspect. */
const BAKE_MS = 60 * 60 * 1000;

const percent = (ratio: number): string => `${(ratio * 100).toFixed(ratio < 0.1 ? 2 : 0)} %`;
const ms = (value: number): string => `${Math.round(value)} ms`;

export const judgeReleases =
  (now: number) =>
  ({ running, previous }: readings.Releases): Judgement => {
    if (running === undefined) return ['bad', 'no release takes traffic'];
    const young = now - Date.parse(running.deployedAt) < BAKE_MS;
    const before = previous === undefined ? 'nothing ran before it' : `${previous.version} ran before it`;
    return [
      young ? 'bad' : 'ok',
      `${running.version} runs since ${running.deployedAt}${young ? ', still in its bake window' : ''}; ${before}`,
    ];
  };

export const judgePatterns = (patterns: readings.ErrorPattern[]): Judgement => {
  if (patterns.length === 0) return ['ok', 'no errors in the window'];
  const fresh = patterns.filter((pattern) => pattern.newInRelease).length;
  const top = patterns
    .slice(0, 3)
    .map((pattern) => `${pattern.count} × ${pattern.title}${pattern.newInRelease ? ' (new in this release)' : ''}`);
  return ['bad', `${patterns.length} patterns, ${fresh} new in the running release: ${top.join('; ')}`];
};

export const judgeUsers = ({ count, sampled }: readings.AffectedUsers): Judgement => [
  count === 0 ? 'ok' : 'bad',
  `${sampled ? 'at least ' : ''}${count} users met an error`,
];

export const judgeTrace = ({ pattern, frames }: readings.StackTrace): Judgement =>
  frames.length === 0
    ? ['ok', 'no stack trace in the window']
    : ['bad', `${pattern} at ${frames.slice(0, 3).join(' ← ')}`];

export const judgeCorrelations = ({ events, releases, flags }: readings.ErrorCorrelations): Judgement => {
  if (events === 0) return ['ok', 'no errors to correlate'];
  const all = [
    ...releases.map(({ release, share }) => ({ what: release, share })),
    ...flags.map(({ flag, value, share }) => ({ what: `${flag}=${value}`, share })),
  ];
  return [
    'bad',
    all.length === 0
      ? 'the events carry neither release nor flags'
      : all
          .slice(0, 5)
          .map(({ what, share }) => `${percent(share)} carry ${what}`)
          .join('; '),
  ];
};

export const judgeSupabase = ({ rest, sql }: readings.SupabaseHealth): Judgement => [
  rest.ok && sql?.ok !== false ? 'ok' : 'bad',
  [
    `REST ${rest.ok ? `answers in ${ms(rest.ms)}` : `fails: ${rest.detail}`}`,
    sql === undefined ? 'SQL not configured' : `SQL ${sql.ok ? `answers in ${ms(sql.ms)}` : `fails: ${sql.detail}`}`,
  ].join('; '),
];

export const judgeHealth =
  (p95LimitMs: number) =>
  ({ probes, failed, status, p95Ms, url }: readings.HttpHealth): Judgement =>
    failed > 0
      ? ['bad', `${failed} of ${probes} probes of ${url} failed (last status ${status})`]
      : [p95Ms > p95LimitMs ? 'bad' : 'ok', `${probes} probes of ${url} answered, p95 ${ms(p95Ms)}`];

const tooFew = (requests: number, { measure }: Policy): Judgement | undefined =>
  requests < measure.minimumRequests
    ? ['unknown', `only ${requests} requests in the window: too few to say`]
    : undefined;

export const judgeResponseTimes =
  (policy: Policy) =>
  ({ p50Ms, p95Ms, requests }: readings.ResponseTimes): Judgement =>
    tooFew(requests, policy) ?? [
      p95Ms > policy.objectives.p95Ms ? 'bad' : 'ok',
      `p50 ${ms(p50Ms)}, p95 ${ms(p95Ms)} (objective ${ms(policy.objectives.p95Ms)})`,
    ];

export const judgeErrorRatio =
  (policy: Policy, limit = policy.objectives.errorRatio) =>
  ({ ratio, requests }: readings.ErrorRatio): Judgement =>
    tooFew(requests, policy) ?? [
      ratio >= limit ? 'bad' : 'ok',
      `${percent(ratio)} of ${Math.round(requests)} requests failed (limit ${percent(limit)})`,
    ];

export const judgeSaturation = ({ busiest, instances }: readings.Saturation): Judgement => [
  busiest >= SATURATED ? 'bad' : 'ok',
  `the busiest of ${instances} instances uses ${percent(busiest)} of a core`,
];

export const judgeFlags = (flags: readings.FlagState[]): Judgement => [
  'ok',
  flags.length === 0 ? 'no flags' : flags.map(({ flag, variant }) => `${flag}=${variant}`).join(', '),
];
