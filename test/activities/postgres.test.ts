/** Real Postgres: what is in the way is found and ended, exactly once; bystanders stay; indexes are found, made once, dropped. */
import type { Client } from 'pg';
import { createActivities } from '../../activities/postgres.ts';
import { createActivities as createSupabase } from '../../activities/supabase.ts';
import type { CreateIndex, EndSessions, SessionInTheWay } from '../../src/contracts/index.ts';
import { rowsOf, withSession } from '../../src/database.ts';
import { openJournal } from '../../src/journal.ts';
import { until } from '../support/until.ts';
import {
  approvalOf,
  asActivity,
  indexAction,
  scope,
  settings,
  startDatabaseRig,
  type DatabaseRig,
} from './database-rig.ts';

let rig: DatabaseRig;
let activities: ReturnType<typeof createActivities>;
beforeAll(async () => {
  rig = await startDatabaseRig();
  activities = createActivities({ SUPABASE_DB_URL: rig.url, HOLDFAST_STATE_DIR: rig.stateDir }, settings);
  await rig.admin.query(`
    set role holdfast_owner;
    create table orders (id int primary key, note text);
    insert into orders select n, 'a' from generate_series(1, 10) as n;
    create table big (id int generated always as identity primary key, customer int, filler text);
    insert into big (customer, filler) select n % 5000, repeat('x', 40) from generate_series(1, 60000) as n;
    create table ${HOSTILE} as select * from big limit 20000;
    analyze; reset role`);
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

/** The activities under a configuration that differs in this. */
const configured = (database: { slowMs?: number; ownerRole?: undefined }) => {
  const changed = structuredClone(settings);
  Object.assign(changed.services[0]?.environments['production']?.database ?? {}, database);
  return createActivities({ SUPABASE_DB_URL: rig.url, HOLDFAST_STATE_DIR: rig.stateDir }, changed);
};
/** To whom every statement is slow. */
const eager = () => configured({ slowMs: 0.0001 });
const supabaseHealth = () =>
  createSupabase({
    SUPABASE_URL: 'http://127.0.0.1:1',
    SUPABASE_SECRET_KEY: 'x',
    SUPABASE_DB_URL: rig.url,
  }).supabaseHealth();
const HOSTILE = '"""; drop table orders; --"';

const pidOf = async (client: Client): Promise<number> =>
  (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0;
const lives = async (pid: number): Promise<boolean> =>
  (await rig.admin.query('select from pg_stat_activity where pid = $1', [pid])).rowCount === 1;
const refOf = ({ seconds: _s, blocks: _b, waitedSeconds: _ws, waits: _w, spared: _sp, ...ref }: SessionInTheWay) => ref;
const endAction = (...sessions: SessionInTheWay[]): EndSessions => ({
  kind: 'end-sessions',
  ...scope,
  sessions: sessions.map(refOf),
});

/** A forgotten transaction that holds a row, and two that wait for it, one behind the other. */
async function forgotten(row: number) {
  const [holder, waiter, behind] = [
    await rig.client(rig.ownerUrl),
    await rig.client(rig.ownerUrl),
    await rig.client(rig.ownerUrl),
  ];
  await holder.query('begin');
  await holder.query(`update orders set note = 'held' where id = $1`, [row]);
  const pid = await pidOf(holder);
  const waits = [waiter, behind].map((client) => client.query(`update orders set note = 'later' where id = $1`, [row]));
  const found = async () => (await activities.sessionsInTheWay(scope)).find((one) => one.pid === pid);
  await until(async () => (await found())?.blocks === 2);
  return { holder, pid, waits, found: found as () => Promise<SessionInTheWay> };
}

describe('sessions in the way', () => {
  it('finds the forgotten transaction at the root, and who waits for it; ends it, and those go on', async () => {
    const { pid, waits, found } = await forgotten(1);
    await until(async () => ((await found()).waitedSeconds ?? 0) >= 1);
    const root = await found();
    expect(root).toMatchObject({
      user: 'holdfast_owner',
      application: 'shop',
      state: 'idle in transaction',
      blocks: 2,
      waits: false,
    });
    const approval = approvalOf(endAction(root));
    expect(await asActivity(() => activities.endSessions(approval))).toMatchObject({
      changed: true,
      summary: `ended ${pid} (holdfast_owner)`,
    });
    await Promise.all(waits);
    expect(await lives(pid)).toBe(false);
    expect(await asActivity(() => activities.endSessions(approval))).toMatchObject({ changed: false });
  });

  it('finds what is idle in a transaction or at one statement for too long, though nobody waits', async () => {
    const [idle, busy] = [await rig.client(rig.ownerUrl), await rig.client(rig.ownerUrl)];
    await idle.query('begin');
    const pids = [await pidOf(idle), await pidOf(busy)];
    const sleeping = busy.query('select pg_sleep(60)').catch(() => undefined);
    await until(async () => {
      const there = await activities.sessionsInTheWay(scope);
      return pids.every((pid) => there.some((one) => one.pid === pid && one.blocks === 0));
    });
    const there = (await activities.sessionsInTheWay(scope)).filter(({ pid }) => pids.includes(pid));
    await asActivity(() => activities.endSessions(approvalOf(endAction(...there))));
    await sleeping;
    expect(await Promise.all(pids.map(lives))).toEqual([false, false]);
  });

  it('refuses as stale, and ends none, when one of them has gone, or has gone on to another transaction', async () => {
    const { holder, pid, waits, found } = await forgotten(2);
    const { pid: otherPid, holder: other, waits: otherWaits, found: otherFound } = await forgotten(3);
    const approval = approvalOf(endAction(await found(), await otherFound()));
    await other.query('rollback');
    await Promise.all(otherWaits);
    await other.query('begin');
    await other.query(`update orders set note = 'again' where id = 4`);
    await expect(asActivity(() => activities.endSessions(approval))).rejects.toMatchObject({ type: 'StaleApproval' });
    expect(await Promise.all([pid, otherPid].map(lives))).toEqual([true, true]);
    await other.query('rollback');
    await holder.query('rollback');
    await Promise.all(waits);
  });

  it('takes a pid that another session has for a session that is gone', async () => {
    const { holder, pid, waits, found } = await forgotten(5);
    const reused = { ...(await found()), backendStart: '2020-01-01T00:00:00.000000Z' };
    await expect(asActivity(() => activities.endSessions(approvalOf(endAction(reused))))).rejects.toMatchObject({
      type: 'StaleApproval',
    });
    expect(await lives(pid)).toBe(true);
    await holder.query('rollback');
    await Promise.all(waits);
  });

  it('counts what an attempt that was cut short has ended as done, and goes on with the rest', async () => {
    const first = await forgotten(6);
    const second = await forgotten(7);
    const approval = approvalOf(endAction(await first.found(), await second.found()));
    const killed = createActivities({ SUPABASE_DB_URL: rig.url, HOLDFAST_STATE_DIR: rig.stateDir }, settings);
    await rig.admin.query('revoke pg_signal_backend from holdfast'); // it begins, and fails at the act
    await expect(asActivity(() => killed.endSessions(approval))).rejects.toMatchObject({ type: 'NotAllowed' });
    await rig.admin.query('grant pg_signal_backend to holdfast');
    await rig.admin.query('select pg_terminate_backend($1)', [first.pid]);
    await until(async () => !(await lives(first.pid)));
    expect(await asActivity(() => activities.endSessions(approval))).toMatchObject({ changed: true });
    expect(await lives(second.pid)).toBe(false);
    await Promise.all([...first.waits, ...second.waits]);
  });

  it('leaves a replication slot and autovacuum as they are, whatever it ends', async () => {
    await rig.admin.query(`select pg_create_physical_replication_slot('standby', true)`);
    const bystanders = async () =>
      (
        await rig.admin.query(
          `select backend_type, count(*)::int as n from pg_stat_activity where backend_type not in ('client backend', 'io worker', 'autovacuum worker', 'parallel worker') group by 1 order by 1`,
        )
      ).rows;
    const before = await bystanders();
    const { waits, found } = await forgotten(9);
    await asActivity(async () => activities.endSessions(approvalOf(endAction(await found()))));
    await Promise.all(waits);
    expect(await bystanders()).toEqual(before);
    expect((await rig.admin.query(`select slot_name from pg_replication_slots`)).rows).toEqual([
      { slot_name: 'standby' },
    ]);
  });

  it('leaves a superuser, a backup, replication and itself alone, and shows why', async () => {
    await rig.admin.query(`create role walker login replication password 'pw'`);
    const people: [string, string, string][] = [
      [rig.superuserUrl, 'psql', "a superuser's"],
      [rig.ownerUrl, 'pg_dump', 'a backup'],
      [rig.url, 'holdfast', "Holdfast's own"],
      [rig.ownerUrl.replace(/\/\/[^@]*@/, '//walker:pw@'), 'shop', 'of replication'],
    ];
    const clients = await Promise.all(people.map(([url, application]) => rig.client(url, application)));
    for (const client of clients) await client.query('begin');
    const pids = await Promise.all(clients.map(pidOf));
    const found = async () => (await activities.sessionsInTheWay(scope)).filter(({ pid }) => pids.includes(pid));
    await until(async () => (await found()).length === people.length);
    const there = await found();
    expect(new Map(there.map(({ pid, spared }) => [pid, spared]))).toEqual(
      new Map(people.map(([, , why], i) => [pids[i], why])),
    );
    for (const one of there)
      await expect(asActivity(() => activities.endSessions(approvalOf(endAction(one))))).rejects.toMatchObject({
        type: 'StaleApproval',
      });
    expect(await Promise.all(pids.map(lives))).toEqual([true, true, true, true]);
  });

  it('refuses what is no approval of this, more sessions than configured, and a lower fence than it has seen', async () => {
    const one = {
      pid: 1,
      backendStart: 'x',
      user: 'u',
      application: 'a',
      state: 's',
      query: 'q',
      seconds: 1,
      blocks: 0,
      waits: false,
    };
    await expect(
      asActivity(() => activities.endSessions(approvalOf(endAction(...Array.from({ length: 6 }, () => one))))),
    ).rejects.toMatchObject({ type: 'Refused' });
    const foreign = approvalOf({ kind: 'reconnect-pool', ...scope, pool: 'app' } as const);
    await expect(asActivity(() => activities.endSessions(foreign as never))).rejects.toMatchObject({
      type: 'NotAllowed',
    });
    const { holder, waits, found } = await forgotten(8);
    const root = await found();
    await asActivity(() => activities.endSessions(approvalOf(endAction(root), 7)));
    await Promise.all(waits);
    await holder.end().catch(() => undefined);
    await expect(asActivity(() => activities.endSessions(approvalOf(endAction(root), 6)))).rejects.toMatchObject({
      type: 'Fenced',
    });
  });
});

describe('the server', () => {
  it('counts its connections by user, application and state, against its limit', async () => {
    const { max, reserved, used, groups } = await activities.connectionUse();
    expect(max).toBe(100);
    expect(reserved).toBeGreaterThanOrEqual(3);
    expect(used).toBe(groups.reduce((sum, { count }) => sum + count, 0));
    expect(groups).toContainEqual(
      expect.objectContaining({ application: 'holdfast', user: 'holdfast', state: 'active' }),
    );
  });

  it('is unavailable when it refuses connections, and says so without the password', async () => {
    const url = rig.url.replace(/:\d+\//, ':1/');
    const away = createActivities({ SUPABASE_DB_URL: url, HOLDFAST_STATE_DIR: rig.stateDir }, settings);
    const refused = away.connectionUse();
    await expect(refused).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringMatching(/postgres(ql)?:/) });
    const wrong = createActivities(
      { SUPABASE_DB_URL: rig.url.replace(/:\w+@/, ':no@'), HOLDFAST_STATE_DIR: rig.stateDir },
      settings,
    );
    await expect(wrong.connectionUse()).rejects.toMatchObject({ type: 'NotAllowed' });
  });

  it('is read also when the application has taken every connection it can', async () => {
    const taken: Client[] = [];
    const refused = async (): Promise<boolean> =>
      rig.client(rig.ownerUrl).then(
        (client) => (taken.push(client), false),
        () => true,
      );
    while (!(await refused()));
    const { max, reserved, used } = await activities.connectionUse();
    expect(used).toBeGreaterThan(max - reserved);
    expect(await activities.sessionsInTheWay(scope)).toEqual(expect.any(Array));
    await Promise.all(taken.map((client) => client.end()));
  });

  it('never has more than two connections of Holdfast, however much it is asked at once, each of them bounded', async () => {
    const { rows: others } = await rig.admin.query<{ pid: number }>(
      `select pid from pg_stat_activity where usename = 'holdfast'`, // of the tests
    );
    const samples: { application: string; count: number }[] = [];
    let done = false;
    const watching = (async () => {
      while (!done) {
        const { rows } = await rig.admin.query<{ application: string; count: number }>(
          `select application_name as application, sum(count(*)) over ()::int as count from pg_stat_activity
           where usename = 'holdfast' and pid <> all ($1) group by 1`,
          [others.map(({ pid }) => pid)],
        );
        samples.push(...rows);
      }
    })();
    for (let round = 0; round < 5; round += 1) {
      const [health] = await Promise.all([
        supabaseHealth(),
        activities.connectionUse(),
        activities.sessionsInTheWay(scope),
        activities.slowStatements(scope),
        activities.diskUse(scope),
      ]);
      expect(health.sql).toMatchObject({ ok: true });
    }
    done = true;
    await watching;
    expect(Math.max(...samples.map(({ count }) => count))).toBe(2);
    expect(new Set(samples.map(({ application }) => application))).toEqual(new Set(['holdfast']));
    const bounds = await withSession(rig.url, (session) =>
      rowsOf<{ name: string; setting: string }>(
        session,
        `select name, setting from pg_settings where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`,
      ),
    );
    expect(new Map(bounds.map(({ name, setting }) => [name, Number(setting)]))).toEqual(
      new Map([
        ['idle_in_transaction_session_timeout', 5000],
        ['lock_timeout', 1000],
        ['statement_timeout', 4000],
      ]),
    );
  });

  it('is not asked by a third connection while two are in use, and that is not taken for its state', async () => {
    const release: (() => void)[] = [];
    const holding = [1, 2].map(() =>
      withSession(rig.url, () => new Promise<void>((resolve) => void release.push(resolve))),
    );
    await until(async () => release.length === 2);
    const expected = { type: 'RateLimited', nonRetryable: false };
    await Promise.all([
      expect(activities.connectionUse()).rejects.toMatchObject(expected),
      expect(supabaseHealth()).rejects.toMatchObject(expected),
    ]);
    const stopped = new AbortController();
    const cancelled = withSession(rig.url, async () => 1, {}, stopped.signal);
    stopped.abort(new Error('stopped'));
    await expect(cancelled).rejects.toThrow('stopped');
    const next = activities.connectionUse();
    for (const go of release) go();
    await Promise.all(holding);
    expect(await next).toMatchObject({ max: 100 });
  });

  it('takes no lock that could hold anybody up, of any type, and nobody waits for it', async () => {
    await rig.admin.query('select count(*) from big where customer = $1', [1]);
    const held = new Set<string>();
    let [done, waiters] = [false, 0];
    const writer = await rig.client(rig.ownerUrl);
    const writing = (async () => {
      while (!done) await writer.query(`update big set filler = 'y' where id = 1; analyze big`);
    })();
    const watching = (async () => {
      while (!done) {
        const { rows } = await rig.admin.query<{ lock: string; waiters: number }>(
          `select locktype || ' ' || mode as lock,
             (select count(*)::int from pg_locks w where not w.granted and l.pid = any (pg_blocking_pids(w.pid))) as waiters
           from pg_locks l join pg_stat_activity a using (pid) where a.usename = 'holdfast'`,
        );
        for (const row of rows) held.add(row.lock);
        waiters += rows.reduce((sum, row) => sum + row.waiters, 0);
      }
    })();
    const indexes = [];
    for (let i = 0; i < 5; i += 1) {
      const [statements] = await Promise.all([
        eager().slowStatements(scope),
        supabaseHealth(),
        activities.connectionUse(),
        activities.sessionsInTheWay(scope),
        activities.diskUse(scope),
      ]);
      indexes.push(...statements.flatMap(({ index }) => index ?? []));
    }
    done = true;
    await Promise.all([watching, writing]);
    expect(indexes).toContainEqual(expect.objectContaining({ table: 'big' })); // it was explained
    const harmless = [
      'relation AccessShareLock',
      'virtualxid ExclusiveLock', // each session's own
      'object RowExclusiveLock', // each session's, on its database, until it has connected
    ];
    expect([...held].filter((lock) => !harmless.includes(lock))).toEqual([]);
    expect(held).toContain('relation AccessShareLock');
    expect(waiters).toBe(0);
  });

  it('is asked by a role that may do this and nothing else', async () => {
    const role = await rig.client(rig.url, 'psql');
    const superuser = await pidOf(rig.admin);
    for (const sql of [
      'select * from orders',
      'delete from orders',
      'create table mine (id int)',
      'create index on big (customer)',
      'alter system set work_mem = 1',
      'set role postgres',
      'create role another',
      `select pg_terminate_backend(${superuser})`,
      `select pg_read_file('postgresql.conf')`,
      `copy (select 1) to program 'true'`,
    ])
      await expect(role.query(sql)).rejects.toMatchObject({ code: '42501' });
    expect(await lives(superuser)).toBe(true);
    await role.end();
  });

  it('is given no index where the owner of its tables is not configured', async () => {
    const ownerless = configured({ ownerRole: undefined });
    const action = indexAction('big', 'filler');
    await expect(asActivity(() => ownerless.createIndex(approvalOf(action, 7)))).rejects.toMatchObject({
      type: 'NotConfigured',
      message: expect.stringContaining('set database.ownerRole'),
    });
    expect((await rig.admin.query('select from pg_class where relname = $1', [action.name])).rowCount).toBe(0);
  });
});

describe('slow statements', () => {
  const slow = async (sql: string) => {
    await rig.admin.query('select extensions.pg_stat_statements_reset()');
    const client = await rig.client(rig.ownerUrl);
    for (let i = 0; i < 3; i += 1) await client.query(sql, [i]);
    await client.end();
    return await eager().slowStatements(scope);
  };
  const indexed = async (sql: string): Promise<CreateIndex> => {
    const index = (await slow(sql)).find((one) => one.index !== undefined)?.index;
    if (index === undefined) throw new Error('no index was found');
    const { costNow: _now, costWith: _with, ...plan } = index;
    return { kind: 'create-index', ...scope, ...plan };
  };
  const indexes = async () =>
    (
      await rig.admin.query<{ indexname: string }>(
        `select indexname from pg_indexes where indexname like '%_idx' order by 1`,
      )
    ).rows.map((row) => row.indexname);

  it('tells those that run now from those that once ran', async () => {
    const sql = "select count(*) from big where customer = $1 and filler <> 'z'";
    expect(await slow(sql)).toMatchObject([{ calls: 3, ran: false }]);
    const client = await rig.client(rig.ownerUrl);
    let going = true;
    const runs = (async () => {
      while (going) await client.query(sql, [1]);
    })();
    const [statement] = await slow(sql);
    going = false;
    await runs;
    await client.end();
    expect(statement).toMatchObject({ ran: true });
  });

  it('finds the index that a sequential scan lacks; makes it once; the planner uses it; undo drops it', async () => {
    const sql = "select count(*) from big where customer = $1 and filler <> 'y'";
    const action = await indexed(sql);
    expect(action).toMatchObject({ schema: 'public', table: 'big', columns: ['customer'] });
    expect(action.statement).toMatch(
      /^CREATE INDEX CONCURRENTLY IF NOT EXISTS "big_customer_\w{8}_idx" ON "public"."big" \("customer"\)$/,
    );
    const approval = approvalOf(action, 8);
    const client = await rig.client(rig.ownerUrl);
    let going = true;
    const runs = (async () => {
      while (going) await client.query(sql, [1]);
    })();
    const made = await asActivity(() => eager().createIndex(approval));
    going = false;
    await runs;
    expect(made).toMatchObject({ changed: true });
    const told =
      /^made \w+ in [\d.]+ s: Seq Scan on big, cost (\d+), \d+ × [\d.]+ ms → [\w ]*Index[\w ]*Scan using (\w+), cost (\d+), \d+ × [\d.]+ ms$/.exec(
        made.summary,
      );
    expect(told?.[2]).toBe(action.name);
    expect(Number(told?.[3])).toBeLessThan(Number(told?.[1]) / 2);
    expect(await asActivity(() => activities.createIndex(approval))).toMatchObject({ changed: false });
    expect(await indexes()).toEqual([action.name]);
    const plan = await rig.admin.query('explain select count(*) from big where customer = 1');
    expect(JSON.stringify(plan.rows)).toContain(action.name);
    expect(
      (await slow("select count(*) from big where customer = $1 and filler <> 'z'")).every(
        ({ index }) => index === undefined,
      ),
    ).toBe(true);
    await expect(asActivity(() => activities.createIndex(approvalOf(action, 9)))).rejects.toMatchObject({
      type: 'StaleApproval',
    });
    expect(await asActivity(() => activities.undoCreateIndex(approval))).toMatchObject({ changed: true });
    expect(await asActivity(() => activities.undoCreateIndex(approval))).toMatchObject({ changed: false });
    expect(await indexes()).toEqual([]);
  });

  it('carries a table of a hostile name through every step unharmed', async () => {
    const sql = `select count(*) from ${HOSTILE} where customer = $1`;
    const action = await indexed(sql);
    expect(action.table).toBe('"; drop table orders; --');
    const approval = approvalOf(action, 10);
    await asActivity(() => activities.createIndex(approval));
    expect(await indexes()).toEqual([action.name]);
    await asActivity(() => activities.undoCreateIndex(approval));

    const [holder, waiter] = [await rig.client(rig.ownerUrl), await rig.client(rig.ownerUrl)];
    await holder.query(`begin; lock table ${HOSTILE}`);
    const pid = await pidOf(holder);
    const waiting = waiter.query(sql, [1]);
    const held = async () => (await activities.sessionsInTheWay(scope)).find((one) => one.pid === pid);
    await until(async () => (await held())?.blocks === 1);
    const root = (await held()) as SessionInTheWay;
    const [statements] = await Promise.all([
      eager().slowStatements(scope),
      supabaseHealth(),
      activities.connectionUse(),
      activities.diskUse(scope),
    ]);
    expect(statements).toContainEqual(expect.objectContaining({ query: expect.stringContaining(HOSTILE) }));
    await asActivity(() => activities.endSessions(approvalOf(endAction(root), 10)));
    await waiting;
    expect((await rig.admin.query('select count(*)::int as n from orders')).rows).toEqual([{ n: 10 }]);
  });

  it('runs no statement that is not the one its parts make', async () => {
    const action = await indexed('select count(*) from big where customer = $1');
    const forged = approvalOf({ ...action, statement: 'drop table orders' }, 11);
    await expect(asActivity(() => activities.createIndex(forged))).rejects.toMatchObject({ type: 'NotAllowed' });
  });

  it('drops what a failed build left, and waits for one that goes on without its worker', async () => {
    const action = await indexed('select count(*) from big where customer = $1');
    const approval = approvalOf(action, 12);
    const holder = await rig.client(rig.ownerUrl);
    await holder.query('begin');
    await holder.query(`update big set filler = 'held' where id = 1`);
    const first = await rig.client(rig.ownerUrl); // the statement of a worker that was killed
    const building = first.query(action.statement);
    await until(async () => (await rig.admin.query('select from pg_stat_progress_create_index')).rowCount === 1);
    const waits = Promise.withResolvers<void>();
    const second = asActivity(() => activities.createIndex(approval), waits.resolve);
    await waits.promise;
    await rig.admin.query('select pg_cancel_backend($1)', [
      await rig.admin
        .query<{ pid: number }>(`select pid from pg_stat_progress_create_index`)
        .then(({ rows }) => rows[0]?.pid),
    ]);
    await expect(building).rejects.toMatchObject({ code: '57014' }); // leaves an invalid index
    await holder.query('rollback');
    expect(await second).toMatchObject({ changed: true });
    expect(await indexes()).toEqual([action.name]);
    await asActivity(() => activities.undoCreateIndex(approval));
  });

  it('joins the build that an earlier attempt has begun, and makes no second index', async () => {
    const action = indexAction('big', 'customer');
    const approval = approvalOf(action, 13);
    await openJournal(rig.stateDir, 'database', scope).begin({ key: approval.id, fence: 13 });
    const holder = await rig.client(rig.ownerUrl);
    await holder.query('begin');
    await holder.query(`update big set filler = 'held' where id = 1`);
    const earlier = await rig.client(rig.ownerUrl); // whose worker was killed
    const building = earlier.query(action.statement);
    const built = async () =>
      (await rig.admin.query(`select oid from pg_class where relname = $1`, [action.name])).rows;
    await until(async () => (await built()).length === 1); // its progress is told before its name is
    const begun = await built();
    const own = async () =>
      (await rig.admin.query(`select from pg_stat_activity where application_name = 'holdfast'`)).rowCount;
    const before = await own();
    const waits = Promise.withResolvers<void>();
    const second = asActivity(() => activities.createIndex(approval), waits.resolve);
    await waits.promise;
    await until(async () => (await own()) === before); // between its looks
    await holder.query('rollback');
    await building;
    expect(await second).toMatchObject({ changed: true });
    expect(await built()).toEqual(begun);
    expect(await asActivity(() => activities.undoCreateIndex(approval))).toMatchObject({ changed: true });
  });

  it('keeps an index on undo when a later change has acted since', async () => {
    const [first, second] = [
      approvalOf(indexAction('big', 'customer'), 14),
      approvalOf(indexAction('orders', 'note'), 15),
    ];
    await asActivity(() => activities.createIndex(first));
    await asActivity(() => activities.createIndex(second));
    const made = await indexes();
    const fenced = { type: 'Fenced', nonRetryable: true };
    await expect(asActivity(() => activities.undoCreateIndex(first))).rejects.toMatchObject(fenced);
    expect(await indexes()).toEqual(made);
    expect(await asActivity(() => activities.undoCreateIndex(second))).toMatchObject({ changed: true });
    expect(await indexes()).toEqual([first.proposal.action.name]);
  });
});
