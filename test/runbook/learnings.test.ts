import type { Resemblance } from '../../src/contracts/index.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { fingerprintOf, inLightOf, inOrder, resembles } from '../../src/runbook/learnings.ts';
import { remedy } from '../../src/runbook/run.ts';

const scope = { service: 'shop', environment: 'production' };
const nothing = async () => ({ changed: false, summary: '' });
const draft = { why: ['the evidence'], undo: '-', risk: 'low' as const, act: nothing };
const rollBack = remedy({
  ...draft,
  summary: 'Roll back',
  action: { kind: 'roll-back', ...scope, from: 'v9', to: 'v8' },
});
const flagOff = (flag: string) =>
  remedy({
    ...draft,
    summary: `Switch off ${flag}`,
    action: { kind: 'switch-off-flag', ...scope, flag, from: 'on', to: 'off' },
  });
const scale = remedy({ ...draft, summary: 'Scale out', action: { kind: 'scale', ...scope, from: 2, to: 4 } });

const past = (...attempts: Resemblance['attempts']): Resemblance => ({
  workflowId: 'incident.shop.high-error-rate',
  at: '2026-11-24T09:04:00.000Z',
  likeness: 0.8,
  outcome: 'mitigated',
  attempts,
  cause: { what: 'the release v2', state: 'confirmed' },
});
const helped = (kind: 'roll-back' | 'switch-off-flag' | 'scale', target = '') => ({
  kind,
  target,
  result: 'helped' as const,
  tookMs: 240_000,
});
const inVain = (kind: 'roll-back' | 'switch-off-flag', target = '') => ({
  kind,
  target,
  result: 'not-helped' as const,
});
const order = (from: Resemblance[], remedies: ReturnType<typeof remedy>[]) =>
  inLightOf(from, remedies).map(({ summary }) => summary);

it('says beside each proposal which incident this resembles, what helped then and how fast', () => {
  const [first] = inLightOf([past(helped('roll-back', 'v2'))], [rollBack]);
  expect(first?.why).toEqual([
    'the evidence',
    'this resembles incident.shop.high-error-rate of 2026-11-24 (80 % alike): roll-back helped, 4 minutes; cause (confirmed): the release v2',
  ]);
});

it('puts what helped then before its neighbour and says why; what did not help after it', () => {
  const then = [past(inVain('roll-back', 'v2'), helped('switch-off-flag', 'express-checkout'))];
  const [first] = inLightOf(then, [rollBack, flagOff('express-checkout')]);
  expect(first?.summary).toBe('Switch off express-checkout');
  expect(first?.why.at(-1)).toBe('put before "Roll back", which comes first otherwise: it helped more often then');
});

it('moves nothing by more than one place, however often it helped', () => {
  const then = Array.from({ length: 5 }, () => past(helped('scale')));
  expect(order(then, [rollBack, flagOff('a'), scale])).toEqual(['Roll back', 'Scale out', 'Switch off a']);
});

describe('the order of the configuration', () => {
  const ordered = (kinds: ('scale' | 'switch-off-flag' | 'roll-back' | 'create-index')[]) =>
    inOrder([rollBack, flagOff('a'), scale, flagOff('b')], 'high-error-rate', {
      ...simulatedPolicy,
      proposals: { 'high-error-rate': kinds },
    });

  it('comes first, and what it does not name after it, as the runbook has them', () => {
    const all = ordered(['create-index', 'scale', 'switch-off-flag']);
    expect(all.map(({ summary }) => summary)).toEqual(['Scale out', 'Switch off a', 'Switch off b', 'Roll back']);
    expect(all.map(({ why }) => why.at(-1))).toEqual([
      'put forward by the configuration: proposals.high-error-rate',
      'the evidence',
      'put forward by the configuration: proposals.high-error-rate',
      'the evidence',
    ]);
  });

  it('is that of the one runbook, and changes nothing elsewhere', () => {
    const policy = { ...simulatedPolicy, proposals: { 'high-error-rate': ['scale' as const] } };
    expect(inOrder([rollBack, scale], 'performance-degradation', policy)).toEqual([rollBack, scale]);
  });
});

it('adds nothing that the evidence does not support, and takes nothing away', () => {
  expect(order([past(helped('scale'))], [])).toEqual([]);
  expect(order([past(inVain('roll-back', 'v2'))], [rollBack])).toEqual(['Roll back']);
});

it('does not take another flag for the one that helped', () => {
  expect(order([past(helped('switch-off-flag', 'b'))], [rollBack, flagOff('a')])).toEqual([
    'Roll back',
    'Switch off a',
  ]);
});

it('leaves the order as the evidence has it where the past says nothing of it', () => {
  expect(order([past()], [rollBack, scale])).toEqual(['Roll back', 'Scale out']);
  expect(resembles(past())).toContain('mitigated');
});

it('keeps at most the twenty reasons that a proposal may have', () => {
  const many = { ...rollBack, why: Array.from({ length: 20 }, (_, i) => `reason ${i}`) };
  const [first] = inLightOf([past(), past(), past()], [many]);
  expect(first?.why.length).toBeLessThanOrEqual(20);
});

it('takes two incidents for alike whose errors differ in numbers only', () => {
  const finding = (count: number) =>
    fingerprintOf([
      { check: 'error patterns', verdict: 'bad', summary: `1 pattern, 1 new: ${count} × TypeError: no price` },
    ]);
  expect(finding(40)).toEqual(finding(977));
  expect(finding(40)).toContain('says:no price');
});
