/** However a run ends by what people, alerts or other changes say, it ends so in every runbook and procedure. */
import type { AlertBatch, RouteTimes } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { runbookCatalogue } from '../../src/runbook/catalogue.ts';
import * as workflows from '../../workflows/index.ts';
import { holder } from '../support/in-the-way.ts';
import { incident, policyOf, skippedTime, type SkippedRun, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const times = (p95Ms: number) => ({ requests: 900, perSecond: 3, p50Ms: p95Ms / 3, p95Ms, p99Ms: p95Ms * 2 });
const slower: RouteTimes = { route: 'GET /', now: times(1800), before: times(40), yesterday: times(40) };
/** Of `high-error-rate` its own tests tell; triage proposes nothing and waits for nobody. */
const OTHERS = ['highErrorRate', 'triage'];
/** By runbook, a world in which it proposes something. */
const WORLDS: Record<string, Partial<Ports>> = {
  databaseConnectionIssues: { sessionsInTheWay: async () => [holder] },
  performanceDegradation: { routeTimes: async () => [slower] },
};
const resolved: AlertBatch = { batchId: 'b', distinct: 0, deliveries: 1, status: 'resolved', samples: [] };
/** What is said while it waits for a decision, and how it ends then. */
const SAID: Record<string, (run: SkippedRun) => Promise<unknown>> = {
  declined: (run) => run.decide('declined', 'responder'),
  unanswered: async () => undefined,
  resolved: (run) => run.handle.signal('addAlerts', resolved),
  stopped: (run) => run.handle.signal('stop', { by: 'lead' }),
  'taken-over': (run) => run.handle.signal('takeOver', { by: 'lead' }),
};

it('has a world for every runbook that proposes', () => {
  const types = runbookCatalogue(workflows).map(({ type }) => type);
  expect(types.sort()).toEqual([...Object.keys(WORLDS), ...OTHERS].sort());
});

describe.each(Object.entries(WORLDS))('%s', (type, world) => {
  it.each(Object.entries(SAID))('ends as %s with nothing changed', async (outcome, say) => {
    const run = await time.start(type, incident(), world);
    await run.until(({ phase }) => phase === 'waiting');
    await say(run);
    expect(await run.result()).toMatchObject({ outcome });
    expect(run.calls).not.toContain('requestChange');
  });

  it('ends as failed when the automation itself breaks', async () => {
    const policy = async () => {
      throw failure('NotConfigured', 'services.shop is not in the configuration');
    };
    const run = await time.start(type, incident(), { ...world, policy });
    expect(await run.result()).toMatchObject({ outcome: 'failed', note: expect.stringContaining('services.shop') });
    expect(run.calls).not.toContain('requestChange');
  });
});

describe.each(['stagingDeployment', 'rollback'])('%s', (type) => {
  it.each([
    ['stop', 'stopped'],
    ['takeOver', 'taken-over'],
    ['supersede', 'superseded'],
  ])('begins nothing more after %s', async (signal, outcome) => {
    const order = { service: 'shop', environment: 'staging', orderedBy: 'cli:responder' };
    const running = { version: 'v2', commit: 'c2', deployedAt: '2026-11-23T08:00:00Z', weight: 1, instances: 1 };
    const good = { version: 'v1', commit: 'c1', digest: 'tree:v1', at: running.deployedAt };
    const { deployment } = policyOf();
    const run: SkippedRun = await time.start(type, order, {
      policy: async () => policyOf({ deployment: { ...deployment, procedure: 'staging' } }),
      recentReleases: async () => ({ running, recent: [], maxInstances: 4 }),
      ledger: async ({ environment }) => ({ environment, verified: [good], changes: [] }),
      requestChange: async () => {
        await run.handle.signal(signal, { by: 'lead' });
        return { granted: true, fence: 9 };
      },
      release: async () => ({ changed: true, summary: 'it runs' }),
    });
    expect(await run.result()).toMatchObject({ outcome });
    expect(run.calls).not.toContain('smokeTests');
  });
});
