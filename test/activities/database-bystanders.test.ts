/** A real Postgres behind a real PgBouncer: who has nothing to do with an incident is there after every mitigation as before it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createActivities as createPool } from '../../activities/pgbouncer.ts';
import { createActivities } from '../../activities/postgres.ts';
import type { Action, Effect } from '../../src/contracts/index.ts';
import { pgbouncerBinary } from '../../src/embedded/pgbouncer.ts';
import { postgresClient } from '../../src/embedded/postgres-client.ts';
import { findProcess, startProcess } from '../../src/processes.ts';
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

const ROWS = 200_000;
const described = pgbouncerBinary() === undefined ? describe.skip : describe;
described('bystanders', () => {
  let rig: DatabaseRig;
  let poolUrl: string;
  let database: ReturnType<typeof createActivities>;
  let pool: ReturnType<typeof createPool>;
  let dump: { pid: number; logFile: string };
  const clients: number[] = [];

  /** The replication slot, the sessions with what they do, the worker of autovacuum. */
  const bystanders = async () => {
    const { rows: slots } = await rig.admin.query('select slot_name, slot_type, wal_status from pg_replication_slots');
    const { rows: sessions } = await rig.admin.query<{ who: string }>(
      `select coalesce(usename, backend_type) || ' ' || application_name as who, pid, backend_start::text, xact_start::text
       from pg_stat_activity where pid = any ($1) or application_name = 'pg_dump'
         or pid in (select pid from pg_stat_progress_vacuum where relid = 'busy'::regclass) order by pid`,
      [clients],
    );
    return { slots, sessions };
  };
  const standing = async (url: string, application: string): Promise<void> => {
    const client = await rig.client(url, application);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    clients.push(...rows.map(({ pid }) => pid));
    await client.query('begin');
  };

  beforeAll(async () => {
    rig = await startDatabaseRig();
    const started = await rig.startPgBouncer();
    poolUrl = started.url;
    const variables = { SUPABASE_DB_URL: rig.url, HOLDFAST_STATE_DIR: rig.stateDir };
    database = createActivities(variables, settings);
    pool = createPool({ ...variables, PGBOUNCER_ADMIN_URL: started.adminUrl }, settings);
    await rig.admin.query('alter system set autovacuum_naptime = 1');
    await rig.admin.query(`
      select pg_create_physical_replication_slot('standby', true);
      set role holdfast_owner;
      create table big with (autovacuum_enabled = false) as
        select n as id, n % 5000 as customer, repeat('x', 40) as filler from generate_series(1, 60000) as n;
      create table busy (id int) with (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
      insert into busy select generate_series(1, ${ROWS});
      reset role`);
    await rig.admin.query('select pg_reload_conf()');
    await rig.admin.query('delete from busy');
    await standing(rig.superuserUrl, 'psql');
    await standing(rig.url, 'holdfast');
    const elsewhere = rig.superuserUrl.replace(/\/[^/]*$/, '/postgres');
    const other = await rig.client(elsewhere);
    await other.query(`create table dumped as select repeat('x', 40) from generate_series(1, ${ROWS})`);
    await other.end();
    dump = await startProcess({
      stateDir: rig.stateDir,
      name: 'pg_dump',
      command: join(await postgresClient(), 'pg_dump'),
      args: ['--data-only', '-t', 'dumped', elsewhere],
    });
    await until(async () => (await bystanders()).sessions.some(({ who }) => who === 'postgres pg_dump'));
    process.kill(dump.pid, 'SIGSTOP');
    await until(async () => (await bystanders()).sessions.some(({ who }) => who.startsWith('autovacuum worker')));
  }, 120_000);
  afterAll(() => rig[Symbol.asyncDispose]());

  let fence = 0;
  const approved = <A extends Action>(action: A) => approvalOf(action, (fence += 1));
  const resized = approvalOf({ kind: 'resize-pool', ...scope, pool: 'app', from: 3, to: 6 } as const, 10);
  const indexed = approvalOf(indexAction('big', 'customer'), 10);
  const reconnected = (pause: boolean) =>
    pool.reconnectPool(approved({ kind: 'reconnect-pool', ...scope, pool: 'app', ...(pause && { pause }) } as const));
  const MITIGATIONS: Record<string, () => Promise<Effect>> = {
    'ending sessions': async () => {
      const holder = await rig.client(rig.ownerUrl);
      await holder.query('begin; select 1');
      const found = async () =>
        (await database.sessionsInTheWay(scope)).filter(({ spared, user }) => !spared && user === 'holdfast_owner');
      await until(async () => (await found()).length === 1);
      const sessions = (await found()).map(
        ({ seconds: _s, blocks: _b, waitedSeconds: _ws, waits: _w, spared: _p, ...ref }) => ref,
      );
      return await database.endSessions(approved({ kind: 'end-sessions', ...scope, sessions }));
    },
    'having the pool reconnect': () => reconnected(false),
    'pausing and resuming the pool': () => reconnected(true),
    'resizing the pool': () => pool.resizePool(resized),
    'undoing that': () => pool.undoResizePool(resized),
    'making an index': () => database.createIndex(indexed),
    'dropping it': () => database.undoCreateIndex(indexed),
  };

  it.each(Object.keys(MITIGATIONS))('are there after %s as before', async (name) => {
    const shop = await rig.client(poolUrl);
    await shop.query('select 1'); // the pool has a connection to lose
    const before = await bystanders();
    expect(before.slots).toHaveLength(1);
    expect(before.sessions.map(({ who }) => who).sort()).toEqual([
      'autovacuum worker ',
      'holdfast holdfast',
      'postgres pg_dump',
      'postgres psql',
    ]);
    expect(await asActivity(async () => (await MITIGATIONS[name]?.()) as Effect)).toMatchObject({ changed: true });
    expect(await bystanders()).toEqual(before);
    await shop.end();
  });

  it('are not cut short: the backup completes', async () => {
    process.kill(dump.pid, 'SIGCONT');
    await until(async () => (await findProcess(rig.stateDir, 'pg_dump')) === undefined);
    expect((await readFile(dump.logFile, 'utf8')).split('\n').filter((line) => line === 'x'.repeat(40))).toHaveLength(
      ROWS,
    );
  });
});
