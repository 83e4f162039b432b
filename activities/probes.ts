import { z } from 'zod';
import type { HttpHealth, Scope, Settings } from '../src/contracts/index.ts';
import type { Health } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

const PROBES = 10;
const PROBE_MS = 2000;
const ALL_MS = 5000;

export const env = z.object({});

type Probe = { status: number; ms: number };

/** `status` 0 when there was no answer in time. */
async function probe(url: string, withinMs: number): Promise<Probe> {
  const startedAt = performance.now();
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(withinMs), redirect: 'manual' });
    await response.arrayBuffer();
    return { status: response.status, ms: performance.now() - startedAt };
  } catch {
    return { status: 0, ms: performance.now() - startedAt };
  }
}

const succeeded = ({ status }: Probe): boolean => status >= 200 && status < 400;

/** Nearest rank. `share` is 0..1. */
const percentile = (sorted: number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;

export function createActivities(_: z.output<typeof env>, settings: Settings) {
  return {
    /**
     * Ask the health path ten times in a row, or as often as asked, two seconds each and five in all at most. No answer is a failed probe, not a failure.
     * @throws NotConfigured (permanent) when the environment is not in the configuration.
     */
    async httpHealth({
      service,
      environment,
      probes: asked = PROBES,
    }: Scope & { probes?: number }): Promise<HttpHealth> {
      const of = settings.services.find(({ name }) => name === service)?.environments[environment];
      if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
      const url = new URL(of.healthPath, of.url).href;
      const deadline = performance.now() + ALL_MS;
      const probes: Probe[] = [];
      for (let left = ALL_MS; probes.length < asked && left > 0; left = deadline - performance.now())
        probes.push(await probe(url, Math.min(PROBE_MS, Math.ceil(left))));
      const times = probes
        .filter(({ status }) => status > 0)
        .map(({ ms }) => ms)
        .toSorted((a, b) => a - b);
      return {
        url,
        probes: probes.length,
        failed: probes.filter((each) => !succeeded(each)).length,
        status: probes.at(-1)?.status ?? 0,
        p50Ms: percentile(times, 0.5),
        p95Ms: percentile(times, 0.95),
      };
    },
  } satisfies Health;
}
