/** A real Postgres: a worker that is killed inside an action, and bystanders at real work, which survive every action. */
import type { Client } from 'pg';
import { createActivities } from '../../activities/postgres.ts';
import type { EndSessions } from '../../src/contracts/index.ts';
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
import { killedWhen } from './killed.ts';

let rig: DatabaseRig;
let variables: { SUPABASE_DB_URL: string; HOLDFAST_STATE_DIR: string };
let activities: ReturnType<typeof createActivities>;
beforeAll(async () => {
  rig = await startDatabaseRig();
  variables = { SUPABASE_DB_URL: rig.url, HOLDFAST_STATE_DIR: rig.stateDir };
  activities = createActivities(variables, settings);
  await rig.admin.query(`
    set role holdfast_owner;
    create table big (id int generated always as identity primary key, customer int, filler text);
    insert into big (customer, filler) select n % 5000, repeat('x', 40) from generate_series(1, 60000) as n;
    create table busy (id int) with (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
    insert into busy select generate_series(1, 200000);
    reset role`);
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

const forgotten = async (): Promise<{ client: Client; pid: number; action: EndSessions }> => {
  const client = await rig.client(rig.ownerUrl);
  await client.query('begin');
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]?.pid ?? 0;
  await client.query('select 1');
  let found;
  await until(async () => {
    found = (await activities.sessionsInTheWay(scope)).find((one) => one.pid === pid);
    return found !== undefined;
  });
  const { seconds: _s, blocks: _b, waitedSeconds: _ws, waits: _w, spared: _p, ...ref } = found!;
  return { client, pid, action: { kind: 'end-sessions', ...scope, sessions: [ref] } };
};
const lives = async (pid: number): Promise<boolean> =>
  (await rig.admin.query('select from pg_stat_activity where pid = $1', [pid])).rowCount === 1;

it('ends a session once, though its worker is killed while the session is about to end', async () => {
  const { pid, action } = await forgotten();
  const approval = approvalOf(action, 1);
  process.kill(pid, 'SIGSTOP'); // the order to end is out and cannot be obeyed yet
  try {
    const request = { provider: 'postgres', activity: 'endSessions', variables, settings, argument: approval };
    await killedWhen(rig.stateDir, request, async () => {
      const { rowCount } = await rig.admin.query(
        `select from pg_stat_activity where application_name = 'holdfast' and wait_event = 'BackendTermination'`,
      );
      return rowCount === 1;
    });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until(async () => !(await lives(pid)));
  const next = await rig.client(rig.ownerUrl); // the application connects again
  expect(await asActivity(() => activities.endSessions(approval))).toMatchObject({
    changed: true,
    summary: expect.stringContaining(`${pid}`),
  });
  expect(await asActivity(() => activities.endSessions(approval))).toMatchObject({ changed: false });
  await next.query('select 1');
});

it('leaves autovacuum at its work: an index on the table it cleans is made after it, and ending sessions does not touch it', async () => {
  await rig.admin.query(`alter system set autovacuum_naptime = 1`);
  await rig.admin.query('select pg_reload_conf()');
  await rig.admin.query('set role holdfast_owner; delete from busy; reset role');
  const vacuuming = async () =>
    (
      await rig.admin.query<{ pid: number }>(
        `select pid from pg_stat_progress_vacuum p join pg_stat_activity a using (pid)
         where p.relid = 'busy'::regclass and backend_type = 'autovacuum worker'`,
      )
    ).rows[0]?.pid;
  await until(async () => (await vacuuming()) !== undefined);
  const worker = await vacuuming();
  const { pid, action } = await forgotten();
  await asActivity(() => activities.endSessions(approvalOf(action, 2)));
  await until(async () => !(await lives(pid)));
  await asActivity(() => activities.createIndex(approvalOf(indexAction('big', 'customer'), 3)));
  await expect(
    asActivity(() => activities.createIndex(approvalOf(indexAction('busy', 'id'), 4))),
  ).rejects.toMatchObject({ type: 'Unavailable', message: expect.stringContaining('autovacuum is at work') });
  expect(await vacuuming()).toBe(worker);
});
