import { Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import { REACHING, type DeploymentOrder } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { endedStatus } from '../support/ended.ts';
import { incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

const RUNNER = 'shop-production';
let time: SkippedTime;
let runner: Worker;
let running: Promise<void>;
let there: ReturnType<typeof createSimulator>;
beforeEach(async () => {
  time = await skippedTime();
  there = createSimulator();
  runner = await Worker.create({
    connection: time.env.nativeConnection,
    taskQueue: RUNNER,
    activities: Object.fromEntries(REACHING.map((name) => [name, there.ports[name]])),
  });
  running = runner.run();
});
afterEach(async () => {
  runner.shutdown();
  await running;
  await time.close();
});

const policy = async () => policyOf({ runners: { production: RUNNER } });
const reaches = (call: string): boolean => (REACHING as string[]).includes(call);
/** The control plane, which cannot reach into the environment. */
const start = (type: string, input: object, overrides: Partial<Ports> = {}) =>
  time.start(type, input, { policy, ...overrides });

it('has the runner of the environment diagnose, mitigate and verify, and the control plane nothing of it', async () => {
  const run = await start('highErrorRate', incident());
  await run.decide('approved', 'responder');
  expect(await run.result()).toEqual({ outcome: 'mitigated', note: 'Roll shop back from v2 to v1' });
  expect(there.world.running).toBe('v1');
  expect(run.calls.filter(reaches)).toEqual([]);
  expect(run.calls).toEqual(expect.arrayContaining(['errorPatterns', 'requestChange', 'page', 'record']));
  expect(there.calls).toEqual(expect.arrayContaining(['recentReleases', 'supabaseHealth', 'rollBack', 'errorRatio']));
});

it('tells the audit trail of what the runner has done and by whose decision, and of nothing that only reads', async () => {
  const run = await start('highErrorRate', incident());
  await run.decide('approved', 'responder');
  await run.result();
  const told = { runner: RUNNER, by: ['responder'], what: 'roll-back', result: 'done', detail: expect.any(String) };
  expect(run.ofRunners).toEqual([told]);
});

it('tells it of what the runner could not do', async () => {
  const there = await Worker.create({
    connection: time.env.nativeConnection,
    taskQueue: 'broken',
    activities: {
      ...Object.fromEntries(REACHING.map((name) => [name, createSimulator().ports[name]])),
      rollBack: () => Promise.reject(failure('ReleaseFailed', 'no space left')),
    },
  });
  await there.runUntil(async () => {
    const run = await start('highErrorRate', incident(), {
      policy: async () => policyOf({ runners: { production: 'broken' } }),
    });
    await run.decide('approved', 'responder');
    await run.result();
    expect(run.ofRunners[0]).toMatchObject({
      runner: 'broken',
      what: 'roll-back',
      result: 'failed',
      detail: 'no space left',
    });
  });
});

it('tells it of nothing that the control plane does itself, which is there already', async () => {
  const run = await time.start('highErrorRate', incident());
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(run.ofRunners).toEqual([]);
});

it('deploys through the runner, and reads the environment before it where that is reached from here', async () => {
  const order: DeploymentOrder = {
    service: 'shop',
    environment: 'production',
    ref: '1.4.0',
    orderedBy: 'cli:responder',
  };
  const run = await start('productionDeployment', order, {
    policy: async () => {
      const { deployment, ...of } = await policy();
      return { ...of, deployment: { ...deployment, after: 'staging' } };
    },
    ledger: async ({ environment }) => ({
      environment,
      verified: [{ version: '1.4.0', commit: 'commit-of-1.4.0', digest: 'tree:1.4.0', at: new Date(0).toISOString() }],
      changes: [],
    }),
  });
  there.world.errorRatio = 0;
  await run.decide('approved', 'lead');
  await run.decide('approved', 'cto');
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect(there.world.running).toBe('1.4.0');
  expect(there.calls).toEqual(
    expect.arrayContaining(['migrate', 'backUp', 'proveBackup', 'shiftTraffic', 'smokeTests']),
  );
  expect(run.calls.filter(reaches)).toEqual(['flagStates']); // of staging
});

it('gives no release its traffic without an approval, but on a game day', async () => {
  const order = { service: 'shop', environment: 'production', ref: 'v3' };
  const policy = async () => policyOf({ unapprovedReleases: false });
  const run = await start('deployRelease', order, { policy });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'Refused' } });
  expect(there.calls).toEqual([]);
});

it('gives one release its traffic through the runner', async () => {
  const gameDay = async () => ({ ...(await policy()), unapprovedReleases: true });
  const order = { service: 'shop', environment: 'production', ref: 'v3' };
  const run = await start('deployRelease', order, { policy: gameDay });
  await run.handle.result();
  expect(there.calls).toEqual(['release', 'httpHealth']);
  expect(run.calls.filter(reaches)).toEqual([]);
});

it.each([
  [false, 'verified'],
  [true, 'unverified'],
])('has what a game day releases as good only where it is not to go wrong: bad %s, %s', async (bad, expected) => {
  const told: unknown[] = [];
  const run = await start(
    'deployRelease',
    { service: 'shop', environment: 'production', ref: 'v3', bad },
    {
      policy: async () => ({ ...(await policy()), unapprovedReleases: true }),
      reportChange: async ({ running, result: ended }) => void told.push({ running, result: ended }),
    },
  );
  await run.handle.result();
  expect(told).toEqual([{ running: 'v3', result: expected }]);
});

it('watches through the runner, and measures there what an incident has cost', async () => {
  const monitor = await start('monitorService', {
    service: 'shop',
    every: '1 minute',
    watched: [{ environment: 'production', alerts: {} }],
  });
  const review = await start('postIncident', { status: endedStatus(), policy: await policy() });
  while (review.reviews.length === 0) await time.env.sleep('1 minute');
  expect(monitor.calls.filter(reaches)).toEqual([]);
  expect(review.calls.filter(reaches)).toEqual([]);
  expect(there.calls.filter((call) => call === 'errorRatio').length).toBeGreaterThan(1);
  expect(there.calls).toEqual(expect.arrayContaining(['httpHealth', 'poolUse', 'memoryTrends']));
});

it('takes what a runner that is away would read for unknown', async () => {
  const run = await start('triage', incident(), {
    policy: async () => policyOf({ runners: { production: 'nobody' } }),
  });
  const { findings } = await run.until((status) => status.findings.length > 0);
  expect(findings).toMatchObject([{ verdict: 'unknown' }]);
  expect(run.calls.filter(reaches)).toEqual([]);
  await run.result();
});
