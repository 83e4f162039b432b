import type { MetricName, WebVital } from '../../src/contracts/index.ts';
import * as kit from '../../src/runbook/index.ts';

const MINIMUM = 50;
const vital = (metric: MetricName, p75: number, samples = MINIMUM): WebVital => ({
  page: '/',
  device: 'mobile',
  metric,
  p75,
  samples,
});
const verdict = (...vitals: WebVital[]) => kit.judgeVitals(MINIMUM)(vitals)[0];

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
  const [word, summary] = kit.judgeVitals(MINIMUM)([vital('LCP', 2000), vital('INP', 150), desktop]);
  expect(word).toBe('bad');
  expect(summary).toBe('CLS of / on desktop is 0.250 at p75 of 50');
});

it('says where the vitals are of the newest samples only', () => {
  const [, summary] = kit.judgeVitals(MINIMUM)([{ ...vital('LCP', 2000), newest: true }]);
  expect(summary).toContain('LCP of / on mobile is 2000 ms at p75 of the newest 50');
});

it('passes by the core vitals that have enough samples, whatever the others show', () => {
  expect(verdict(vital('LCP', 2000), vital('INP', 5000, MINIMUM - 1))).toBe('ok');
});

it('does not know of memory where no instance has enough samples', () => {
  expect(kit.judgeMemory([])).toEqual(['unknown', expect.stringContaining('no instance has enough samples')]);
});
