import { z } from 'zod';
import { Duration, Scope, Severity, Slug } from './names.ts';

/** An alert when the error budget burns this many times too fast over both windows. */
export const BurnRate = z.object({
  name: Slug,
  long: Duration,
  short: Duration,
  factor: z.number().positive(),
  severity: Severity.default('critical'),
});
export type BurnRate = z.output<typeof BurnRate>;

/** How an environment is watched. Source of the burn rates: Google SRE Workbook, chapter 5, table 5-8: 2 % and 5 % of 30 days. */
export const MonitorSettings = z.object({
  every: Duration.default('15 seconds'),
  /** Readings in a row, before an alert is raised and before it is resolved. */
  raiseAfter: z.number().int().min(1).default(2),
  clearAfter: z.number().int().min(1).default(3),
  /** What cannot be read for this long is an alert itself. */
  blindAfter: Duration.default('10 minutes'),
  /** How often Alertmanager and Sentry are asked what is open there, by the monitor of the first service that has one. */
  askForAlerts: Duration.default('2 minutes'),
  burnRates: z.array(BurnRate).default([
    { name: 'fast', long: '1 hour', short: '5 minutes', factor: 14.4, severity: 'critical' },
    { name: 'slow', long: '6 hours', short: '30 minutes', factor: 6, severity: 'critical' },
  ]),
});
export type MonitorSettings = z.output<typeof MonitorSettings>;

const Bucket = z.tuple([z.number(), z.number(), z.number(), z.number()]);
/** What was good and bad of late and day by day; each bucket is its number since the epoch, total, bad, and seconds measured. */
export const ErrorBudget = z.object({ recent: z.array(Bucket), days: z.array(Bucket) });
export type ErrorBudget = z.output<typeof ErrorBudget>;

/** What was measured of an objective on one day (UTC), and what was bad of it; the record keeps them for more than a year. */
export const ObjectiveDay = Scope.extend({
  objective: z.string().max(40),
  day: z.iso.date(),
  total: z.number(),
  bad: z.number(),
  /** How long was measured. */
  seconds: z.number(),
});
export type ObjectiveDay = z.output<typeof ObjectiveDay>;

export const TREND_DAYS = 28;

/** How an objective stands. Shares are 0..1; what nothing was measured of is absent. */
export const ObjectiveReport = z.object({
  environment: Slug,
  name: z.string(),
  objective: z.string(),
  now: z.string().optional(),
  /** Share that may be bad. */
  allowed: z.number(),
  /** Share of the error budget of 30 days that is left; below 0 it is overspent. */
  budgetLeft: z.number().optional(),
  /** How many of the last 30 days were measured. */
  measuredDays: z.number(),
  burn: z.array(
    z.object({
      name: z.string(),
      factor: z.number(),
      long: z.number().optional(),
      short: z.number().optional(),
      firing: z.boolean(),
    }),
  ),
  /** The last 28 days, oldest first, those that were measured. */
  trend: z.array(z.object({ day: z.string(), total: z.number(), badShare: z.number() })),
});
export type ObjectiveReport = z.output<typeof ObjectiveReport>;
