import type { Learned } from '../src/contracts/index.ts';
import { figuresOf } from '../src/figures.ts';
import { learnedOf, reviewOf } from '../src/runbook/review.ts';
import { simulatedPolicy } from '../activities/simulator.ts';
import { endedStatus } from './support/ended.ts';

const MINUTE_MS = 60_000;
const told = (): Learned => learnedOf(reviewOf(endedStatus(), simulatedPolicy, { budgetSpent: 0.02, unknown: [] }));
const learned = (review: string, detectedAt: string, change: Partial<Learned> = {}): Learned => {
  const one = told();
  const moved = Date.parse(detectedAt) - Date.parse(one.times.detectedAt);
  const times = Object.fromEntries(
    Object.entries(one.times).map(([name, at]) => [name, new Date(Date.parse(String(at)) + moved).toISOString()]),
  ) as Learned['times'];
  return { ...one, review, times, ...change };
};
const SINCE = '2026-10-01T00:00:00Z';

it('tells of one incident what its timeline tells', () => {
  expect(figuresOf([told()], SINCE).total).toEqual({
    incidents: 1,
    repeats: 0,
    mttdMs: 3 * MINUTE_MS,
    mttaMs: 3 * MINUTE_MS,
    mttrMs: 5 * MINUTE_MS,
    approvalWaitMs: 4 * MINUTE_MS,
    budgetSpent: 0.02,
    toil: { alone: 4, byPeople: 2 },
  });
});

it('tells them by service and runbook and by month, and which incidents are repeats', () => {
  const { total, services, runbooks, months, rows } = figuresOf(
    [
      learned('d', '2026-11-20T09:00:00Z', { service: 'mail', runbook: 'triage' }),
      learned('c', '2026-11-10T09:00:00Z', { fingerprint: ['check:another'] }),
      learned('b', '2026-11-05T09:00:00Z'),
      learned('a', '2026-10-05T09:00:00Z'),
      learned('old', '2026-09-05T09:00:00Z'),
    ],
    SINCE,
  );
  expect(total).toMatchObject({ incidents: 4, repeats: 2, budgetSpent: expect.closeTo(0.08) }); // a is like the old one, b like a
  expect(services).toMatchObject({ shop: { incidents: 3, repeats: 2 }, mail: { incidents: 1, repeats: 0 } });
  expect(Object.keys(runbooks).sort()).toEqual(['mail triage', 'shop high-error-rate']);
  expect(months).toMatchObject({ '2026-10': { incidents: 1 }, '2026-11': { incidents: 3 } });
  expect(rows.map(({ service, runbook, month, incidents }) => [service, runbook, month, incidents])).toEqual([
    ['shop', 'high-error-rate', '2026-10', 1],
    ['shop', 'high-error-rate', '2026-11', 2],
    ['mail', 'triage', '2026-11', 1],
  ]);
});

it('says nothing where nothing was measured, and counts neither drills nor deployments', () => {
  const unmeasured = learned('a', '2026-11-05T09:00:00Z', { outcome: 'handed-over', budgetSpent: undefined });
  const { beganAt, detectedAt, endedAt } = unmeasured.times;
  const bare = { ...unmeasured, times: { beganAt, detectedAt, endedAt }, toil: undefined };
  const { total } = figuresOf(
    [
      bare,
      learned('b', '2026-11-05T10:00:00Z', { drill: true }),
      learned('c', '2026-11-05T11:00:00Z', { workflowId: 'deployment.shop.production' }),
    ],
    SINCE,
  );
  expect(total).toEqual({ incidents: 1, repeats: 0, mttdMs: 3 * MINUTE_MS });
  expect(figuresOf([], SINCE).total).toEqual({ incidents: 0, repeats: 0 });
});

it('tells what the error budget went to, the most first', () => {
  const of = (what: string, state: 'suspected' | 'confirmed', budgetSpent: number) => ({
    causes: [{ what, state }],
    budgetSpent,
  });
  const { causes } = figuresOf(
    [
      learned('a', '2026-11-05T09:00:00Z', of('the release v2', 'suspected', 0.01)),
      learned('b', '2026-11-06T09:00:00Z', of('a missing index', 'confirmed', 0.03)),
      learned('c', '2026-11-07T09:00:00Z', of('the release v2', 'suspected', 0.01)),
      learned('d', '2026-11-08T09:00:00Z', { causes: [], budgetSpent: undefined }),
    ],
    SINCE,
  );
  expect(causes).toEqual([
    { cause: 'a missing index', state: 'confirmed', incidents: 1, budgetSpent: 0.03 },
    { cause: 'the release v2', state: 'suspected', incidents: 2, budgetSpent: 0.02 },
    { cause: 'no cause is known', state: 'unknown', incidents: 1, budgetSpent: 0 },
  ]);
});
