/** The command line beside a real Temporal with a monitor that a worker's start has begun; what it reads is simulated. */
import { join } from 'node:path';
import { createSimulator } from '../../activities/simulator.ts';
import { parseSettings } from '../../src/config.ts';
import { runCommand } from '../../src/processes.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { startMonitors } from '../../workers/monitors.ts';
import configuration from '../../holdfast.config.ts';
import { serving, type Answer } from '../activities/http-server.ts';
import { until } from '../support/until.ts';
import { startTemporalRig, TASK_QUEUE, type TemporalRig } from '../gateway/temporal-rig.ts';

const ROOT = join(__dirname, '..', '..');
let temporal: TemporalRig;
beforeAll(async () => {
  const { ports } = createSimulator();
  temporal = await startTemporalRig({
    workflowBundle: await workflowBundle('.holdfast'),
    activities: { ...ports, errorRatio: async () => ({ ratio: 0.004, requests: 500, windowSeconds: 10 }) },
    sinks: { failures: { workflowFailed: { fn: () => undefined } } },
  });
}, 120_000);
afterAll(async () => {
  await temporal.clear();
  await temporal[Symbol.asyncDispose]();
});

let record: Record<string, string> = {};
const slo = async (...args: string[]) =>
  await runCommand({
    command: process.execPath,
    args: ['src/cli/main.ts', 'slo', ...args],
    cwd: ROOT,
    env: {
      TEMPORAL_ADDRESS: temporal.address,
      HOLDFAST_STATE_DIR: '/nonexistent',
      HOLDFAST_CONFIG: 'holdfast.config.ts',
      ...record,
    },
    timeoutMs: 60_000,
  });

it('shows nothing before a monitor runs, then each objective with its budget, burn rates and trend', async () => {
  expect((await slo()).stdout).toContain('nothing is measured yet');

  await startMonitors(temporal.client, TASK_QUEUE, parseSettings(configuration, {}));
  const monitor = temporal.client.workflow.getHandle('monitor.shop');
  await until(async () => (await monitor.query<unknown[]>('objectives').catch(() => [])).length === 4);
  const reports = JSON.parse((await slo('shop', '--json')).stdout) as object[];
  expect(reports).toMatchObject([
    {
      service: 'shop',
      environment: 'production',
      name: 'error ratio',
      objective: 'under 1 %',
      now: '0.4 %',
      allowed: 0.01,
    },
    { name: 'response time', objective: '95 % of the answers within 500 ms', now: 'p95 90 ms', budgetLeft: 1 },
    { name: 'uptime', objective: 'over 99.9 %', now: 'up', budgetLeft: 1 },
    { name: 'web vitals', objective: 'pass 95 % of the time', now: 'passing', budgetLeft: 1 },
  ]);
  expect(reports[0]).toMatchObject({
    budgetLeft: expect.closeTo(1, 3),
    burn: [
      { name: 'fast', factor: 14.4, firing: false },
      { name: 'slow', factor: 6, firing: false },
    ],
    trend: [{ day: new Date().toISOString().slice(0, 10), badShare: expect.closeTo(0.004) }],
  });
  const { stdout } = await slo();
  expect(stdout).toContain('shop production: error ratio under 1 %: now 0.4 %');
  expect(stdout).toMatch(/budget left 100 % of 30 days, 0\.0 of them measured/);
}, 120_000);

it('completes the trend by the days that the record holds, and says so where it cannot be read', async () => {
  const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
  const asked: URLSearchParams[] = [];
  const answer: Answer = {};
  await using server = await serving(({ url }) => {
    asked.push(url.searchParams);
    const [, environment] = (url.searchParams.get('environment') ?? '').split('.');
    const [, objective] = (url.searchParams.get('objective') ?? '').split('.');
    const of = { service: 'shop', environment, objective, total: 1000, seconds: 86_400 };
    const days = [
      { ...of, day: daysAgo(20), bad: 10 },
      { ...of, day: daysAgo(2), bad: 0 },
      { ...of, day: daysAgo(1), total: 0, bad: 0 },
    ];
    return { body: objective === 'error ratio' ? days : [], ...answer };
  });
  record = { RECORD_SUPABASE_URL: server.url, RECORD_SUPABASE_SECRET_KEY: 'sb_secret_test' };
  const [errors, times] = JSON.parse((await slo('shop', '--json')).stdout) as { trend: object[] }[];
  expect(errors?.trend.slice(0, -1)).toEqual([
    { day: daysAgo(20), total: 1000, badShare: 0.01 },
    { day: daysAgo(2), total: 1000, badShare: 0 },
  ]);
  expect(times?.trend).toHaveLength(1);
  expect(asked[0]?.get('day')).toBe(`gte.${daysAgo(27)}`);
  expect((await slo('shop')).stdout).toMatch(/ {2}trend ·{7}█·{17}▁·[▁-█] \(28 days, 3 measured/);

  answer.status = 503;
  const { stdout } = await slo('shop');
  expect(stdout).toContain('(28 days, 1 measured');
  expect(stdout).toContain('the record cannot be read');
  record = {};
}, 60_000);

it('refuses a service that is not in the configuration', async () => {
  await expect(slo('moon')).rejects.toMatchObject({ message: expect.stringContaining('there is no service "moon"') });
});
