/** The objectives of a service: what is counted as bad of each, and what the budget for it means now. */
import { msToNumber } from '@temporalio/common/lib/time.js';
import {
  TREND_DAYS,
  type BurnRate,
  type ErrorBudget,
  type ObjectiveDay,
  type ObjectiveReport,
  type Policy,
  type Scope,
  type Severity,
  type Verdict,
} from '../contracts/index.ts';
import type * as readings from '../contracts/readings.ts';
import { BUDGET_MS, budgetLeft, burnOver, daysOf, measured, spend, type Sample } from './error-budget.ts';
import type { Judgement } from './run.ts';

const DAY_SECONDS = 24 * 60 * 60;

/** What one tick has read; undefined could not be read. */
export interface Readings {
  ratio: readings.ErrorRatio | undefined;
  times: readings.ResponseTimes | undefined;
  probe: readings.HttpHealth | undefined;
  /** Whether web vitals pass; absent where they have no budget. */
  vitals?: Verdict | undefined;
}

export interface Indicator {
  name: string;
  /** The alert when its budget burns. */
  alert: string;
  objective: string;
  /** Share that may be bad. */
  allowed: number;
  /** So many are needed in so many seconds to say anything. */
  minimum: (seconds: number) => number;
  now?: string;
  sample?: Sample;
  /** Of its alert, where that is not the burn rate's. */
  severity?: Severity;
}

/** The monitor's own probes may be among the requests of a window. */
export const ownProbes = (windowSeconds: number, everySeconds: number): number =>
  Math.ceil(windowSeconds / everySeconds);

const percent = (share: number): string => `${Number((share * 100).toFixed(3))} %`;

/** One row for each objective. */
export function indicatorsOf(policy: Policy, everySeconds: number, readings: Readings): Indicator[] {
  const { ratio, times, probe, vitals } = readings;
  const { objectives, measure } = policy;
  const { uptime = 0.999, vitals: passing = 0.95 } = objectives;
  const minimum = (seconds: number): number => measure.minimumRequests + ownProbes(seconds, everySeconds);
  return [
    {
      name: 'error ratio',
      alert: 'ErrorRatioBudgetBurn',
      objective: `under ${percent(objectives.errorRatio)}`,
      allowed: objectives.errorRatio,
      minimum,
      ...(ratio !== undefined && {
        now: percent(ratio.ratio),
        sample: { total: ratio.requests, bad: ratio.ratio * ratio.requests, seconds: ratio.windowSeconds },
      }),
    },
    {
      name: 'response time',
      alert: 'ResponseTimeBudgetBurn',
      objective: `95 % of the answers within ${objectives.p95Ms} ms`,
      allowed: 0.05,
      minimum,
      ...(times?.slowShare !== undefined && {
        now: `p95 ${Math.round(times.p95Ms)} ms`,
        sample: { total: times.requests, bad: times.slowShare * times.requests, seconds: measure.windowSeconds },
      }),
    },
    {
      name: 'uptime',
      alert: 'UptimeBudgetBurn',
      objective: `over ${percent(uptime)}`,
      allowed: 1 - uptime,
      minimum: () => 1,
      ...(probe !== undefined && {
        now: probe.failed === 0 ? 'up' : `down (status ${probe.status})`,
        sample: { total: 1, bad: probe.failed / Math.max(1, probe.probes), seconds: everySeconds },
      }),
    },
    ...(vitals === undefined
      ? []
      : [
          {
            name: 'web vitals',
            alert: 'WebVitalsBudgetBurn',
            objective: `pass ${percent(passing)} of the time`,
            allowed: 1 - passing,
            minimum: () => 1,
            severity: 'warning' as const,
            ...(vitals !== 'unknown' && {
              now: vitals === 'ok' ? 'passing' : 'failing',
              sample: { total: 1, bad: vitals === 'ok' ? 0 : 1, seconds: everySeconds },
            }),
          },
        ]),
  ];
}

/** Does the budget burn too fast over both windows? Too few requests say nothing of trouble, but may say that it is over. */
export function judgeBurn(
  { name, objective, allowed, minimum, sample }: Indicator,
  budget: ErrorBudget,
  rate: BurnRate,
  now: number,
): Judgement {
  const { long, short, total } = burnOver({ budget, now, allowed, reading: sample }, rate);
  const left = budgetLeft(budget, now, allowed);
  const times = (burn: number | undefined): string => (burn === undefined ? 'nobody knows how many' : burn.toFixed(1));
  const summary = `the error budget of ${name} (${objective}) burns ${times(long)} times too fast over ${rate.long} and ${times(short)} times over ${rate.short}; ${left === undefined ? 'nothing is known' : percent(left)} of it is left`;
  if ((long !== undefined && long < rate.factor) || (short !== undefined && short < rate.factor))
    return ['ok', summary];
  return [
    long === undefined || short === undefined || total < minimum(secondsOf(rate.short)) ? 'unknown' : 'bad',
    summary,
  ];
}

/** What is kept of an objective from tick to tick. */
export interface Kept extends Pick<Indicator, 'alert' | 'objective' | 'allowed' | 'now' | 'sample'> {
  budget: ErrorBudget;
}

/** Keep what is known of an objective now; of readings that overlap, the part that is new since the last tick counts. */
export function keep(
  all: Record<string, Kept>,
  { name, alert, objective, allowed, now: latest, sample }: Indicator,
  { now, sinceSeconds, everySeconds }: { now: number; sinceSeconds: number; everySeconds: number },
): Kept {
  const { budget } = all[name] ?? { budget: { recent: [], days: [] } };
  if (sample !== undefined) {
    const seconds = Math.min(sinceSeconds, Math.max(sample.seconds, 2 * everySeconds)); // before that nobody looked
    const part = Math.min(1, seconds / sample.seconds);
    spend(budget, now, { total: part * sample.total, bad: part * sample.bad, seconds });
  }
  const kept = {
    alert,
    objective,
    allowed,
    budget,
    ...(latest !== undefined && { now: latest }),
    ...(sample && { sample }),
  };
  all[name] = kept;
  return kept;
}

/** The last two days of every objective: what a run of the monitor may have added to. */
export const daysToRecord = (scope: Scope, objectives: Record<string, Kept>): ObjectiveDay[] =>
  Object.entries(objectives).flatMap(([objective, { budget }]) =>
    budget.days.slice(-2).map(([at, total, bad, seconds]) => {
      const day = new Date(at * DAY_SECONDS * 1000).toISOString().slice(0, 10);
      return { ...scope, objective, day, total, bad, seconds };
    }),
  );

export function reportOf(
  environment: string,
  name: string,
  { objective, allowed, now: latest, sample, budget }: Kept,
  of: { now: number; burnRates: BurnRate[]; firing: (rate: string) => boolean },
): ObjectiveReport {
  const { now } = of;
  const left = budgetLeft(budget, now, allowed);
  return {
    environment,
    name,
    objective,
    allowed,
    ...(latest !== undefined && { now: latest }),
    ...(left !== undefined && { budgetLeft: left }),
    measuredDays: measured(budget, now, BUDGET_MS).seconds / DAY_SECONDS,
    burn: of.burnRates.map((rate) => {
      const { long, short } = burnOver({ budget, now, allowed, reading: sample }, rate);
      return {
        name: rate.name,
        factor: rate.factor,
        ...(long !== undefined && { long }),
        ...(short !== undefined && { short }),
        firing: of.firing(rate.name),
      };
    }),
    trend: daysOf(budget, now, TREND_DAYS),
  };
}

export const secondsOf = (duration: string): number => msToNumber(duration) / 1000;
