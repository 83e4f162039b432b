import { activityInfo } from '@temporalio/activity';
import type { PoolUse, SlowStatement } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { holder } from '../support/in-the-way.ts';
import { incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const slow: SlowStatement = {
  query: 'select * from orders where customer = $1',
  calls: 900,
  meanMs: 450,
  totalMs: 405_000,
  index: {
    schema: 'public',
    table: 'orders',
    columns: ['customer'],
    name: 'orders_customer_idx',
    statement: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS "orders_customer_idx" ON "public"."orders" ("customer")',
    costNow: 20_000,
    costWith: 12,
  },
};
const pool = (change: Partial<PoolUse>): PoolUse => ({
  pool: 'app',
  clientsActive: 20,
  clientsWaiting: 9,
  maxWaitMs: 1500,
  serversActive: 20,
  serversIdle: 0,
  size: 20,
  ...change,
});
const start = (overrides: Partial<Ports>) => time.start('databaseConnectionIssues', incident(), overrides);
type Run = Awaited<ReturnType<typeof start>>;
const proposed = async (run: Run) => (await run.until(({ phase }) => phase === 'waiting')).proposal;
const stopped = async (run: Run) => {
  await run.handle.signal('stop', { by: 'test' });
  return await run.result();
};

it('ends the session that holds others up, after an approval, and verifies that it helped', async () => {
  let ended = false;
  const run = await start({
    sessionsInTheWay: async () => (ended ? [] : [{ ...holder, pid: 42, waits: true, blocks: 0 }, holder]),
    endSessions: async ({ proposal }) => {
      ended = true;
      run.world.errorRatio = 0;
      return { changed: true, summary: `ended ${proposal.action.sessions.map(({ pid }) => pid).join(', ')}` };
    },
  });
  const { seconds: _s, blocks: _b, waitedSeconds: _ws, waits: _w, ...ref } = holder;
  expect((await proposed(run))?.action).toEqual({
    kind: 'end-sessions',
    service: 'shop',
    environment: 'production',
    sessions: [ref],
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect((await run.status()).timeline).toContainEqual(expect.objectContaining({ kind: 'acted', what: 'ended 41' }));
});

it('covers every line of the diagnosis', async () => {
  const run = await start({ sessionsInTheWay: async () => [holder] });
  const { findings } = await run.until(({ phase }) => phase === 'waiting');
  expect(findings.map(({ check }) => check).sort()).toEqual([
    'API response times',
    'Supabase connectivity',
    'application health',
    'connection pool',
    'connections of the server',
    'disk',
    'failed requests',
    'recent deployments',
    'sessions in the way',
    'slow statements',
  ]);
  await stopped(run);
});

const leaked = [1, 2, 3, 4].map((pid) => ({ ...holder, pid, application: 'shop', blocks: 0 }));

it('rolls the release back that leaks connections, instead of ending what it would leak again', async () => {
  const run = await start({ sessionsInTheWay: async () => leaked });
  const { action, why } = (await proposed(run)) ?? {};
  expect(action).toMatchObject({ kind: 'roll-back', from: 'v2', to: 'v1' });
  const checks = (await run.status()).findings.map(({ check }) => check);
  expect(checks).toEqual(expect.arrayContaining(['last verified good', 'the schema can serve v1']));
  expect(why).toContainEqual(expect.stringContaining('forgot its transaction 120 s ago, after v2 went live'));
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
});

it('ends the sessions where they are older than the release', async () => {
  const running = { version: 'v2', commit: 'c', deployedAt: '2026-11-24T09:00:00Z', weight: 1, instances: 2 };
  const releases = { running, previous: { ...running, version: 'v1' }, recent: [running], maxInstances: 4 };
  const run = await start({ sessionsInTheWay: async () => leaked, recentReleases: async () => releases });
  expect((await proposed(run))?.action.kind).toBe('end-sessions');
  await stopped(run);
});

it('ends the sessions where they are of several applications', async () => {
  const several = leaked.map((one, i) => ({ ...one, application: `app-${i % 2}` }));
  const run = await start({ sessionsInTheWay: async () => several });
  expect((await proposed(run))?.action.kind).toBe('end-sessions');
  await stopped(run);
});

it('looks again after a while when much of the pool idles in transactions that are young yet', async () => {
  let looks = 0;
  const run = await start({
    poolUse: async () => pool({ clientsWaiting: 0, maxWaitMs: 0 }),
    connectionUse: async () => ({
      max: 100,
      reserved: 3,
      used: 30,
      groups: [{ user: 'shop', application: 'shop', state: 'idle in transaction', count: 20 }],
      replication: 0,
      autovacuum: 0,
    }),
    sessionsInTheWay: async () => ((looks += 1) === 1 ? leaked.slice(0, 1) : leaked), // one is old enough at first
  });
  expect((await proposed(run))?.action.kind).toBe('roll-back');
  expect((await run.status()).findings.map(({ check }) => check)).toContain('sessions in the way, after a while');
  await stopped(run);
});

const hosted = policyOf({ database: { ...policyOf().database, hosted: true } });

it('asks Supabase too where it hosts the project, and proposes larger compute where the server has no room', async () => {
  const run = await start({
    policy: async () => hosted,
    poolUse: async () => pool({}),
    connectionUse: async () => ({ max: 100, reserved: 3, used: 90, groups: [], replication: 0, autovacuum: 0 }),
  });
  expect(await proposed(run)).toMatchObject({
    risk: 'high',
    action: { kind: 'resize-compute', from: 'ci_micro', to: 'ci_small' },
    why: [expect.any(String), expect.stringContaining('$0.0206 hourly')],
  });
  expect((await run.status()).findings.map(({ check }) => check)).toEqual(
    expect.arrayContaining(['hosted services', 'hosted advisors', 'hosted capacity']),
  );
  await stopped(run);
});

it('pauses the pool to restart it where the configuration asks for that', async () => {
  const run = await start({
    policy: async () => policyOf({ database: { ...hosted.database, hosted: false, restartBy: 'pause' } }),
    poolUse: async () => pool({ serversActive: 3 }),
  });
  expect(await proposed(run)).toMatchObject({ risk: 'medium', action: { kind: 'reconnect-pool', pause: true } });
  await stopped(run);
});

it('never proposes to end a session that is spared', async () => {
  const run = await start({ sessionsInTheWay: async () => [{ ...holder, spared: 'a backup' }] });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  expect(run.calls).not.toContain('endSessions');
});

it('proposes the index that a slow statement lacks, with its statement and its proof', async () => {
  const run = await start({ slowStatements: async () => [slow] });
  const { action, why } = (await proposed(run)) ?? {};
  expect(action).toMatchObject({ kind: 'create-index', statement: slow.index?.statement });
  expect(why?.join()).toContain('the plan costs 12 instead of 20000');
  await stopped(run);
});

it('says of an index that nothing proves it where that is so', async () => {
  const { costWith: _, ...unproven } = slow.index as NonNullable<SlowStatement['index']>;
  const run = await start({ slowStatements: async () => [{ ...slow, index: unproven }] });
  expect((await proposed(run))?.why.join()).toContain('unproven');
  await stopped(run);
});

it('reconnects a pool whose clients wait though connections are free', async () => {
  const run = await start({ poolUse: async () => pool({ serversActive: 3 }) });
  expect((await proposed(run))?.action).toMatchObject({ kind: 'reconnect-pool', pool: 'app' });
  await stopped(run);
});

it('resizes a pool that is merely too small where the server has room, and always asks', async () => {
  const run = await start({ poolUse: async () => pool({}) });
  expect(await proposed(run)).toMatchObject({ risk: 'high', action: { kind: 'resize-pool', from: 20, to: 40 } });
  await stopped(run);
});

it('lets a pool be where the server has no room for more', async () => {
  const run = await start({
    poolUse: async () => pool({}),
    connectionUse: async () => ({ max: 100, reserved: 3, used: 90, groups: [], replication: 0, autovacuum: 0 }),
  });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
});

it('changes nothing when a person declines', async () => {
  const run = await start({ sessionsInTheWay: async () => [holder] });
  await run.decide('declined', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'declined' });
  expect(run.calls).not.toContain('endSessions');
});

it('climbs the whole ladder and ends unanswered, with nothing changed', async () => {
  const run = await start({ sessionsInTheWay: async () => [holder] });
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  expect(run.pages.filter(({ asks }) => asks).map(({ person }) => person)).toEqual(['responder', 'lead', 'cto']);
  expect(run.calls).not.toContain('endSessions');
});

it('goes on to the next proposal when ending sessions did not help, undoes what can be undone, then hands over', async () => {
  const hours: number[] = [];
  const noting = (summary: string) => async () => {
    hours.push(activityInfo().startToCloseTimeoutMs / 3_600_000);
    return { changed: true, summary };
  };
  const run = await start({
    sessionsInTheWay: async () => [holder],
    slowStatements: async () => [slow],
    endSessions: async () => ({ changed: true, summary: 'ended 41' }),
    createIndex: noting('made orders_customer_idx'),
    undoCreateIndex: noting('dropped orders_customer_idx'),
  });
  await run.decide('approved', 'responder');
  await run.until(({ phase, proposal }) => phase === 'waiting' && proposal?.action.kind === 'create-index');
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'not-recovered' });
  expect(hours).toEqual([2, 2]); // a large table takes its time
  const kinds = (await run.status()).timeline.map(({ kind }) => kind);
  expect(kinds).toEqual(expect.arrayContaining(['not-undone', 'undone']));
});

it.each([
  ['takes it for recovered once new connections succeed again', 2, 'mitigated'],
  ['does not take it for recovered while new connections fail, though errors are gone', Infinity, 'not-recovered'],
])('%s', async (_, failing, outcome) => {
  let [ended, looks] = [false, 0];
  const run = await start({
    sessionsInTheWay: async () => (ended ? [] : [holder]),
    endSessions: async () => {
      ended = true;
      run.world.errorRatio = 0;
      return { changed: true, summary: 'ended 41' };
    },
    supabaseHealth: async () => {
      const ok = !ended || (looks += 1) > failing;
      return { rest: { ok: true, ms: 4, detail: '' }, sql: { ok, ms: 4, detail: ok ? '' : 'refused' } };
    },
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome });
  expect((await run.status()).timeline).toContainEqual(
    expect.objectContaining({ kind: 'measured', what: expect.stringContaining('SQL fails: refused') }),
  );
});

it('hands over when whether it helped cannot be measured', async () => {
  let acted = false;
  const run = await start({
    sessionsInTheWay: async () => [holder],
    endSessions: async () => {
      acted = true;
      return { changed: true, summary: 'ended 41' };
    },
    errorRatio: async () => {
      if (acted) throw failure('Unavailable', 'metrics are away');
      return { ratio: 0.2, requests: 1000, windowSeconds: 300 };
    },
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({
    outcome: 'handed-over',
    note: expect.stringContaining('cannot be measured'),
  });
});

it('hands over, with nothing proposed, when the database refuses every connection', async () => {
  const refused = async () => {
    throw failure('Unavailable', 'database: connect ECONNREFUSED');
  };
  const run = await start({
    connectionUse: refused,
    sessionsInTheWay: refused,
    slowStatements: refused,
    poolUse: refused,
    supabaseHealth: async () => ({ rest: { ok: false, ms: 4, detail: 'HTTP 503' } }),
  });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  const { findings } = await run.status();
  expect(
    findings
      .filter(({ verdict }) => verdict === 'unknown')
      .map(({ check }) => check)
      .sort(),
  ).toEqual(['connection pool', 'connections of the server', 'sessions in the way', 'slow statements']);
  await run.handedOver();
  expect(run.pages.map(({ person }) => person)).toEqual(['responder']);
});

it('proposes again when the session has gone on in the meantime', async () => {
  let pid = 41;
  const run = await start({
    sessionsInTheWay: async () => [{ ...holder, pid }],
    endSessions: async ({ proposal }) => {
      if (proposal.action.sessions[0]?.pid !== pid)
        throw failure('StaleApproval', 'sessions 41 are no longer what they were');
      run.world.errorRatio = 0;
      return { changed: true, summary: 'ended' };
    },
  });
  await proposed(run);
  pid = 77;
  await run.decide('approved', 'responder');
  await run.until(({ phase, proposal }) => phase === 'waiting' && JSON.stringify(proposal?.action).includes('77'));
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
});
