import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createActivities } from '../../activities/metrics.ts';
import { increase, quantileMs, samplesOf, shareOver } from '../../activities/metrics/series.ts';
import { Settings } from '../../src/contracts/index.ts';
import { startCaddy } from '../../src/embedded/caddy.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess } from '../../src/processes.ts';
import { makeUnreadable } from '../support/unreadable.ts';
import { failsAsDeclared, refusesNonsense, serving } from './http-server.ts';
import { settings } from './settings.ts';

const on = { service: 'shop', environment: 'production' };
let stateDir: string;
let adminUrl: string;
let port: number;

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'holdfast-scrape-'));
  ({ adminUrl } = await startCaddy({ stateDir, adminPort: await freePort() }));
  port = await freePort();
});
afterAll(async () => {
  await endProcess(stateDir, 'caddy');
  await rm(stateDir, { recursive: true, force: true });
});

/** The provider on Prometheus text at `url`. */
const scraping = (url: string, requests = 'caddy_http_request_duration_seconds') => {
  const [shop] = settings.services;
  const metrics = { url, requests, match: { server: 'shop' } };
  const environments = { production: { ...shop!.environments['production'], metrics } };
  return createActivities(
    { HOLDFAST_STATE_DIR: stateDir },
    Settings.parse({ ...settings, services: [{ name: 'shop', environments }] }),
  );
};

/** `/bad` answers 500, all else 200; `note` makes it another configuration, which resets Caddy's counters. */
const configure = async (note: string) => {
  const respond = (status_code: number) => ({ handler: 'static_response', status_code, body: note });
  const response = await fetch(`${adminUrl}/config/apps/http/servers/shop`, {
    method: 'POST',
    headers: { origin: adminUrl, 'content-type': 'application/json' },
    body: JSON.stringify({
      listen: [`127.0.0.1:${port}`],
      routes: [{ match: [{ path: ['/bad'] }], handle: [respond(500)] }, { handle: [respond(200)] }],
    }),
  });
  expect(response.ok).toBe(true);
};
const ask = async (path: string, times: number) => {
  for (let i = 0; i < times; i += 1) await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
};

it('counts what happened between two samples, also over a reset of the counters', async () => {
  await configure('one');
  await ask('/', 50);
  const metrics = scraping(`${adminUrl}/metrics`);
  const first = metrics.errorRatio({ ...on, windowSeconds: 1 });
  await sleep(300);
  await ask('/', 15);
  await ask('/bad', 5);
  expect(await first).toMatchObject({ ratio: 0.25, requests: 20 });

  await configure('two');
  await ask('/', 4);
  await sleep(300);
  expect(await metrics.errorRatio({ ...on, windowSeconds: 2 })).toMatchObject({
    ratio: expect.closeTo(5 / 24),
    requests: 24,
  });
  const { p50Ms, p95Ms, requests } = await metrics.responseTimes({ ...on, windowSeconds: 2 });
  expect(requests).toBe(24);
  expect(p50Ms).toBeGreaterThan(0);
  expect(p95Ms).toBeGreaterThanOrEqual(p50Ms);
});

it('says that nothing was asked where there were no requests', async () => {
  const reading = await scraping(`${adminUrl}/metrics`).errorRatio({ ...on, windowSeconds: 0.5 });
  expect(reading).toEqual({ ratio: 0, requests: 0, windowSeconds: expect.any(Number) });
});

it.each([
  ['counts none yet', 'h_count{server="shop",code="200"} 0', {}],
  ['says that it counts them, and has counted none', '# TYPE h histogram', {}],
  ['counts only those of another', '# TYPE h histogram\nh_count{server="mail",code="200"} 9', { absent: true }],
  ['does not count any', '# TYPE other histogram\nother_count{server="shop",code="200"} 9', { absent: true }],
])('tells a time without a request from not knowing, where the target %s', async (_, text, absent) => {
  await using server = await serving(() => ({ body: `${text}\nother 1\n` }));
  const reading = await scraping(server.url, 'h').errorRatio({ ...on, windowSeconds: 0.3 });
  expect(reading).toEqual({ ratio: 0, requests: 0, windowSeconds: expect.any(Number), ...absent });
});

it('measures the busiest instance', async () => {
  const halfACore = (): number => performance.now() / 2000;
  const server = createServer((_, response) => response.end(`process_cpu_seconds_total ${halfACore()}\n`));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as AddressInfo;
  await mkdir(join(stateDir, 'targets'), { recursive: true });
  const targets = [`127.0.0.1:${own}`, `127.0.0.1:${await freePort()}`];
  await writeFile(join(stateDir, 'targets', 'shop-production.json'), JSON.stringify([{ targets, labels: {} }]));
  const { busiest, instances } = await scraping(`${adminUrl}/metrics`).saturation({ ...on, windowSeconds: 1 });
  server.close();
  expect(instances).toBe(1);
  expect(busiest).toBeCloseTo(0.5, 1);
});

it('cannot say how busy a service is whose instances are not known, or do not answer', async () => {
  const metrics = scraping(`${adminUrl}/metrics`);
  const elsewhere = metrics.saturation({ service: 'shop', environment: 'staging', windowSeconds: 1 });
  await expect(elsewhere).rejects.toMatchObject({ type: 'NotConfigured' });
  const list = join(stateDir, 'targets', 'shop-production.json');
  await makeUnreadable(list);
  await expect(metrics.saturation({ ...on, windowSeconds: 1 })).rejects.toMatchObject({ type: 'Unavailable' });
  await rm(list);
  await writeFile(list, '[{"targets":["127.0.0.1:1"],"labels":{}}]');
  await expect(metrics.saturation({ ...on, windowSeconds: 1 })).rejects.toMatchObject({ type: 'Unavailable' });
});

describe('as any provider', () => {
  const call = (url: string) => scraping(url).errorRatio({ ...on, windowSeconds: 0.1 });
  failsAsDeclared(call);
  refusesNonsense(call);
});

describe('Prometheus text format', () => {
  const at = (time: number, text: string) => ({ at: time, series: samplesOf(text, ['c', 'h_bucket'], 'test') });

  it('is read with escapes, timestamps and comments', () => {
    const { series } = at(
      0,
      '# HELP c x\n# TYPE c counter\nc{path="a\\"}b\\\\",code="200"} 1e3 1700000000\n\nother 3\n',
    );
    expect([...series.values()]).toEqual([{ name: 'c', labels: { path: 'a"}b\\', code: '200' }, value: 1000 }]);
  });

  it('adds up what rose, series by series', () => {
    const samples = ['c{x="1"} 10\n', 'c{x="1"} 15\n', 'c{x="1"} 2\nc{x="2"} 4\n'].map((text, i) => at(i, text));
    expect(increase(samples).map(({ value }) => value)).toEqual([7, 4]);
  });

  it('interpolates within a bucket, and never beyond the last end', () => {
    const text = (counts: number[]) =>
      ['0.1', '0.2', '+Inf'].map((le, i) => `h_bucket{le="${le}"} ${counts[i]}\n`).join('');
    const risen = increase([at(0, text([0, 0, 0])), at(1, text([50, 100, 100]))]);
    expect(quantileMs(risen, 0.5)).toBeCloseTo(100);
    expect(quantileMs(risen, 0.75)).toBeCloseTo(150);
    expect(quantileMs(increase([at(0, text([0, 0, 0])), at(1, text([0, 0, 9]))]), 0.95)).toBeCloseTo(200);
    expect(quantileMs([], 0.95)).toBe(0);
    expect(shareOver(risen, 150)).toBeCloseTo(0.25);
    expect(shareOver(risen, 100)).toBeCloseTo(0.5);
    expect(shareOver(risen, 5000)).toBe(0);
    expect(shareOver(increase([at(0, text([0, 0, 0])), at(1, text([0, 0, 9]))]), 5000)).toBe(1);
    expect(shareOver([], 100)).toBe(0);
  });
});
