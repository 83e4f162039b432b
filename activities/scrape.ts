/** Metrics by scraping Prometheus text format: ratios and quantiles of what was counted between two samples. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ErrorRatio, ResponseTimes, Saturation, Scope, Settings, Window } from '../src/contracts/index.ts';
import type { Metrics } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { request } from '../src/http.ts';
import { increase, quantileMs, samplesOf, total, type Sample } from './scrape/series.ts';

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

  const requestsOf = async ({ service, environment, windowSeconds }: Window) => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment]?.metrics;
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} has no metrics configured`);
    const { url, requests, match, codeLabel } = of;
    const [counts, buckets] = [`${requests}_count`, `${requests}_bucket`];
    const window = await windowOf(url, [counts, buckets], windowSeconds);
    const matching = ({ labels }: { labels: Record<string, string> }): boolean =>
      Object.entries(match).every(([label, value]) => labels[label] === value);
    const all = increase(window).filter(matching);
    return {
      seconds: secondsOf(window),
      codeLabel,
      counts: all.filter(({ name }) => name === counts),
      buckets: all.filter(({ name }) => name === buckets),
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
      const { seconds, codeLabel, counts } = await requestsOf(of);
      const requests = total(counts);
      const failed = total(counts.filter(({ labels }) => labels[codeLabel]?.startsWith('5')));
      return { ratio: requests === 0 ? 0 : failed / requests, requests, windowSeconds: seconds };
    },
    /** Quantiles of the window, interpolated within the histogram's bucket. */
    async responseTimes(of: Window): Promise<ResponseTimes> {
      const { counts, buckets } = await requestsOf(of);
      return { p50Ms: quantileMs(buckets, 0.5), p95Ms: quantileMs(buckets, 0.95), requests: total(counts) };
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
  } satisfies Metrics;
}

const secondsOf = (window: Sample[]): number => ((window.at(-1)?.at ?? 0) - (window[0]?.at ?? 0)) / 1000;
