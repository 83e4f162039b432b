import type { Comparison } from '../../src/contracts/index.ts';
import { judgeCanary } from '../../src/runbook/rollout.ts';
import { policyOf } from '../support/skipped-time.ts';

const judge = (canary: Partial<Comparison['canary']>, running: Partial<Comparison['running']> = {}) =>
  judgeCanary(policyOf())({
    canary: { requests: 100, errorRatio: 0, p95Ms: 90, ...canary },
    running: { requests: 1000, errorRatio: 0, p95Ms: 90, ...running },
    windowSeconds: 60,
  })[0];

it.each([
  ['as good as what runs', 'ok', judge({})],
  ['three failures where nothing else fails', 'bad', judge({ errorRatio: 0.03 })],
  ['three failures of ten requests', 'bad', judge({ requests: 10, errorRatio: 0.3 })],
  ['two failures may be anything', 'unknown', judge({ errorRatio: 0.02 })],
  ['failures as often as what runs', 'ok', judge({ errorRatio: 0.2 }, { errorRatio: 0.2 })],
  ['too few requests', 'unknown', judge({ requests: 19 })],
  ['nobody came', 'unknown', judge({ requests: 0, p95Ms: 0 })],
  ['slower, but within the objective', 'ok', judge({ p95Ms: 400 })],
  ['slower than what runs, and than the objective', 'bad', judge({ p95Ms: 900 })],
  ['slow as what runs', 'ok', judge({ p95Ms: 900 }, { p95Ms: 800 })],
])('a canary with %s is %s', (_, expected, verdict) => {
  expect(verdict).toBe(expected);
});
