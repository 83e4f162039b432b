import {
  ReviewSettings,
  type DrillReport,
  type FreshnessReport,
  type Learned,
  type Review,
} from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { nextCheck } from '../../src/runbook/freshness.ts';
import { policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

const DAY_MS = 86_400_000;
const reviewed = policyOf({ review: ReviewSettings.parse({}), drills: { staleAfter: '90 days' } });
const runbook = (name: string, type: string) => ({ runbook: name, type, title: type });
const plan = {
  service: 'shop',
  environment: 'production',
  runbooks: [runbook('high-error-rate', 'highErrorRate'), runbook('triage', 'triage')],
};
const passed: DrillReport = { passed: true, note: 'mitigated: rolled back', timeline: [] };

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

async function startDrills(overrides: Partial<Ports>, input: object = plan) {
  const drilled: { runbook: string; at: number }[] = [];
  const { drillRunbook = async () => passed } = overrides;
  const run = await time.start('drillRunbooks', input, {
    policy: async () => reviewed,
    ...overrides,
    drillRunbook: async (of) => {
      drilled.push({ runbook: of.runbook, at: await time.env.currentTimeMs() });
      return await drillRunbook(of);
    },
  });
  const freshness = () => time.env.client.workflow.getHandle(run.handle.workflowId).query<FreshnessReport>('freshness');
  return { ...run, drilled, freshness };
}

it.each([
  ['2026-11-27T07:00:00Z', '2026-11-27T09:00:00Z'],
  ['2026-11-27T09:00:00Z', '2026-11-28T09:00:00Z'],
  ['2026-12-31T23:59:59Z', '2027-01-01T09:00:00Z'],
])('looks, seen from %s, at %s', (now, next) => {
  expect(nextCheck(Date.parse(now))).toBe(Date.parse(next));
});

it('drills what was neither needed nor drilled for ninety days, once, and not what was needed meanwhile', async () => {
  const needed = new Date((await time.env.currentTimeMs()) - 50 * DAY_MS).toISOString();
  const run = await startDrills({ newestRuns: async () => ({ 'incident.shop.triage': needed }) });
  await time.env.sleep('2 days');
  expect(run.drilled.map((one) => one.runbook)).toEqual(['high-error-rate']);
  expect(new Date(run.drilled[0]?.at ?? 0).getUTCHours()).toBe(9);
  const [error, triage] = (await run.freshness()).runbooks;
  expect(error).toMatchObject({ stale: false, last: { passed: true, note: 'mitigated: rolled back' } });
  expect(triage).toMatchObject({ ranAt: needed, stale: false });
  await time.env.sleep('39 days'); // what was needed 91 days ago is stale now
  expect(run.drilled.map((one) => one.runbook)).toEqual(['high-error-rate', 'triage']);
  await time.env.sleep('51 days');
  expect(run.drilled.map((one) => one.runbook)).toEqual(['high-error-rate', 'triage', 'high-error-rate']);
  await run.keep('watching', run.handle.firstExecutionRunId);
}, 120_000);

it('files what fails as one action item, with owner and due date, and tries again after a week', async () => {
  let open: Learned[] = [];
  const run = await startDrills(
    {
      drillRunbook: async () => {
        throw failure('NotProved', 'this machine has no Temporal server that skips time');
      },
      learnedSince: async () => open,
    },
    { ...plan, runbooks: plan.runbooks.slice(0, 1) },
  );
  await time.env.sleep('1 day');
  const review = run.reviews.at(-1) as Review;
  expect(review).toMatchObject({ drill: true, outcome: 'failed', severity: 'info', causes: [] });
  expect(review.actionItems).toMatchObject([
    {
      id: 'drill-failed',
      title: 'Mend high-error-rate, or what keeps it from being drilled',
      why: 'this machine has no Temporal server that skips time',
      owner: 'responder',
      state: 'open',
    },
  ]);
  expect(run.calls).not.toContain('affectedUsers'); // nothing real was lost
  expect(run.documents.at(-1)).toContain('Drill: highErrorRate');
  const [item] = review.actionItems;
  open = [{ ...review, review: review.id, openItems: [item], attempts: [], causes: [] } as unknown as Learned];
  const failed = (await run.freshness()).runbooks[0];
  expect(failed).toMatchObject({ stale: true, last: { passed: false, review: review.id } });
  await time.env.sleep('5 days');
  expect(run.drilled).toHaveLength(1);
  await time.env.sleep('3 days');
  expect(run.drilled).toHaveLength(2);
  expect(new Set(run.reviews.map(({ id }) => id))).toEqual(new Set([review.id])); // the open one stands for both
  await run.keep('watching', run.handle.firstExecutionRunId);
}, 120_000);

it('takes the runbooks that a newer worker has, and the drill that a person has run', async () => {
  const run = await startDrills({});
  const handle = time.env.client.workflow.getHandle(run.handle.workflowId);
  await handle.signal('runbooks', [{ name: 'triage', type: 'triage', title: 'Triage' }]);
  await handle.signal('drilled', { runbook: 'triage', report: passed });
  expect((await run.freshness()).runbooks).toMatchObject([{ runbook: 'triage', title: 'Triage', stale: false }]);
  await time.env.sleep('2 days');
  expect(run.drilled).toEqual([]);
}, 120_000);
