/** A real Prometheus that scrapes a real server, beside the scrape of the same server. */
import { createActivities } from '../../activities/metrics.ts';
import { Settings } from '../../src/contracts/index.ts';
import { endProcess } from '../../src/processes.ts';
import { measuredServer, prometheusBinary, startPrometheus } from '../support/prometheus.ts';
import { scratch } from '../gateway/rig.ts';
import { until } from '../support/until.ts';
import { failsAsDeclared, refusesNonsense, serving, type Asked } from './http-server.ts';
import { settings } from './settings.ts';

const on = { service: 'shop', environment: 'production' };

/** The provider, with the metrics of production at these places. */
const metricsAt = (metrics: object, env: { PROMETHEUS_TOKEN?: string } = {}, deployment: object = {}) => {
  const [shop] = settings.services;
  const requests = 'caddy_http_request_duration_seconds';
  const production = {
    ...shop!.environments['production'],
    metrics: { requests, match: { server: 'shop' }, ...metrics },
    deployment,
  };
  return createActivities(
    { HOLDFAST_STATE_DIR: '/nonexistent', ...env },
    Settings.parse({ ...settings, services: [{ name: 'shop', environments: { production } }] }),
  );
};
const asking = (url: string, more: object = {}) => metricsAt({ source: 'prometheus', url, ...more });

const nothing = { status: 'success', data: { resultType: 'vector', result: [] } };

const described = prometheusBinary === undefined ? describe.skip : describe;
described('Prometheus', () => {
  const folder = scratch();
  let shop: Awaited<ReturnType<typeof measuredServer>>;
  let rest: Awaited<ReturnType<typeof measuredServer>>;
  let url: string;
  beforeAll(async () => {
    [shop, rest] = await Promise.all([measuredServer(), measuredServer()]);
    const targets = { shop: [new URL(shop.url).host], resting: [new URL(rest.url).host] };
    url = await startPrometheus({ stateDir: folder.stateDir, targets });
  });
  afterAll(async () => {
    await endProcess(folder.stateDir, 'prometheus');
    await shop[Symbol.asyncDispose]();
    await rest[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const seconds = (windowSeconds: number) => ({ ...on, windowSeconds });
  const scraped = () => asking(url, { instances: { job: 'shop' } });

  it('is asked for the error ratio and response times that a scrape finds', async () => {
    const [prometheus, scrape] = [scraped(), metricsAt({ url: `${shop.url}/metrics` })];
    await scrape.errorRatio(seconds(0.1)); // the first of two samples
    await until(() => prometheus.saturation(seconds(10)).then(Boolean, () => false));
    await shop.ask('/', 30);
    await shop.ask('/bad', 10);
    await until(async () => (await prometheus.errorRatio(seconds(60))).ratio > 0.24);
    expect((await prometheus.errorRatio(seconds(60))).ratio).toBeCloseTo(0.25, 5);
    expect(await scrape.errorRatio(seconds(1))).toMatchObject({ ratio: 0.25, requests: 40 });
    const [asked, read] = [await prometheus.responseTimes(seconds(60)), await scrape.responseTimes(seconds(1))];
    expect(asked.p50Ms).toBeCloseTo(read.p50Ms, 3);
    expect(asked.p95Ms).toBeCloseTo(read.p95Ms, 3);
    expect(asked.slowShare).toBe(0);
  });

  it('says that nothing counts requests where there is no such series', async () => {
    const reading = await asking(url, { match: { server: 'another "one"' } }).errorRatio(seconds(60));
    expect(reading).toEqual({ ratio: 0, requests: 0, windowSeconds: 60, absent: true });
  });

  it('tells a time without a request, also of what began anew, from not knowing', async () => {
    const resting = asking(url, { match: { job: 'resting' } });
    const none = { ratio: 0, requests: 0, windowSeconds: 10 };
    const counts = 'caddy_http_request_duration_seconds_count{job="resting"}';
    const gone = async (query: string) => {
      const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
      return ((await answer.json()) as typeof nothing).data.result.length === 0;
    };
    await until(async () => (await resting.errorRatio(seconds(10))).absent === undefined);
    expect(await resting.errorRatio(seconds(10))).toEqual(none);
    rest.forget();
    await until(async () => (await gone(counts)) && (await gone(`increase(${counts}[10s])`)));
    expect(await resting.errorRatio(seconds(10))).toEqual(none);
    await rest[Symbol.asyncDispose]();
    await until(async () => (await resting.errorRatio(seconds(10))).absent === true);
  });

  it('measures the busiest instance, and cannot where none is known', async () => {
    await until(() =>
      scraped()
        .saturation(seconds(10))
        .then(Boolean, () => false),
    );
    expect(await scraped().saturation(seconds(10))).toMatchObject({ busiest: expect.any(Number), instances: 1 });
    await expect(asking(url).saturation(seconds(10))).rejects.toMatchObject({ type: 'NotConfigured' });
    const unknown = asking(url, { instances: { job: 'mail' } }).saturation(seconds(10));
    await expect(unknown).rejects.toMatchObject({ type: 'NotFound' });
  });

  it('says what the declared checks of a canary say, or why one says nothing', async () => {
    const checks = [
      { name: 'targets', query: 'up{job="shop"} + 1', atMost: 1 },
      { name: 'nothing', query: 'up{job="mail"}', atMost: 1 },
      { name: 'no ratio', query: '0 * up / 0', atMost: 1 },
      { name: 'no query', query: 'up{', atMost: 1 },
    ];
    const metrics = { source: 'prometheus', url, canaryMatch: { server: 'shop-canary' } };
    const provider = metricsAt(metrics, {}, { canary: { checks } });
    await until(() =>
      scraped()
        .saturation(seconds(10))
        .then(Boolean, () => false),
    );
    expect((await provider.compareReleases(seconds(60))).checks).toEqual([
      { name: 'targets', atMost: 1, value: 2 },
      { name: 'nothing', atMost: 1, value: undefined },
      { name: 'no ratio', atMost: 1, value: undefined },
      { name: 'no query', atMost: 1, why: expect.stringContaining('parse error') },
    ]);
  });

  it('refuses a query that is none, with what Prometheus says of it', async () => {
    const wrong = asking(url, { requests: 'no name' }).errorRatio(seconds(60));
    await expect(wrong).rejects.toMatchObject({ type: 'Refused', message: expect.stringContaining('parse error') });
  });
});

it('does not start where a canary has checks and no Prometheus that could be asked', () => {
  const canary = { checks: [{ name: 'targets', query: 'up', atMost: 1 }] };
  expect(() => metricsAt({ url: 'http://127.0.0.1:1/metrics' }, {}, { canary })).toThrow(
    'shop/production: deployment.canary.checks ask a Prometheus',
  );
});

it('does not know whether anything was asked where Prometheus has no data at all', async () => {
  await using server = await serving(() => ({ body: nothing }));
  expect(await asking(server.url).errorRatio({ ...on, windowSeconds: 60 })).toMatchObject({ absent: true });
});

it('shows its token to Prometheus', async () => {
  const asked: Asked[] = [];
  await using server = await serving((request) => {
    asked.push(request);
    return { body: nothing };
  });
  const metrics = { source: 'prometheus', url: `${server.url}/mimir/` };
  await metricsAt(metrics, { PROMETHEUS_TOKEN: 'secret' }).errorRatio({ ...on, windowSeconds: 60 });
  expect(asked[0]).toMatchObject({ method: 'POST', headers: { authorization: 'Bearer secret' } });
  expect(asked[0]?.url.pathname).toBe('/mimir/api/v1/query');
});

describe('as any provider', () => {
  const call = (url: string) => asking(url).errorRatio({ ...on, windowSeconds: 60 });
  failsAsDeclared(call);
  refusesNonsense(call);
});
