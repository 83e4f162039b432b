/** Metrics by scraping Prometheus text format: ratios and quantiles of what was counted between two samples. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type {
  Comparison,
  ErrorRatio,
  ResponseTimes,
  Saturation,
  Scope,
  Settings,
  Window,
} from '../src/contracts/index.ts';
import type { CanaryMetrics, Metrics } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { request } from '../src/http.ts';
import { increase, quantileMs, samplesOf, total, type Sample, type Series } from './scrape/series.ts';

const KEEP_MS = 15 * 60_000;
const FRESH_MS = 250;
const LONGEST_WAIT_MS = 5000;
const CPU = 'process_cpu_seconds_total';

export const env = z.object({ HOLDFAST_STATE_DIR: z.string() });

const Targets = z.array(z.object({ targets: z.array(z.string()) }));

/** Samples of one target, oldest first, of the last fifteen minutes. They are lost with the worker: then two are taken anew. */
type Ring = Sample[];

export function createActivities({ HOLDFAST_STATE_DIR }: z.output<typeof env>, settings: Settings) {
  const rings = new Map<string, Ring>();

  /** Take a sample, or the last one if it is fresh. */
  async function sampled(url: string, names: string[]): Promise<Ring> {
    const key = [url, ...names].join(' ');
    const ring = rings.get(key) ?? [];
    rings.set(key, ring);
    if (Date.now() - (ring.at(-1)?.at ?? 0) < FRESH_MS) return ring;
    const what = `metrics of ${new URL(url).host}`;
    const response = await request(url, { what, headers: { origin: new URL(url).origin } }); // Caddy asks for it
    ring.push({ at: Date.now(), series: samplesOf(await response.text(), names, what) });
    while (Date.now() - (ring[0]?.at ?? 0) > KEEP_MS) ring.shift();
    return ring;
  }

  /** The samples of a window that ends now: at least a third of it, or two taken five seconds apart at most. */
  async function windowOf(url: string, names: string[], windowSeconds: number): Promise<Sample[]> {
    const windowMs = windowSeconds * 1000;
    const ring = await sampled(url, names);
    const now = ring.at(-1)?.at ?? 0;
    const old = ring.map((sample, index) => ({ index, age: now - sample.at })).filter(({ age }) => age >= windowMs / 3);
    const distance = ({ age }: { age: number }): number => Math.abs(age - windowMs);
    const [nearest] = old.toSorted((a, b) => distance(a) - distance(b));
    if (nearest !== undefined) return ring.slice(nearest.index);
    const first = ring.length - 1;
    await sleep(Math.min(windowMs, LONGEST_WAIT_MS));
    return (await sampled(url, names)).slice(first);
  }

  const metricsOf = ({ service, environment }: Scope) => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment]?.metrics;
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} has no metrics configured`);
    return of;
  };
  /** What was counted in the window of the series that these labels match. */
  const requestsOf = async (of: Window, match = metricsOf(of).match) => {
    const { url, requests, codeLabel } = metricsOf(of);
    const [counts, buckets] = [`${requests}_count`, `${requests}_bucket`];
    const window = await windowOf(url, [counts, buckets], of.windowSeconds);
    const matching = ({ labels }: Series): boolean =>
      Object.entries(match).every(([label, value]) => labels[label] === value);
    const all = increase(window).filter(matching);
    const counted = all.filter(({ name }) => name === counts);
    return {
      seconds: secondsOf(window),
      counts: counted,
      buckets: all.filter(({ name }) => name === buckets),
      requests: total(counted),
      failed: total(counted.filter(({ labels }) => labels[codeLabel]?.startsWith('5'))),
    };
  };

  const instancesOf = async ({ service, environment }: Scope): Promise<string[]> => {
    const file = join(HOLDFAST_STATE_DIR, 'targets', `${service}-${environment}.json`);
    const text = await readFile(file, 'utf8').catch(() => {
      throw failure('NotConfigured', `${file}, the list of instances, does not exist`);
    });
    try {
      return Targets.parse(JSON.parse(text)).flatMap(({ targets }) => targets);
    } catch {
      throw failure('UnexpectedResponse', `${file} is no list of targets`);
    }
  };

  return {
    /** Share of the answers of the window whose code is 5xx; `windowSeconds` of the answer is what was measured. */
    async errorRatio(of: Window): Promise<ErrorRatio> {
      const { seconds, requests, failed } = await requestsOf(of);
      return { ratio: ratioOf(failed, requests), requests, windowSeconds: seconds };
    },
    /** Quantiles of the window, interpolated within the histogram's bucket. */
    async responseTimes(of: Window): Promise<ResponseTimes> {
      const { requests, buckets } = await requestsOf(of);
      return { p50Ms: quantileMs(buckets, 0.5), p95Ms: quantileMs(buckets, 0.95), requests };
    },
    /** The canary by the series of `metrics.canaryMatch`; the running release is what all requests are without them. */
    async compareReleases(of: Window): Promise<Comparison> {
      const { canaryMatch } = metricsOf(of);
      if (canaryMatch === undefined)
        throw failure('NotConfigured', `${of.service}/${of.environment}: metrics.canaryMatch is not configured`);
      const [all, beside] = await Promise.all([requestsOf(of), requestsOf(of, canaryMatch)]);
      const requests = Math.max(0, all.requests - beside.requests);
      const failed = Math.max(0, all.failed - beside.failed);
      const without = [...all.buckets, ...beside.buckets.map((one) => ({ ...one, value: -one.value }))];
      return {
        canary: {
          requests: beside.requests,
          errorRatio: ratioOf(beside.failed, beside.requests),
          p95Ms: quantileMs(beside.buckets, 0.95),
        },
        running: { requests, errorRatio: ratioOf(failed, requests), p95Ms: quantileMs(without, 0.95) },
        windowSeconds: all.seconds,
      };
    },
    /**
     * CPU use of the busiest instance that answers.
     * @throws NotConfigured (permanent) without a list of instances; Unavailable (transient) when none of them answers.
     */
    async saturation(of: Window): Promise<Saturation> {
      const instances = await instancesOf(of);
      const readings = await Promise.allSettled(
        instances.map(async (address) => {
          const window = await windowOf(`http://${address}/metrics`, [CPU], of.windowSeconds);
          return total(increase(window)) / Math.max(secondsOf(window), 0.001);
        }),
      );
      const measured = readings.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const failed = readings.find((each) => each.status === 'rejected');
      if (measured.length === 0)
        throw failed?.reason ?? failure('Unavailable', `no instance of ${of.service} is running`);
      return { busiest: Math.max(...measured), instances: measured.length };
    },
  } satisfies Metrics & CanaryMetrics;
}

const ratioOf = (failed: number, requests: number): number => (requests === 0 ? 0 : failed / requests);
const secondsOf = (window: Sample[]): number => ((window.at(-1)?.at ?? 0) - (window[0]?.at ?? 0)) / 1000;
