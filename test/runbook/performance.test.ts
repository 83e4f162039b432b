import type { MetricName, Policy, WebVital } from '../../src/contracts/index.ts';
import * as kit from '../../src/runbook/index.ts';

const MINIMUM = 50;
const vital = (metric: MetricName, p75: number, samples = MINIMUM): WebVital => ({
  page: '/',
  device: 'mobile',
  metric,
  p75,
  samples,
});
const verdict = (...vitals: WebVital[]) => kit.judgeVitals(MINIMUM, {})(vitals)[0];

it.each([
  ['LCP', 2500],
  ['INP', 200],
  ['CLS', 0.1],
] as const)('%s passes up to %d at the 75th percentile, and fails above', (metric, good) => {
  expect(verdict(vital(metric, good))).toBe('ok');
  expect(verdict(vital(metric, good * 1.01))).toBe('bad');
});

it.each([
  ['FCP', 1800],
  ['TTFB', 800],
] as const)('%s explains, and neither passes nor fails by itself, however far over %d it is', (metric, good) => {
  expect(verdict(vital(metric, good / 2))).toBe('unknown');
  expect(verdict(vital(metric, good * 10))).toBe('unknown');
  expect(verdict(vital('LCP', 2000), vital(metric, good * 10))).toBe('ok');
});

it.each(['LCP', 'INP', 'CLS'] as const)('%s says nothing with too few samples, neither good nor bad', (metric) => {
  expect(verdict(vital(metric, 1e6, MINIMUM - 1))).toBe('unknown');
  expect(verdict(vital(metric, 0, MINIMUM - 1))).toBe('unknown');
  expect(verdict()).toBe('unknown');
});

it('fails on one core vital of one page that is over, and names that one with its figure', () => {
  const desktop = { ...vital('CLS', 0.25), device: 'desktop' as const };
  const [word, summary] = kit.judgeVitals(MINIMUM, {})([vital('LCP', 2000), vital('INP', 150), desktop]);
  expect(word).toBe('bad');
  expect(summary).toBe('CLS of / on desktop is 0.250 at p75 of 50');
});

it('says where the vitals are of the newest samples only', () => {
  const [, summary] = kit.judgeVitals(MINIMUM, {})([{ ...vital('LCP', 2000), newest: true }]);
  expect(summary).toContain('LCP of / on mobile is 2000 ms at p75 of the newest 50');
});

it('passes by the core vitals that have enough samples, whatever the others show', () => {
  expect(verdict(vital('LCP', 2000), vital('INP', 5000, MINIMUM - 1))).toBe('ok');
});

it('does not know of memory where no instance has enough samples', () => {
  expect(kit.judgeMemory({})([])).toEqual(['unknown', expect.stringContaining('no instance has enough samples')]);
});

it('foretells a leak as far as the configuration says, and no further than what was seen allows', () => {
  const trend = { instance: 'a', samples: 40, seconds: 3600, restarts: 0, residentBytes: 1e9, hoursUntilLimit: 10 };
  const told = (limits?: Policy['limits'], change: object = {}) =>
    kit.judgeMemory({ limits })([{ ...trend, residentBytesPerHour: 1e8, heapBytesPerHour: 1e8, ...change }])[0];
  expect(told()).toBe('bad');
  expect(told({ leakHours: 8 })).toBe('ok');
  expect(told({ leakForetold: 8 })).toBe('ok');
  expect(told({}, { hoursUntilLimit: 20 })).toBe('ok'); // an hour was seen
  expect(told({ leakForetold: 30 }, { hoursUntilLimit: 20 })).toBe('bad');
});

it('lets vitals pass, and a bundle grow, up to the limits of the configuration', () => {
  const strict = { limits: { lcpMs: 1500, bundleGrowth: 0.01, bundleGrowthBytes: 500 } };
  expect(kit.judgeVitals(MINIMUM, strict)([vital('LCP', 2000)])[0]).toBe('bad');
  const sizes = (rawBytes: number) => ({ rawBytes, gzipBytes: 1, brotliBytes: 1 });
  const bundle = {
    entries: [{ name: 'app.js', now: sizes(101_500), before: sizes(100_000) }],
    packages: [],
    duplicated: [],
  };
  expect(kit.judgeBundle({})(bundle)[0]).toBe('ok');
  expect(kit.judgeBundle(strict)(bundle)[0]).toBe('bad');
});
