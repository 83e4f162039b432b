/** Error budgets: what was bad over sliding windows, and how fast that uses up what may be bad in 30 days. */
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { BurnRate, ErrorBudget } from '../contracts/index.ts';

const RECENT_MS = 5 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
const LONGEST_RECENT_MS = 6 * 60 * 60_000;
export const BUDGET_MS = 30 * DAY_MS;

/** What was measured over some seconds: requests, probes or page views, and the bad ones of them. */
export interface Sample {
  total: number;
  bad: number;
  seconds: number;
}

const rounded = (value: number): number => Math.round(value * 1e5) / 1e5;

/** Take a sample into account that was measured until now. */
export function spend(budget: ErrorBudget, now: number, { total, bad, seconds }: Sample): void {
  for (const [buckets, sizeMs, keptMs] of [
    [budget.recent, RECENT_MS, LONGEST_RECENT_MS],
    [budget.days, DAY_MS, BUDGET_MS],
  ] as const) {
    const at = Math.floor(now / sizeMs);
    const last = buckets.at(-1);
    if (last?.[0] === at)
      [last[1], last[2], last[3]] = [rounded(last[1] + total), rounded(last[2] + bad), rounded(last[3] + seconds)];
    else buckets.push([at, rounded(total), rounded(bad), rounded(seconds)]);
    while ((buckets[0]?.[0] ?? at) < at - keptMs / sizeMs) buckets.shift();
  }
}

/** What was measured in a window that ends now; of the bucket that it begins in, its part. Longer than six hours it is made of days. */
export function measured({ recent, days }: ErrorBudget, now: number, windowMs: number): Sample {
  const [buckets, sizeMs] = windowMs <= LONGEST_RECENT_MS ? [recent, RECENT_MS] : [days, DAY_MS];
  const sum = { total: 0, bad: 0, seconds: 0 };
  for (const [at, total, bad, seconds] of buckets) {
    const part = Math.min(1, Math.max(0, ((at + 1) * sizeMs - (now - windowMs)) / sizeMs));
    sum.total += part * total;
    sum.bad += part * bad;
    sum.seconds += part * seconds;
  }
  return sum;
}

/**
 * How many times too fast the budget burns over a window: 1 uses up all of it in 30 days. What was not measured of the window,
 * as by a monitor that has just started, counts as good: a minute of trouble is not an hour of it.
 */
export function burn(sample: Sample, allowed: number, windowMs: number): number | undefined {
  if (sample.total === 0) return undefined;
  return (sample.bad / sample.total / allowed) * Math.min(1, (sample.seconds * 1000) / windowMs);
}

/** Share of the budget of 30 days that is left. */
export function budgetLeft(budget: ErrorBudget, now: number, allowed: number): number | undefined {
  const used = burn(measured(budget, now, BUDGET_MS), allowed, BUDGET_MS);
  return used === undefined ? undefined : 1 - used;
}

/** Both windows of a burn rate. A reading that is as long as the short window is it. */
export function burnOver(
  of: { budget: ErrorBudget; now: number; allowed: number; reading?: Sample | undefined },
  rate: BurnRate,
) {
  const { budget, now, allowed, reading } = of;
  const [longMs, shortMs] = [msToNumber(rate.long), msToNumber(rate.short)];
  const short = reading !== undefined && reading.seconds * 1000 >= shortMs ? reading : measured(budget, now, shortMs);
  return {
    long: burn(measured(budget, now, longMs), allowed, longMs),
    short: burn(short, allowed, shortMs),
    total: short.total,
  };
}

/** For how long the short window remembers what was bad, at most. */
export const remembersMs = ({ short }: BurnRate): number => msToNumber(short) + RECENT_MS;

/** Days that were measured, oldest first. */
export const daysOf = ({ days }: ErrorBudget, now: number, count: number) =>
  days
    .filter(([at]) => at > Math.floor(now / DAY_MS) - count)
    .map(([at, total, bad]) => ({
      day: new Date(at * DAY_MS).toISOString().slice(0, 10),
      total,
      badShare: total === 0 ? 0 : bad / total,
    }));
