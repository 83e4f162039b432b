import type { Alert, MemoryTrend, WebVital } from '../../src/contracts/index.ts';
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

/** A monitor that reads every minute, and what it has sent. */
async function monitoring(world: { hours: number; p75: number; samples?: number }) {
  const sent: Alert[] = [];
  const gathers: unknown[] = [];
  const input = { service: 'shop', every: '1 minute', watched: [{ environment: 'production', alerts: {} }] };
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
  return { world, told, minutes, gathers, calls: run.calls, stop: () => run.handle.terminate() };
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
