/** What a code-hosting service is told of a deployment, and that none waits for it. */
import type { DeploymentOrder, ShownDeployment } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const running = { version: '1.3.0', commit: 'c-1.3.0', deployedAt: '2026-11-23T08:00:00Z', weight: 1, instances: 1 };
const { deployment } = policyOf();
const STAGING = { procedure: 'staging' as const, canary: { ...deployment.canary, weights: [] } };

async function start(
  type: string,
  { environment, ...more }: { environment: string } & Partial<Policy['deployment']>,
  overrides: Partial<Ports> = {},
) {
  const shown: ShownDeployment[] = [];
  const published: object[] = [];
  const order: DeploymentOrder = { service: 'shop', environment, ref: 'main', orderedBy: 'incident:test' };
  const run = await time.start(type, order, {
    policy: async () => policyOf({ deployment: { ...deployment, shown: true, ...more } }),
    recentReleases: async () => ({ running, recent: [], maxInstances: 4 }),
    showDeployment: async (of) => {
      shown.push(of);
      return { changed: true, summary: of.state };
    },
    publishRelease: async (of) => {
      published.push(of);
      return { changed: true, summary: 'published' };
    },
    errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
    ...overrides,
  });
  const { workflowId } = run.handle;
  return {
    ...run,
    shown,
    published,
    states: () => shown.map(({ state }) => state),
    /** Wait for the workflow that has the last word. */
    async recorded(): Promise<void> {
      await time.env.client.workflow.getHandle(`record.${workflowId}.${run.handle.firstExecutionRunId}`).result();
    },
  };
}
type Policy = ReturnType<typeof policyOf>;

it('shows a deployment from its beginning to its end, and publishes nothing for staging', async () => {
  const run = await start('stagingDeployment', { environment: 'staging', ...STAGING });
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  await run.recorded();
  expect(run.states()).toEqual(['waiting', 'in-progress', 'released']);
  expect(run.shown.at(-1)).toMatchObject({
    environment: 'staging',
    version: '1.4.0',
    commit: 'commit-of-main',
    workflowId: run.handle.workflowId,
    note: '1.4.0 runs in staging and is verified good',
  });
  expect(run.published).toEqual([]);
});

it('publishes the release that is verified good in production, with what ran before', async () => {
  const run = await start('productionDeployment', {
    environment: 'production',
    canary: { ...deployment.canary, weights: [] },
  });
  await run.decide('approved', 'lead');
  await run.decide('approved', 'cto');
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  await run.recorded();
  expect(run.states()).toEqual(['waiting', 'in-progress', 'released']);
  expect(run.published).toMatchObject([{ version: '1.4.0', commit: 'commit-of-main', since: 'c-1.3.0' }]);
});

it('shows what failed as failed, with why', async () => {
  const failed = await start(
    'stagingDeployment',
    { environment: 'staging', ...STAGING },
    { runPipeline: async () => ({ passed: false, summary: '`npm test` ended with 1', log: 'l' }) },
  );
  expect(await failed.result()).toMatchObject({ outcome: 'failed' });
  await failed.recorded();
  expect(failed.shown.at(-1)).toMatchObject({ state: 'failed', note: expect.stringContaining('npm test') });
});

it('shows as ended what a person declines', async () => {
  const run = await start('productionDeployment', { environment: 'production' });
  await run.decide('declined', 'lead');
  expect(await run.result()).toMatchObject({ outcome: 'declined' });
  await run.recorded();
  expect(run.states()).toEqual(['waiting', 'ended']);
});

it('never waits for a code host that is away, and shows how it ended when it is back', async () => {
  let away = true;
  const shown: string[] = [];
  const run = await start(
    'stagingDeployment',
    { environment: 'staging', ...STAGING },
    {
      showDeployment: async ({ state }) => {
        if (away) throw failure('Unavailable', 'GitHub: HTTP 503');
        shown.push(state);
        return { changed: true, summary: state };
      },
    },
  );
  const begun = await time.env.currentTimeMs();
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect((await time.env.currentTimeMs()) - begun).toBeLessThan(60_000);
  away = false;
  await run.recorded();
  expect(shown).toEqual(['released']);
});

it('goes on where the code host refuses it, and says so', async () => {
  const run = await start(
    'stagingDeployment',
    { environment: 'staging', ...STAGING },
    {
      showDeployment: async () => {
        throw failure('NotAllowed', 'GitHub: HTTP 403');
      },
    },
  );
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  await run.recorded();
  const { timeline } = await run.status();
  expect(timeline.filter(({ kind }) => kind === 'not-shown').map(({ what }) => what)).toContain(
    'Not shown on the code host: GitHub: HTTP 403',
  );
});

it('asks no code host where none is configured', async () => {
  const run = await start('stagingDeployment', { environment: 'staging', ...STAGING, shown: false });
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  await run.recorded();
  expect(run.calls).not.toContain('showDeployment');
});
