import { latestRun, slopesOf, spanOf, trendOf, type MemorySample } from '../../activities/metrics/memory-trend.ts';
import { isLeaking } from '../../src/runbook/performance.ts';
import { healthy, leaking } from './memory-samples.ts';

const MIB = 2 ** 20;
const MINUTE_MS = 60_000;

/** At which samples it would have been called a leak, by all that was known then; seconds since the start. */
function calledAt(samples: MemorySample[], limitMiB?: number): number[] {
  return samples.flatMap(({ at, startedAt }, index) => {
    const run = latestRun(samples.slice(0, index + 1));
    if (run.warm.length < 10 || spanOf(run.warm) < 10_000) return [];
    return isLeaking({})(trendOf('a', run, limitMiB && limitMiB * MIB)) ? [(at - startedAt) / 1000] : [];
  });
}

/** Numbers that look random and are the same in every run. */
function* noise(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    yield state / 2 ** 31;
  }
}
const sampled = (minutes: number, of: (minute: number) => Partial<MemorySample> & { residentBytes: number }) =>
  Array.from({ length: minutes }, (_, minute) => ({
    at: (minute + 1) * MINUTE_MS,
    heapBytes: 0,
    collections: 0,
    startedAt: 1,
    ...of(minute),
  }));

it.each([512, 1024, undefined])('never calls a healthy process a leak, at a limit of %p MiB', (limit) => {
  expect(healthy.length).toBeGreaterThan(300);
  expect(calledAt(healthy, limit)).toEqual([]);
});

it.each([512, 1024, undefined])('calls the leak one in its first minute, and then always, at %p MiB', (limit) => {
  const [first, ...later] = calledAt(leaking, limit);
  expect(first).toBeLessThan(60);
  expect(later).toHaveLength(leaking.filter(({ at, startedAt }) => (at - startedAt) / 1000 > first!).length);
});

it.each([1, 2, 3, 4, 5, 6, 7, 8])('finds the slope though a fifth of the samples lie far off (%i)', (seed) => {
  const random = noise(seed);
  const points = Array.from({ length: 60 }, (_, minute) => {
    const dip = random.next().value < 0.2 ? 0.4 : 1;
    return { hour: minute / 60, bytes: (200 + 2 * minute + random.next().value * 4) * dip };
  });
  const { median, least } = slopesOf(points);
  expect(median).toBeGreaterThan(90);
  expect(median).toBeLessThan(150);
  expect(least).toBeGreaterThan(0);
  expect(least).toBeLessThan(median);
});

it('holds its confidence: of flat but noisy memory the least slope is above zero in one of twenty cases', () => {
  const random = noise(42);
  const cases = Array.from({ length: 1000 }, () =>
    slopesOf(Array.from({ length: 30 }, (_, hour) => ({ hour, bytes: random.next().value }))),
  );
  const wrong = cases.filter(({ least }) => least > 0).length;
  expect(wrong).toBeGreaterThan(25);
  expect(wrong).toBeLessThan(75);
});

describe('of a heap that is large already', () => {
  /** Garbage on top of what is live; a full collection every fifth minute. */
  const heap = (live: (minute: number) => number) => (minute: number) => {
    const bytes = (live(minute) + (minute % 5) * 60) * MIB;
    return { residentBytes: bytes + 80 * MIB, heapBytes: bytes, collections: Math.floor(minute / 5) };
  };
  it('sees what survives the full collections grow', () => {
    const [first] = calledAt(
      sampled(
        60,
        heap((minute) => 300 + 4 * minute),
      ),
      1024,
    );
    expect(first).toBeLessThan(40 * 60);
  });
  it('takes for none what fills up and then stays', () => {
    const called = calledAt(
      sampled(
        120,
        heap((minute) => 300 + Math.min(4 * minute, 100)),
      ),
      1024,
    );
    expect(called.filter((second) => second > 60 * 60)).toEqual([]);
  });
  it('takes garbage for none', () => {
    expect(
      calledAt(
        sampled(
          120,
          heap(() => 300),
        ),
        512,
      ),
    ).toEqual([]);
  });
});

it('believes the resident memory of a process that tells of no heap after ten minutes', () => {
  const [first] = calledAt(
    sampled(30, (minute) => ({ residentBytes: (100 + 10 * minute) * MIB })),
    1024,
  );
  expect(first).toBeGreaterThanOrEqual(10 * 60);
  expect(first).toBeLessThan(15 * 60);
});

it('begins anew with each restart, and leaves out what a process holds until it is warm', () => {
  const sample = (minute: number, mib: number, startedAt: number): MemorySample => ({
    at: minute * MINUTE_MS,
    residentBytes: mib * MIB,
    heapBytes: 0,
    collections: 0,
    startedAt,
  });
  const first = [1, 2, 3, 4].map((minute) => sample(minute, 100 * minute, 1));
  const second = [5, 5.1, 5.2, 6, 7].map((minute) => sample(minute, 50, 5 * MINUTE_MS));
  expect(latestRun([...first, ...second])).toEqual({ all: second, warm: second.slice(3), restarts: 1 });
  const untold = [...first, ...second].map((one) => ({ ...one, startedAt: 0 }));
  expect(latestRun(untold)).toMatchObject({ restarts: 1 });
});
