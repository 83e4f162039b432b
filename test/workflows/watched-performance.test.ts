import type { Alert, MemoryTrend, ObjectiveReport, WebVital } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { skippedTime, policyOf, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const memory = (hoursUntilLimit: number): MemoryTrend => ({
  instance: '127.0.0.1:4001',
  samples: 40,
  seconds: 600,
  restarts: 0,
  residentBytes: 500e6,
  residentBytesPerHour: 1e9,
  heapBytesPerHour: 1e9,
  hoursUntilLimit,
});
const lcp = (p75: number, samples = 400): WebVital => ({ page: '/', device: 'mobile', metric: 'LCP', p75, samples });

/** A monitor that reads every minute, where nothing else is said, what it knows already, and what it has sent. */
async function monitoring(
  world: { hours: number; p75: number; samples?: number },
  { every = '1 minute', known = {} }: { every?: string; known?: object } = {},
) {
  const sent: Alert[] = [];
  const gathers: unknown[] = [];
  const input = { service: 'shop', every, watched: [{ environment: 'production', alerts: {}, ...known }] };
  const overrides: Partial<Ports> = {
    policy: async () => policyOf(),
    errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
    memoryTrends: async ({ gather }) => {
      gathers.push(gather);
      return [memory(world.hours)];
    },
    webVitals: async () => [lcp(world.p75, world.samples)],
    sendAlert: async (alert) => void sent.push(alert),
  };
  const run = await time.start('monitorService', input, overrides, { forgetful: true });
  const minutes = (n: number) => time.env.sleep(`${n} minutes`);
  const told = () => sent.map(({ name, status }) => `${name} ${status}`);
  const objective = async (wanted: string) =>
    (await run.handle.query<ObjectiveReport[]>('objectives')).find(({ name }) => name === wanted);
  return { world, sent, told, minutes, objective, gathers, calls: run.calls, stop: () => run.handle.terminate() };
}

it('raises a leak and failing web vitals at the second reading, and resolves them at the third good one', async () => {
  const monitor = await monitoring({ hours: 1, p75: 4000 });
  await monitor.minutes(2);
  expect(monitor.told().sort()).toEqual(['MemoryLeak firing', 'WebVitalsFailing firing']);
  Object.assign(monitor.world, { hours: 20, p75: 1200 });
  await monitor.minutes(4);
  expect(monitor.told().slice(2).sort()).toEqual(['MemoryLeak resolved', 'WebVitalsFailing resolved']);
  await monitor.stop();
});

it('raises nothing over too few samples, never waits for more, and reads the routes so that they are known later', async () => {
  const monitor = await monitoring({ hours: 20, p75: 9000, samples: 3 });
  await monitor.minutes(3);
  expect(monitor.told()).toEqual([]);
  expect(new Set(monitor.gathers)).toEqual(new Set([false]));
  expect(monitor.calls.filter((call) => call === 'routeTimes').length).toBeGreaterThanOrEqual(3);
  await monitor.stop();
});

describe('the error budget of web vitals', () => {
  it('is of the time in which they pass, begins beside what an older monitor knows, and warns when it burns', async () => {
    const budget = { recent: [], days: [] };
    const uptime = { alert: 'UptimeBudgetBurn', objective: 'over 99.9 %', allowed: 0.001, budget };
    const monitor = await monitoring(
      { hours: 20, p75: 4000 },
      { every: '3 minutes', known: { objectives: { uptime } } },
    );
    const burns = () => monitor.sent.filter(({ name }) => name === 'WebVitalsBudgetBurn');
    await monitor.minutes(41); // 20 times too fast, yet 13.7 % of the hour
    expect(burns()).toEqual([]);
    await monitor.minutes(8);
    expect(burns()).toMatchObject([{ status: 'firing', severity: 'warning', labels: { burn: 'fast' } }]);
    const failing = await monitor.objective('web vitals');
    expect(failing).toMatchObject({ objective: 'pass 95 % of the time', now: 'failing' });
    expect(failing?.budgetLeft).toBeCloseTo(1 - (20 * 49) / (30 * 24 * 60), 2);
    expect(await monitor.objective('uptime')).toMatchObject({ now: 'up' });
    Object.assign(monitor.world, { p75: 1200 });
    await monitor.minutes(20);
    expect(burns().map(({ status }) => status)).toEqual(['firing', 'resolved']);
    expect(await monitor.objective('web vitals')).toMatchObject({ now: 'passing' });
    await monitor.stop();
  });

  it('is not touched by readings that cannot say whether they pass', async () => {
    const monitor = await monitoring({ hours: 20, p75: 9000, samples: 3 });
    await monitor.minutes(5);
    const known = await monitor.objective('web vitals');
    expect(known).toMatchObject({ measuredDays: 0, trend: [] });
    expect(known).not.toHaveProperty('budgetLeft');
    await monitor.stop();
  });
});
