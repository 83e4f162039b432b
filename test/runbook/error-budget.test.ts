import { budgetLeft, burn, burnOver, daysOf, measured, spend } from '../../src/runbook/error-budget.ts';
import type { ErrorBudget } from '../../src/contracts/index.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const start = Date.UTC(2026, 0, 1);

/** A budget that was spent minute by minute; `badAt` says the share of the 100 requests of a minute that was bad. */
function spentOver(minutes: number, badAt: (minute: number) => number): { budget: ErrorBudget; now: number } {
  const budget: ErrorBudget = { recent: [], days: [] };
  let now = start;
  for (let minute = 0; minute < minutes; minute += 1) {
    now = start + minute * MINUTE + MINUTE - 1;
    spend(budget, now, { total: 100, bad: 100 * badAt(minute), seconds: 60 });
  }
  return { budget, now };
}

it('measures a window that begins within a bucket by its part', () => {
  const { budget, now } = spentOver(62, () => 0.5);
  const hour = measured(budget, now, HOUR);
  expect(hour.total).toBeCloseTo(6000, 0);
  expect(hour.bad / hour.total).toBeCloseTo(0.5);
  expect(hour.seconds).toBeCloseTo(3600, 0);
  expect(measured(budget, now, 5 * MINUTE).total).toBeCloseTo(500, 0);
});

it('burns once over when as much is bad as may be, and 14.4 times over when 2 % of the month go in an hour', () => {
  const { budget, now } = spentOver(120, (minute) => (minute < 60 ? 0.01 : 0.144));
  expect(burn(measured(budget, now, 2 * HOUR), 0.01, 2 * HOUR)).toBeCloseTo(7.7);
  expect(burn(measured(budget, now, HOUR), 0.01, HOUR)).toBeCloseTo(14.4, 1);
  expect(burn({ total: 0, bad: 0, seconds: 0 }, 0.01, HOUR)).toBeUndefined();
});

it('does not take three bad minutes of a monitor that has just started for a bad hour', () => {
  const { budget, now } = spentOver(3, () => 1);
  expect(burn(measured(budget, now, HOUR), 0.01, HOUR)).toBeCloseTo(5);
});

it('takes a reading that is as long as the short window for it', () => {
  const { budget, now } = spentOver(60, () => 0);
  const rate = { name: 'fast', long: '1 hour', short: '5 minutes', factor: 14.4, severity: 'critical' } as const;
  const of = { budget, now, allowed: 0.01 };
  expect(burnOver({ ...of, reading: { total: 10, bad: 5, seconds: 300 } }, rate)).toMatchObject({
    short: 50,
    total: 10,
  });
  expect(burnOver({ ...of, reading: { total: 10, bad: 5, seconds: 10 } }, rate)).toMatchObject({ short: 0 });
});

it('knows what is left of 30 days, forgets what is older, and stays small', () => {
  const budget: ErrorBudget = { recent: [], days: [] };
  let now = start;
  for (let hour = 0; hour < 60 * 24; hour += 1) {
    now = start + hour * HOUR;
    const bad = hour < 10 * 24 ? 1000 : hour === 40 * 24 ? 720 : 0;
    spend(budget, now, { total: 1000, bad, seconds: 3600 });
  }
  expect(budgetLeft(budget, now, 0.01)).toBeCloseTo(0.9, 2);
  const days = daysOf(budget, now, 28);
  expect(days).toHaveLength(28);
  expect(days.filter(({ badShare }) => badShare > 0)).toEqual([{ day: '2026-02-10', total: 24_000, badShare: 0.03 }]);
  expect(JSON.stringify(budget).length).toBeLessThan(4096);
  expect(measured(budget, now, 3 * DAY).total).toBeCloseTo(3 * 24_000, -4);
});
