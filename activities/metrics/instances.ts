/** Response times by route and memory by instance, from whatever source has them: what they mean is said once. */
import { sleep } from '@temporalio/activity';
import { beating } from '../../src/beating.ts';
import type { MemoryTrend, RouteTimes, RouteWindow, Scope, Settings, Window } from '../../src/contracts/index.ts';
import type { InstanceMetrics } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { ENOUGH, latestRun, spanOf, trendOf, WARM_MS, type MemorySample } from './memory-trend.ts';
import { quantileMs, total, type Series } from './series.ts';

const SHOWN = 20;
const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;
/** What is older than an hour is kept by the minute. */
const COARSE_MS = 120_000;
const GATHER_MS = 60_000;
const SPAN_MS = 30_000;
const MIB = 2 ** 20;

/** What a process says of itself. Source: Prometheus, "Writing client libraries", standard metrics; prom-client's of Node. */
export const PROCESS: Record<
  'resident' | 'heap' | 'collections' | 'started',
  { name: string; labels?: Record<string, string> }
> = {
  resident: { name: 'process_resident_memory_bytes' },
  heap: { name: 'nodejs_heap_size_used_bytes' },
  collections: { name: 'nodejs_gc_duration_seconds_count', labels: { kind: 'major' } },
  started: { name: 'process_start_time_seconds' },
};

export interface InstanceSource {
  /** Answers between two moments (milliseconds since the epoch), as a histogram of seconds by route, and how long of it is known. */
  routes(of: Scope, span: { from: number; to: number }): Promise<{ seconds: number; routes: Map<string, Series[]> }>;
  /** Samples by instance, oldest first, of those instances that answer. `live`: each call takes one more. */
  memory(of: Window): Promise<Map<string, MemorySample[]>>;
  live: boolean;
}

/** @throws NotConfigured (permanent). */
export function performanceOf(settings: Settings, { service, environment }: Scope) {
  const of = settings.services.find(({ name }) => name === service)?.environments[environment]?.performance;
  if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
  return of;
}

export function createInstanceMetrics(settings: Settings, sourceOf: (of: Scope) => InstanceSource): InstanceMetrics {
  /** The routes of a window that ended at a moment. */
  async function windowAt(of: Window, to: number): Promise<Map<string, RouteWindow>> {
    const windowMs = of.windowSeconds * 1000;
    const span = Date.now() - to > HOUR_MS ? Math.max(windowMs, COARSE_MS) : windowMs;
    const { seconds, routes } = await sourceOf(of).routes(of, { from: to - span, to });
    const windows = [...routes].map(([route, buckets]) => [route, windowOf(buckets, seconds)] as const);
    return new Map(windows.filter(([, { requests }]) => requests > 0));
  }

  return {
    /** The slowest routes first, at most twenty. @throws as its source says. */
    async routeTimes({ since, ...of }): Promise<RouteTimes[]> {
      const to = Date.now();
      const now = await windowAt(of, to);
      const [before, yesterday] = await Promise.all([
        since === undefined ? undefined : windowAt(of, Date.parse(since)),
        windowAt(of, to - DAY_MS),
      ]);
      return [...now]
        .map(([route, window]) => {
          const [then, dayAgo] = [before?.get(route), yesterday.get(route)];
          return {
            route: route.slice(0, 120),
            now: window,
            ...(then !== undefined && { before: then }),
            ...(dayAgo !== undefined && { yesterday: dayAgo }),
          };
        })
        .toSorted((a, b) => b.now.p95Ms - a.now.p95Ms)
        .slice(0, SHOWN);
    },
    /**
     * Of every instance that has ten samples since its start, warmed up, over half a minute or the window where that is less. Takes
     * them for a minute at most. Heartbeats every second.
     */
    async memoryTrends({ gather = true, ...of }): Promise<MemoryTrend[]> {
      const { memoryLimitMiB } = performanceOf(settings, of);
      const source = sourceOf(of);
      const spanMs = Math.min(of.windowSeconds * 1000, SPAN_MS);
      const deadline = Date.now() + GATHER_MS + WARM_MS;
      return await beating(async () => {
        for (;;) {
          const all = [...(await source.memory(of))].map(
            ([instance, samples]) => [instance, latestRun(samples)] as const,
          );
          const enough = all.filter(([, { warm }]) => warm.length >= ENOUGH && spanOf(warm) >= spanMs);
          if (enough.length === all.length || !gather || !source.live || Date.now() > deadline)
            return enough.map(([instance, run]) => trendOf(instance, run, memoryLimitMiB && memoryLimitMiB * MIB));
          await sleep(Math.max(1000, spanMs / ENOUGH));
        }
      });
    },
  };
}

const windowOf = (buckets: Series[], seconds: number): RouteWindow => {
  const requests = total(buckets.filter(({ labels }) => labels['le'] === '+Inf'));
  return {
    requests,
    perSecond: requests / Math.max(seconds, 0.001),
    p50Ms: quantileMs(buckets, 0.5),
    p95Ms: quantileMs(buckets, 0.95),
    p99Ms: quantileMs(buckets, 0.99),
  };
};
