/** Counts from a Prometheus server, or whatever answers its HTTP API. A window must hold two scrapes at least, else it is empty. */
import { ApplicationFailure } from '@temporalio/common';
import { PrometheusDriver } from 'prometheus-query';
import { z } from 'zod';
import type { Scope, Settings } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { failureOf, parsed } from '../../src/http.ts';
import { CPU, metricsOf, type Source } from './counted.ts';
import { performanceOf, PROCESS, type InstanceSource } from './instances.ts';
import type { MemorySample } from './memory-trend.ts';
import { total, type Series } from './series.ts';

const TIMEOUT_MS = 8000;
/** How far back memory is looked at, and how often a window of it. */
const MEMORY_MS = 30 * 60_000;
const WINDOW_SAMPLES = 60;

const Vector = z.object({
  resultType: z.literal('vector'),
  result: z.array(
    z.object({
      metric: z.object({ labels: z.record(z.string(), z.string()) }),
      value: z.object({ value: z.number().or(z.nan()) }),
    }),
  ),
});
const Matrix = z.object({
  resultType: z.literal('matrix'),
  result: z.array(
    z.object({
      metric: z.object({ labels: z.record(z.string(), z.string()) }),
      values: z.array(z.object({ time: z.date(), value: z.number() })),
    }),
  ),
});
/** What the driver rejects with: of a failure only `original` is kept whole. */
const Rejection = z.object({ original: z.instanceof(ApplicationFailure) });

/** Asks a query of the configuration. */
export interface Asked {
  /** The largest value of its vector; undefined where it has none. @throws Refused (permanent) for a query that is none. */
  largest(of: Scope, query: string): Promise<number | undefined>;
}

export function createPrometheus(token: string | undefined, settings: Settings): Source & InstanceSource & Asked {
  const drivers = new Map<string, PrometheusDriver>();
  const driverOf = (endpoint: string): PrometheusDriver => {
    const known = drivers.get(endpoint);
    if (known !== undefined) return known;
    const driver = new PrometheusDriver({
      endpoint: endpoint.replace(/\/+$/, ''),
      timeout: TIMEOUT_MS,
      preferPost: true,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      responseInterceptor: {
        onFulfilled: (response) => response,
        onRejected: (error) => Promise.reject(failed(error)),
      },
    });
    drivers.set(endpoint, driver);
    return driver;
  };

  const asked = async <T>(endpoint: string, answer: Promise<T>): Promise<T> =>
    await answer.catch((error: unknown) => {
      throw (
        Rejection.safeParse(error).data?.original ?? failure('UnexpectedResponse', `${hostOf(endpoint)}: no answer`)
      );
    });

  async function samples(endpoint: string, query: string, at?: number) {
    const answer = await asked(endpoint, driverOf(endpoint).instantQuery(query, at));
    return parsed(Vector, answer, hostOf(endpoint)).result;
  }

  /** The vector that a query gives at a moment, now where none is named. */
  async function vector(endpoint: string, query: string, at?: number): Promise<Series[]> {
    return (await samples(endpoint, query, at)).map(({ metric: { labels }, value: { value } }) => ({
      name: '',
      labels,
      value: Number.isNaN(value) ? 0 : value,
    }));
  }

  /** Labels of the service's own instances. @throws NotConfigured (permanent). */
  const instancesOf = (of: Scope): Record<string, string> => {
    const { instances } = metricsOf(settings, of);
    if (instances === undefined)
      throw failure('NotConfigured', `${of.service}/${of.environment}: metrics.instances is not configured`);
    return instances;
  };

  return {
    live: false,
    async largest(of, query) {
      const all = await samples(metricsOf(settings, of).url, query);
      const values = all.map(({ value: { value } }) => value).filter((value) => !Number.isNaN(value));
      return values.length === 0 ? undefined : Math.max(...values);
    },
    async routes(of, { from, to }) {
      const { histogram, routeLabel, methodLabel } = performanceOf(settings, of).routes;
      const seconds = (to - from) / 1000;
      const buckets = selector(`${histogram}_bucket`, instancesOf(of));
      const by = `sum by (${methodLabel}, ${routeLabel}, le)`;
      const all = await vector(metricsOf(settings, of).url, `${by} (increase(${buckets}[${range(seconds)}]))`, to);
      const nameOf = ({ labels }: Series) => [labels[methodLabel], labels[routeLabel]].filter(Boolean).join(' ');
      return { seconds, routes: Map.groupBy(all, nameOf) };
    },
    async memory(of) {
      const { url } = metricsOf(settings, of);
      const match = instancesOf(of);
      const to = Date.now();
      const from = to - Math.max(of.windowSeconds * 1000, MEMORY_MS);
      const step = Math.max(1, of.windowSeconds / WINDOW_SAMPLES);
      const read = async ({ name, labels }: (typeof PROCESS)[keyof typeof PROCESS]) => {
        const query = selector(name, { ...match, ...labels });
        const answer = await asked(url, driverOf(url).rangeQuery(query, from, to, step));
        return parsed(Matrix, answer, hostOf(url)).result.map(({ metric: { labels }, values }) => ({
          instance: labels['instance'] ?? '',
          at: new Map(values.map(({ time, value }) => [time.getTime(), value])),
        }));
      };
      const [resident, heap, collections, started] = await Promise.all([
        read(PROCESS.resident),
        read(PROCESS.heap),
        read(PROCESS.collections),
        read(PROCESS.started),
      ]);
      const valueOf = (of: typeof resident, instance: string, at: number): number =>
        of.find((one) => one.instance === instance)?.at.get(at) ?? 0;
      return new Map(
        resident.map(({ instance, at }) => [
          instance,
          [...at].map(([time, residentBytes]): MemorySample => ({
            at: time,
            residentBytes,
            heapBytes: valueOf(heap, instance, time),
            collections: valueOf(collections, instance, time),
            startedAt: valueOf(started, instance, time) * 1000,
          })),
        ]),
      );
    },
    async counted(of, match) {
      const { url, requests, codeLabel } = metricsOf(settings, of);
      const risen = (label: string, name: string): Promise<Series[]> =>
        vector(url, `sum by (${label}) (increase(${selector(name, match)}[${range(of.windowSeconds)}]))`);
      const [counts, buckets] = await Promise.all([
        risen(codeLabel, `${requests}_count`),
        risen('le', `${requests}_bucket`),
      ]);
      return {
        seconds: of.windowSeconds,
        requests: total(counts),
        failed: total(counts.filter(({ labels }) => labels[codeLabel]?.startsWith('5'))),
        buckets,
        seen: counts.length > 0,
      };
    },
    /** What counted them within a day is up, and has no series since it began anew: many make it with the first request. */
    async idle(of, match) {
      const { url, requests } = metricsOf(settings, of);
      const counts = selector(`${requests}_count`, match);
      const query = `up == 1 and on (job) count_over_time(${counts}[1d]) unless on (job) ${counts}`;
      return (await vector(url, query)).length > 0;
    },
    /** @throws NotConfigured (permanent) without `metrics.instances`; NotFound (permanent) when none of them was scraped. */
    async saturation(of) {
      const { url } = metricsOf(settings, of);
      const match = instancesOf(of);
      const used = await vector(url, `sum by (instance) (rate(${selector(CPU, match)}[${range(of.windowSeconds)}]))`);
      if (used.length === 0) throw failure('NotFound', `Prometheus has no ${selector(CPU, match)} in the window`);
      return { busiest: Math.max(...used.map(({ value }) => value)), instances: used.length };
    },
  };
}

const hostOf = (endpoint: string): string => `Prometheus of ${new URL(endpoint).host}`;
const range = (seconds: number): string => `${Math.max(1, Math.round(seconds * 1000))}ms`;
const selector = (name: string, match: Record<string, string>): string =>
  `${name}{${Object.entries(match)
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
    .join(',')}}`;

const HttpError = z.object({
  message: z.string(),
  response: z
    .object({
      status: z.number(),
      headers: z.object({ 'retry-after': z.string().optional() }),
      data: z.unknown().optional(),
    })
    .optional(),
});

/** A failure of the closed list, of what the driver's HTTP client rejects with. */
function failed(error: unknown): Error {
  const { response, message } = HttpError.parse(error);
  const whole = response !== undefined && response.status >= 300; // a success fails only by being cut off
  if (!whole) return failure('Unavailable', `Prometheus: no answer (${message})`);
  const { status, data, headers } = response;
  const retryAfter = headers['retry-after'];
  const of = new Headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter });
  return failureOf(status, 'Prometheus', JSON.stringify(data), of);
}
