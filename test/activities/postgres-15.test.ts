/** Debian's Postgres 15 with hypopg: an index is proved by a hypothetical one before it is proposed. */
import { chmodSync, chownSync, existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { createActivities } from '../../activities/postgres.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { postgresUser } from '../../src/embedded/postgres.ts';
import { findProcess, runCommand, startProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder, until } from '../embedded/scratch.ts';
import { approvalOf, asActivity, indexAction, scope, settings } from './database-rig.ts';

const ROWS = 200_000;
const BIN = '/usr/lib/postgresql/15/bin';
const there = existsSync('/usr/share/postgresql/15/extension/hypopg.control') && process.getuid?.() === 0;
const described = there ? describe : describe.skip;

described('Postgres 15 with hypopg', () => {
  const stateDir = scratchFolder();
  let admin: Client;
  let at: (user: string) => string;
  let activities: ReturnType<typeof createActivities>;
  beforeAll(async () => {
    const owner = await postgresUser();
    const port = await freePort();
    const data = join(stateDir, 'data');
    await mkdir(data);
    chownSync(data, owner.uid, owner.gid);
    chmodSync(data, 0o700);
    const initdb = ['--pgdata', data, '--username=postgres', '--auth=trust', '--no-sync'];
    await runCommand({ command: join(BIN, 'initdb'), args: initdb, cwd: '/', ...owner });
    const set = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      shared_preload_libraries: 'pg_stat_statements',
    };
    await startProcess({
      stateDir,
      name: 'postgres-15',
      command: join(BIN, 'postgres'),
      args: [
        '-D',
        data,
        '-p',
        String(port),
        ...Object.entries(set).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      cwd: '/',
      stopSignal: 'SIGINT',
      ...owner,
    });
    at = (user) => `postgresql://${user}@127.0.0.1:${port}/postgres`;
    await until(async () => {
      admin = new Client({ connectionString: at('postgres') });
      return admin.connect().then(
        () => true,
        () => false,
      );
    });
    await admin.query(readFileSync(join(__dirname, '../../supabase/roles.sql'), 'utf8'));
    await admin.query(`
      create extension pg_stat_statements; create extension hypopg;
      create role holdfast_owner login; grant holdfast_owner to holdfast; grant create on schema public to holdfast_owner;
      set role holdfast_owner;
      create table big (id int generated always as identity primary key, customer int, filler text);
      insert into big (customer, filler) select n % 5000, repeat('x', 40) from generate_series(1, ${ROWS}) as n;
      analyze big; reset role`);
    const environment = settings.services[0]?.environments['production'];
    if (environment === undefined) throw new Error('the rig has no production');
    environment.database.slowMs = 0.0001;
    activities = createActivities({ SUPABASE_DB_URL: at('holdfast'), HOLDFAST_STATE_DIR: stateDir }, settings);
  }, 60_000);
  afterAll(async () => {
    await admin.end();
    await removeScratch(stateDir);
  });

  const run = async (sql: string) => {
    await admin.query('select pg_stat_statements_reset()');
    await admin.query('set role holdfast_owner');
    await admin.query(sql, [7]);
    await admin.query('reset role');
    return (await activities.slowStatements(scope)).find(({ query }) => query.includes('big'))?.index;
  };

  it('proves the index by the cost of the plan with it, keeps nothing of the proof, and makes it', async () => {
    const index = await run('select count(*) from big where customer = $1');
    expect(index).toMatchObject({
      table: 'big',
      columns: ['customer'],
      costNow: expect.any(Number),
      costWith: expect.any(Number),
    });
    expect(index?.costWith).toBeLessThan((index?.costNow ?? 0) / 10);
    expect((await admin.query('select from hypopg()')).rowCount).toBe(0);
    const { costNow: _now, costWith: _with, ...plan } = index as NonNullable<typeof index>;
    const approval = approvalOf({ kind: 'create-index', ...scope, ...plan } as const, 1);
    expect(await asActivity(() => activities.createIndex(approval))).toMatchObject({ changed: true });
    expect(await run('select count(*) from big where customer = $1')).toBeUndefined();
    expect(await asActivity(() => activities.undoCreateIndex(approval))).toMatchObject({ changed: true });
  });

  it('leaves a long pg_dump at its work: no index is made beside it, no session of it is ended, and it completes', async () => {
    const dump = {
      stateDir,
      name: 'pg_dump',
      command: join(BIN, 'pg_dump'),
      args: ['--data-only', '-t', 'big', at('postgres')],
    };
    const { pid, logFile } = await startProcess(dump);
    await until(
      async () => (await admin.query(`select from pg_stat_activity where application_name = 'pg_dump'`)).rowCount === 1,
    );
    process.kill(pid, 'SIGSTOP');
    const sessions = async () =>
      (await admin.query(`select pid from pg_stat_activity where application_name = 'pg_dump'`)).rows;
    const before = await sessions();
    const approval = approvalOf(indexAction('big', 'filler'), 2);
    try {
      await until(async () => (await activities.sessionsInTheWay(scope)).length > 0);
      const [found] = await activities.sessionsInTheWay(scope);
      expect(found).toMatchObject({ application: 'pg_dump', spared: expect.any(String) });
      const { seconds: _s, blocks: _b, waits: _w, spared: _p, ...ref } = found!;
      const end = approvalOf({ kind: 'end-sessions', ...scope, sessions: [ref] } as const, 2);
      await expect(asActivity(() => activities.endSessions(end))).rejects.toMatchObject({ type: 'StaleApproval' });
      await expect(asActivity(() => activities.createIndex(approval))).rejects.toMatchObject({ type: 'Unavailable' });
      expect(await sessions()).toEqual(before);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(async () => (await findProcess(stateDir, 'pg_dump')) === undefined);
    expect((await readFile(logFile, 'utf8')).split('\n').filter((line) => line.endsWith('x'))).toHaveLength(ROWS);
    expect(await asActivity(() => activities.createIndex(approval))).toMatchObject({ changed: true });
    expect(await asActivity(() => activities.undoCreateIndex(approval))).toMatchObject({ changed: true });
  });

  it('proposes no index that the planner would not use', async () => {
    await admin.query(`update big set customer = 1; analyze big`); // every row is the same
    expect(await run('select count(*) from big where customer = $1')).toBeUndefined();
  });
});
