/** What instances say of themselves: a real server, scraped, and asked of a real Prometheus that scrapes it too. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { createActivities } from '../../activities/metrics.ts';
import { openHistory } from '../../activities/metrics/history.ts';
import { Settings } from '../../src/contracts/index.ts';
import { endProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { prometheusBinary, startPrometheus } from '../support/prometheus.ts';
import { asActivity } from './git-rig.ts';
import { settings } from './settings.ts';

const on = { service: 'shop', environment: 'production' };
const ENDS = [0.1, 0.5, 1, 2.5, Infinity];
const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 2 ** 20;

/** An instance: it counts what it is told that it answered, and says how much memory it holds. */
function instance() {
  const answered: { route: string; seconds: number }[] = [];
  const state = { resident: 100 * MIB, heap: 50 * MIB, collections: 0, startedAt: Date.now() / 1000 - 100 };
  const text = (): string => {
    const routes = [...new Set(answered.map(({ route }) => route))];
    const buckets = routes.flatMap((route) =>
      ENDS.map((end) => {
        const count = answered.filter((one) => one.route === route && one.seconds <= end).length;
        const le = end === Infinity ? '+Inf' : end;
        return `http_request_duration_seconds_bucket{le="${le}",route="${route}",method="GET",code="200"} ${count}`;
      }),
    );
    const gauges = [
      `process_resident_memory_bytes ${state.resident}`,
      `nodejs_heap_size_used_bytes ${state.heap}`,
      `nodejs_gc_duration_seconds_count{kind="minor"} 1000`,
      `nodejs_gc_duration_seconds_count{kind="major"} ${state.collections}`,
      `process_start_time_seconds ${state.startedAt}`,
      `nodejs_eventloop_lag_mean_seconds Nan`, // as prom-client writes it
    ];
    return `${[...buckets, ...gauges].join('\n')}\n`;
  };
  const server: Server = createServer((_, response) => {
    state.resident += grows;
    state.heap += grows;
    state.collections += 1;
    response.setHeader('content-type', 'text/plain; version=0.0.4').end(text());
  });
  let grows = 0;
  return {
    server,
    listen: () => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)),
    address: () => `127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (route: string, seconds: number, times: number) =>
      void answered.push(...Array.from({ length: times }, () => ({ route, seconds }))),
    growBy: (bytes: number) => void (grows = bytes),
  };
}

let stateDir: string;
let shop: ReturnType<typeof instance>;
beforeEach(async () => {
  stateDir = scratchFolder();
  shop = instance();
  await shop.listen();
  const file = join(stateDir, 'targets', 'shop-production.json');
  mkdirSync(dirname(file));
  writeFileSync(file, JSON.stringify([{ targets: [shop.address()] }]));
});
afterEach(async () => {
  shop.server.closeAllConnections();
  await new Promise((resolve) => shop.server.close(resolve));
  await removeScratch(stateDir);
});

const provider = (metrics: object = { url: 'http://127.0.0.1:9/metrics' }) => {
  const environment = {
    ...settings.services[0]!.environments['production'],
    metrics: { requests: 'http_request_duration_seconds', ...metrics },
    performance: { memoryLimitMiB: 512 },
  };
  const services = [{ name: 'shop', environments: { production: environment } }];
  return createActivities({ HOLDFAST_STATE_DIR: stateDir }, Settings.parse({ ...settings, services }));
};

it('gives the percentiles and the throughput of each route, the slowest first', async () => {
  shop.answer('/', 0.05, 500); // before anybody looked: not of the window
  const metrics = provider();
  const reading = metrics.routeTimes({ ...on, windowSeconds: 2 });
  await until(async () => openHistory(stateDir).first(on, 0) !== undefined);
  shop.answer('/', 0.05, 90);
  shop.answer('/api/products', 0.05, 10);
  shop.answer('/api/products', 2, 30);
  const [slow, quick] = await reading;
  expect(slow).toMatchObject({ route: 'GET /api/products', now: { requests: 40 } });
  expect(slow!.now.p50Ms).toBeGreaterThan(1000);
  expect(slow!.now.p99Ms).toBeLessThanOrEqual(2500);
  expect(quick).toMatchObject({ route: 'GET /', now: { requests: 90 } });
  expect(quick!.now.p95Ms).toBeLessThanOrEqual(100);
  expect(quick!.now.perSecond).toBeGreaterThan(10);
});

it('compares with the window before the release and with yesterday, by what an earlier worker has noted', async () => {
  const history = openHistory(stateDir);
  const memory = { residentBytes: 1, heapBytes: 1, collections: 0, startedAt: 1 };
  const note = (at: number, instanceName: string, count: number) => {
    history.add(on, { instance: instanceName, at, counts: [], memory });
    const counts = ENDS.map((end) => ({
      route: 'GET /',
      le: end === Infinity ? '+Inf' : String(end),
      value: end >= 0.5 ? count : 0,
    }));
    history.add(on, { instance: instanceName, at: at + 500, counts, memory });
  };
  const since = Date.now() - 20 * 60_000;
  note(Date.now() - DAY_MS - 90_000, 'a', 7); // kept by the minute in which it ended
  note(since - 5000, 'b', 11);
  const reading = provider().routeTimes({ ...on, windowSeconds: 10, since: new Date(since).toISOString() });
  await until(async () => history.first(on, Date.now() - 3000) !== undefined);
  shop.answer('/', 0.05, 3);
  const [route] = await reading;
  expect(route).toMatchObject({ now: { requests: 3 }, before: { requests: 11 }, yesterday: { requests: 7 } });
  expect(route!.before!.p95Ms).toBeGreaterThan(400);
});

it('sees the memory that grows, how fast, and when it meets its limit', async () => {
  shop.growBy(5 * MIB);
  const [trend, ...others] = await asActivity(() => provider().memoryTrends({ ...on, windowSeconds: 5 }));
  expect(others).toEqual([]);
  expect(trend).toMatchObject({ instance: shop.address(), restarts: 0, limitBytes: 512 * MIB });
  expect(trend!.samples).toBeGreaterThanOrEqual(10);
  expect(trend!.heapBytesPerHour).toBeGreaterThan(0);
  const minutes = trend!.hoursUntilLimit! * 60;
  expect(minutes).toBeGreaterThan(0);
  expect(minutes).toBeLessThan(10);
});

it('says which thing is wrong when no instance answers, or there is no list of them', async () => {
  const metrics = provider();
  await expect(metrics.routeTimes({ service: 'shop', environment: 'staging', windowSeconds: 1 })).rejects.toThrow(
    'shop/staging has no metrics configured',
  );
  shop.server.closeAllConnections();
  await new Promise((resolve) => shop.server.close(resolve));
  await expect(metrics.routeTimes({ ...on, windowSeconds: 1 })).rejects.toMatchObject({ type: 'Unavailable' });
  await shop.listen();
});

/** What Prometheus has of `GET /` where so many were answered every 15 s within 0.1 s, and so many within half a second. */
function scrapedEvery15s(of: { from: number; to: number; quick: (at: number) => number; slow: number }): string {
  const times = Array.from({ length: (of.to - of.from) / 15_000 + 1 }, (_, i) => of.from + i * 15_000);
  let [quick, slow] = [0, 0];
  const counted = times.map((at) => ({ at, quick: (quick += of.quick(at)), all: quick + (slow += of.slow) }));
  return ENDS.flatMap((end) =>
    counted.map((count) => {
      const labels = `le="${end === Infinity ? '+Inf' : end}",route="/",method="GET",code="200",job="shop",instance="a"`;
      return `http_request_duration_seconds_bucket{${labels}} ${end < 0.5 ? count.quick : count.all} ${count.at / 1000}`;
    }),
  ).join('\n');
}

const described = prometheusBinary === undefined ? describe.skip : describe;
described('asked of Prometheus', () => {
  afterEach(() => endProcess(stateDir, 'prometheus'));

  it('are the same routes, and the memory over its own samples', async () => {
    const url = await startPrometheus({ stateDir, targets: { shop: [shop.address()] } });
    shop.growBy(4 * MIB);
    shop.answer('/', 0.05, 1);
    const metrics = provider({ source: 'prometheus', url, instances: { job: 'shop' } });
    const routes = () => metrics.routeTimes({ ...on, windowSeconds: 60 });
    await until(async () => (await asActivity(() => metrics.memoryTrends({ ...on, windowSeconds: 2 }))).length === 1);
    shop.answer('/', 2, 40);
    await until(async () => ((await routes())[0]?.now.requests ?? 0) > 30);
    const [route] = await routes();
    expect(route?.route).toBe('GET /');
    expect(route!.now.p95Ms).toBeGreaterThan(1000);
    expect(route!.yesterday).toBeUndefined();
    const [trend] = await asActivity(() => metrics.memoryTrends({ ...on, windowSeconds: 2 }));
    expect(trend).toMatchObject({ instance: shop.address(), restarts: 0 });
    expect(trend!.hoursUntilLimit).toBeLessThan(0.5);
    expect(trend!.residentBytesPerHour).toBeGreaterThan(1000 * MIB);
  }, 120_000);

  it('compares with the window before the release and with this time yesterday, each with its own figures', async () => {
    const since = Date.now() - 3 * 60 * 60_000;
    const earlier = [
      scrapedEvery15s({ from: since - 600_000, to: since + 600_000, quick: (at) => (at <= since ? 1 : 50), slow: 1 }),
      scrapedEvery15s({
        from: Date.now() - DAY_MS - 600_000,
        to: Date.now() - DAY_MS + 600_000,
        quick: () => 4,
        slow: 0,
      }),
    ];
    const url = await startPrometheus({
      stateDir,
      targets: { shop: [shop.address()] },
      earlier: `${earlier.toReversed().join('\n')}\n# EOF\n`,
    });
    shop.answer('/', 0.05, 1);
    const metrics = provider({ source: 'prometheus', url, instances: { job: 'shop' } });
    const read = async () =>
      (await metrics.routeTimes({ ...on, windowSeconds: 300, since: new Date(since).toISOString() }))[0];
    await until(async () => (await asActivity(() => metrics.memoryTrends({ ...on, windowSeconds: 2 }))).length === 1);
    shop.answer('/', 2, 40);
    await until(async () => ((await read())?.now.requests ?? 0) > 30);
    const { now, before, yesterday } = (await read()) ?? {};
    expect(now!.p95Ms).toBeGreaterThan(1000);
    expect(before!.requests).toBeCloseTo(40, 0); // in five minutes one quick and one slow every 15 s
    expect(before!.perSecond).toBeCloseTo(40 / 300, 2);
    expect([before!.p50Ms, before!.p95Ms, before!.p99Ms].map(Math.round)).toEqual([100, 460, 492]);
    expect(yesterday!.requests).toBeCloseTo(80, 0);
    expect([yesterday!.p50Ms, yesterday!.p95Ms].map(Math.round)).toEqual([50, 95]);
  }, 120_000);
});
