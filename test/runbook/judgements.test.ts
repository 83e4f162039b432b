import { simulatedPolicy as policy } from '../../activities/simulator.ts';
import type { Policy } from '../../src/contracts/index.ts';
import * as kit from '../../src/runbook/index.ts';

const verdict = ([word]: kit.Judgement): string => word;

it('calls an error ratio bad from the limit on', () => {
  const judge = kit.judgeErrorRatio(policy);
  expect(judge({ ratio: 0.2, requests: 100, windowSeconds: 60 })).toEqual([
    'bad',
    '20 % of 100 requests failed (limit 1.00 %)',
    { readings: [{ quantity: 'error-ratio', value: 0.2, limit: 0.01 }] },
  ]);
  expect(verdict(judge({ ratio: 0.01, requests: 100, windowSeconds: 60 }))).toBe('bad');
  expect(verdict(judge({ ratio: 0.009, requests: 100, windowSeconds: 60 }))).toBe('ok');
});

it('says nothing of too few requests, neither good nor bad', () => {
  expect(kit.judgeErrorRatio(policy)({ ratio: 1, requests: 19, windowSeconds: 60 })).toEqual([
    'unknown',
    'only 19 requests in the window: too few to say',
  ]);
  expect(verdict(kit.judgeResponseTimes(policy)({ p50Ms: 1, p95Ms: 9000, requests: 0 }))).toBe('unknown');
});

it('suspects a release in its first hour', () => {
  const now = Date.parse('2026-01-01T12:00:00Z');
  const running = (deployedAt: string) => ({
    running: { version: 'v2', commit: 'v2', deployedAt, weight: 1, instances: 2 },
    recent: [],
    maxInstances: 4,
  });
  expect(verdict(kit.judgeReleases(now)(running('2026-01-01T11:30:00.000Z')))).toBe('bad');
  expect(verdict(kit.judgeReleases(now)(running('2026-01-01T10:30:00.000Z')))).toBe('ok');
  expect(kit.judgeReleases(now)({ recent: [], maxInstances: 4 })).toEqual(['bad', 'no release takes traffic']);
});

it('calls Supabase bad when either REST or SQL fails, and does not miss an SQL that is not configured', () => {
  const fine = { ok: true, ms: 5, detail: '' };
  const broken = { ok: false, ms: 2000, detail: 'connection refused' };
  expect(kit.judgeSupabase({ rest: fine })).toEqual(['ok', 'REST answers in 5 ms; SQL not configured']);
  expect(kit.judgeSupabase({ rest: fine, sql: broken })).toEqual([
    'bad',
    'REST answers in 5 ms; SQL fails: connection refused',
  ]);
  expect(verdict(kit.judgeSupabase({ rest: broken, sql: fine }))).toBe('bad');
});

it('calls health bad on one failed probe, and on slow answers', () => {
  const judge = kit.judgeHealth(2000);
  const probes = { url: 'http://127.0.0.1/healthz', probes: 10, failed: 0, status: 200, p50Ms: 3, p95Ms: 5 };
  expect(verdict(judge(probes))).toBe('ok');
  expect(verdict(judge({ ...probes, failed: 1, status: 503 }))).toBe('bad');
  expect(verdict(judge({ ...probes, p95Ms: 2001 }))).toBe('bad');
});

it('calls an instance saturated from 80 % of a core on', () => {
  expect(verdict(kit.judgeSaturation(policy)({ busiest: 0.8, instances: 2 }))).toBe('bad');
  expect(verdict(kit.judgeSaturation(policy)({ busiest: 0.79, instances: 2 }))).toBe('ok');
});

it('counts the connections of applications against those open to them, and tells of what is left alone', () => {
  const groups = [{ user: 'shop', application: '', state: 'idle', count: 20 }];
  const use = { max: 100, reserved: 3, used: 20, groups, replication: 0, autovacuum: 0 };
  expect(kit.judgeConnections(policy)(use)).toEqual(['ok', '20 of 97 connections: 20 × shop idle']);
  expect(kit.judgeConnections(policy)({ ...use, used: 95, replication: 1, autovacuum: 2 })).toEqual([
    'bad',
    '95 of 97 connections: 20 × shop idle; beside them, and left alone: 1 of replication, 2 of autovacuum',
  ]);
});

it('takes nothing for recovered to which a new connection fails', () => {
  const ratio = { ratio: 0, requests: 100, windowSeconds: 60 };
  const times = { p50Ms: 1, p95Ms: 9, requests: 100 };
  const [fine, broken] = [
    { ok: true, ms: 5, detail: '' },
    { ok: false, ms: 5, detail: 'refused' },
  ];
  const judge = kit.judgeRecovery(policy);
  expect(judge({ ratio, times })).toMatchObject(['ok', expect.not.stringContaining('SQL'), expect.anything()]);
  expect(judge({ ratio, times, supabase: { rest: broken, sql: fine } })).toMatchObject([
    'ok',
    expect.stringContaining('SQL answers in 5 ms'),
    expect.anything(),
  ]);
  expect(judge({ ratio, times, supabase: { rest: fine, sql: broken } })).toMatchObject([
    'bad',
    expect.stringContaining('SQL fails: refused'),
    expect.anything(),
  ]);
  expect(verdict(judge({ ratio, times, supabase: { rest: broken } }))).toBe('bad');
});

it('calls the use of a database bad by the limits of the configuration, those of an older policy by the defaults', () => {
  const pool = { pool: 'app', clientsActive: 9, serversActive: 9, serversIdle: 0, size: 20 };
  const waiting = { ...pool, clientsWaiting: 3, maxWaitMs: 400 };
  const use = { max: 100, reserved: 0, used: 80, groups: [], replication: 0, autovacuum: 0 };
  const disk = { usedBytes: 80, sizeBytes: 100 };
  const verdicts = (limits?: Policy['limits']) => {
    const by = { limits };
    const all = [kit.judgePool(by)(waiting), kit.judgeConnections(by)(use), kit.judgeDisk(by)(disk)];
    return [...all, kit.judgeSaturation(by)({ busiest: 0.7, instances: 1 })].map(verdict);
  };
  expect(verdicts()).toEqual(['bad', 'ok', 'ok', 'ok']);
  expect(verdicts({ poolWaitMs: 500, connectionsUsed: 0.7, diskUsed: 0.7, coreUsed: 0.6 })).toEqual([
    'ok',
    'bad',
    'bad',
    'bad',
  ]);
});
