/** Real Postgres: what is in the way is found and ended, exactly once; bystanders stay; indexes are found, made once, dropped. */
import type { Client } from 'pg';
import { createActivities } from '../../activities/postgres.ts';
import type { CreateIndex, EndSessions, SessionInTheWay } from '../../src/contracts/index.ts';
import { until } from '../embedded/scratch.ts';
import { approvalOf, asActivity, scope, settings, startDatabaseRig, type DatabaseRig } from './database-rig.ts';

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
    create table """; drop table orders; --" as select * from big limit 20000;
    analyze; reset role`);
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

const pidOf = async (client: Client): Promise<number> =>
  (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0;
const lives = async (pid: number): Promise<boolean> =>
  (await rig.admin.query('select from pg_stat_activity where pid = $1', [pid])).rowCount === 1;
const refOf = ({ seconds: _s, blocks: _b, waits: _w, spared: _p, ...ref }: SessionInTheWay) => ref;
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

  it('takes no lock that could hold anybody up', async () => {
    const modes = new Set<string>();
    let done = false;
    const watching = (async () => {
      while (!done) {
        const { rows } = await rig.admin.query<{ mode: string }>(
          `select mode from pg_locks l join pg_stat_activity a using (pid) where a.application_name = 'holdfast' and locktype = 'relation'`,
        );
        for (const { mode } of rows) modes.add(mode);
      }
    })();
    for (let i = 0; i < 20; i += 1) {
      await activities.connectionUse();
      await activities.sessionsInTheWay(scope);
      await activities.slowStatements(scope);
    }
    done = true;
    await watching;
    expect([...modes].filter((mode) => mode !== 'AccessShareLock')).toEqual([]);
  });

  it('is asked by a role that may do this and nothing else', async () => {
    const role = await rig.client(rig.url, 'psql');
    for (const sql of [
      'select * from orders',
      'delete from orders',
      'create table mine (id int)',
      'alter system set work_mem = 1',
    ])
      await expect(role.query(sql)).rejects.toMatchObject({ code: '42501' });
    await role.end();
  });
});

describe('slow statements', () => {
  const slow = async (sql: string) => {
    await rig.admin.query('select extensions.pg_stat_statements_reset()');
    const client = await rig.client(rig.ownerUrl);
    for (let i = 0; i < 3; i += 1) await client.query(sql, [i]);
    await client.end();
    const eager = createActivities({ SUPABASE_DB_URL: rig.url, HOLDFAST_STATE_DIR: rig.stateDir }, {
      ...settings,
      services: settings.services.map((one) => ({
        ...one,
        environments: {
          production: {
            ...one.environments['production'],
            database: { ...one.environments['production']?.database, slowMs: 0.0001 },
          },
        },
      })),
    } as typeof settings);
    return await eager.slowStatements(scope);
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

  it('finds the index that a sequential scan lacks; makes it once; the planner uses it; undo drops it', async () => {
    const action = await indexed("select count(*) from big where customer = $1 and filler <> 'y'");
    expect(action).toMatchObject({ schema: 'public', table: 'big', columns: ['customer'] });
    expect(action.statement).toMatch(
      /^CREATE INDEX CONCURRENTLY IF NOT EXISTS "big_customer_\w{8}_idx" ON "public"."big" \("customer"\)$/,
    );
    const approval = approvalOf(action, 8);
    expect(await asActivity(() => activities.createIndex(approval))).toMatchObject({ changed: true });
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
    const hostile = '"""; drop table orders; --"';
    const action = await indexed(`select count(*) from ${hostile} where customer = $1`);
    expect(action.table).toBe('"; drop table orders; --');
    const approval = approvalOf(action, 10);
    await asActivity(() => activities.createIndex(approval));
    expect(await indexes()).toEqual([action.name]);
    await asActivity(() => activities.undoCreateIndex(approval));
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
    const second = asActivity(() => activities.createIndex(approval));
    await until(
      async () =>
        (await rig.admin.query(`select from pg_stat_activity where application_name = 'holdfast' and state = 'idle'`))
          .rowCount === 1,
    );
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
});
