/** Whether memory that grows will end, from samples of one process: what is told from garbage, with its confidence. */
import type { MemoryTrend } from '../../src/contracts/index.ts';

const HOUR_MS = 60 * 60 * 1000;
/** So many samples make a trend; more than that many are thinned out. */
export const ENOUGH = 10;
const MOST = 120;
/** Right after its start a process grows in any case. */
export const WARM_MS = 15_000;
const MIB = 2 ** 20;
/**
 * V8 collects its heap at the latest when it holds four times what survived the last time, besides the young generation.
 * Source: V8, `heap-controller.h`, `kMaxHeapGrowingFactor`; Node's `--max-semi-space-size`.
 */
const GARBAGE_FACTOR = 4;
const YOUNG_BYTES = 32 * MIB;
/** Fewest full collections after which what survived them makes a trend. */
const COLLECTIONS = 5;
/** A process without a heap of its own to tell of is believed to grow when it was seen for so long. */
const LONG_MS = 10 * 60 * 1000;
/** One-sided 95 % of the normal distribution. */
const Z = 1.645;

export interface MemorySample {
  /** Milliseconds since the epoch. */
  at: number;
  residentBytes: number;
  /** 0 where it does not say. */
  heapBytes: number;
  /** Full collections since its start; 0 where it does not say. */
  collections: number;
  /** When the process began; 0 where it does not say. */
  startedAt: number;
}

/** Samples of a process since it began last; those of `warm` are after its start. */
export interface MemoryRun {
  all: MemorySample[];
  warm: MemorySample[];
  restarts: number;
}

export const spanOf = (samples: MemorySample[]): number => (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0);

/** The samples since the process began last: it says when, or its memory has fallen by half at once. */
export function latestRun(samples: MemorySample[]): MemoryRun {
  let [restarts, start] = [0, 0];
  for (const [index, now] of samples.entries()) {
    const before = samples[index - 1];
    if (before === undefined) continue;
    const anew =
      now.startedAt === 0 ? now.residentBytes < before.residentBytes / 2 : now.startedAt !== before.startedAt;
    if (!anew) continue;
    restarts += 1;
    start = index;
  }
  const all = samples.slice(start);
  const warmAt = (all[0]?.startedAt || (all[0]?.at ?? 0)) + WARM_MS;
  return { all, warm: all.filter(({ at }) => at >= warmAt), restarts };
}

/** Bytes over hours. */
type Points = { hour: number; bytes: number }[];
const pointsOf = (samples: MemorySample[], bytesOf: (one: MemorySample) => number): Points => {
  const step = Math.ceil(samples.length / MOST);
  return samples
    .filter((_, index) => index % step === 0)
    .map((one) => ({ hour: one.at / HOUR_MS, bytes: bytesOf(one) }));
};

/**
 * The median of the slopes between all pairs, and the least slope that these samples allow with 95 % confidence.
 * Source: Theil (1950); Sen (1968), its interval by the variance of Kendall's score.
 */
export function slopesOf(points: Points): { median: number; least: number } {
  const slopes = points
    .flatMap((from, i) => points.slice(i + 1).map((to) => (to.bytes - from.bytes) / (to.hour - from.hour)))
    .toSorted((a, b) => a - b);
  const { length: n } = points;
  const deviation = Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const rank = Math.max(0, Math.floor((slopes.length - Z * deviation) / 2));
  return { median: slopes[Math.floor(slopes.length / 2)] ?? 0, least: slopes[rank] ?? 0 };
}

/** The part of what a process holds that cannot be garbage; empty where nothing tells it apart. */
function retained({ all, warm }: MemoryRun): Points {
  const survived = all.filter(({ collections }, i) => i > 0 && collections > (all[i - 1]?.collections ?? 0));
  if (survived.length >= COLLECTIONS) return pointsOf(survived, ({ heapBytes }) => heapBytes);
  const least = Math.min(...all.map(({ heapBytes }) => heapBytes));
  const most = Math.max(...all.map(({ heapBytes }) => heapBytes));
  if (most > GARBAGE_FACTOR * least + YOUNG_BYTES) return pointsOf(warm, ({ heapBytes }) => heapBytes);
  return most === 0 && spanOf(warm) >= LONG_MS ? pointsOf(warm, ({ residentBytes }) => residentBytes) : [];
}

/** What it grows by at the least, all the time and of late: what only fills up does not. 0 where that is not certain. */
function leastGrowth(points: Points): number {
  if (points.length < COLLECTIONS) return 0;
  const late = points.slice(Math.floor(points.length / 2));
  return Math.max(0, Math.min(slopesOf(points).least, slopesOf(late).least));
}

export function trendOf(instance: string, run: MemoryRun, limitBytes?: number): MemoryTrend {
  const { warm, restarts } = run;
  const residentBytes = warm.at(-1)?.residentBytes ?? 0;
  const grows = leastGrowth(retained(run));
  return {
    instance,
    samples: warm.length,
    seconds: spanOf(warm) / 1000,
    restarts,
    residentBytes,
    residentBytesPerHour: slopesOf(pointsOf(warm, (one) => one.residentBytes)).median,
    heapBytesPerHour: slopesOf(pointsOf(warm, (one) => one.heapBytes)).median,
    ...(limitBytes !== undefined && { limitBytes }),
    ...(grows > 0 && { hoursUntilLimit: Math.max(0, ((limitBytes ?? 2 * residentBytes) - residentBytes) / grows) }),
  };
}
