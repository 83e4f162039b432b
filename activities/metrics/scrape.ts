/** Counts by scraping Prometheus text format: what was counted between two samples of a target. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Scope, Settings } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { request, whole } from '../../src/http.ts';
import { readIfThere } from '../../src/processes.ts';
import { CPU, metricsOf, type Source } from './counted.ts';
import type { InstanceSource } from './instances.ts';
import { createScrapedInstances } from './scraped-instances.ts';
import { declares, increase, samplesOf, total, type Sample, type Series } from './series.ts';

const KEEP_MS = 15 * 60_000;
const FRESH_MS = 250;
const LONGEST_WAIT_MS = 5000;

const Targets = z.array(z.object({ targets: z.array(z.string()) }));

/** Samples of one target, oldest first, of the last fifteen minutes. They are lost with the worker: then two are taken anew. */
type Ring = (Sample & { declared: boolean })[];

export function createScrape(stateDir: string, settings: Settings): Source & InstanceSource {
  const rings = new Map<string, Ring>();

  /** Take a sample, or the last one if it is fresh. */
  async function sampled(url: string, names: string[]): Promise<Ring> {
    const key = [url, ...names].join(' ');
    const ring = rings.get(key) ?? [];
    rings.set(key, ring);
    if (Date.now() - (ring.at(-1)?.at ?? 0) < FRESH_MS) return ring;
    const what = `metrics of ${new URL(url).host}`;
    const headers = { origin: new URL(url).origin }; // Caddy asks for it
    const response = await whole(await request(url, { what, headers }), what);
    const text = await response.text();
    ring.push({ at: Date.now(), series: samplesOf(text, names, what), declared: declares(text, names) });
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

  const instancesOf = async ({ service, environment }: Scope): Promise<string[]> => {
    const file = join(stateDir, 'targets', `${service}-${environment}.json`);
    const text = await readIfThere(file);
    if (text === undefined) throw failure('NotConfigured', `${file}, the list of instances, does not exist`);
    try {
      return Targets.parse(JSON.parse(text)).flatMap(({ targets }) => targets);
    } catch {
      throw failure('UnexpectedResponse', `${file} is no list of targets`);
    }
  };

  return {
    ...createScrapedInstances({ stateDir, settings, instancesOf }),
    async counted(of, match) {
      const { url, requests, codeLabel } = metricsOf(settings, of);
      const [counts, buckets] = namesOf(requests);
      const window = await windowOf(url, [counts, buckets], of.windowSeconds);
      const matches = ({ labels }: Series): boolean =>
        Object.entries(match).every(([label, value]) => labels[label] === value);
      const all = increase(window).filter(matches);
      const counted = all.filter(({ name }) => name === counts);
      return {
        seconds: secondsOf(window),
        requests: total(counted),
        failed: total(counted.filter(({ labels }) => labels[codeLabel]?.startsWith('5'))),
        buckets: all.filter(({ name }) => name === buckets),
        seen: window.some(({ series }) => [...series.values()].some((one) => one.name === counts && matches(one))),
      };
    },
    /** The target says of itself that it counts them, and has counted none of any kind. */
    async idle(of) {
      const { url, requests } = metricsOf(settings, of);
      const names = namesOf(requests);
      const latest = (await sampled(url, names)).at(-1);
      return latest !== undefined && latest.declared && latest.series.size === 0;
    },
    /** @throws NotConfigured (permanent) without a list of instances; Unavailable (transient) when none of them answers. */
    async saturation(of) {
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
  };
}

const namesOf = (requests: string): [string, string] => [`${requests}_count`, `${requests}_bucket`];

const secondsOf = (window: Sample[]): number => ((window.at(-1)?.at ?? 0) - (window[0]?.at ?? 0)) / 1000;
