/**
 * Debian's Postgres 15 with hypopg: an index is proved by a hypothetical one before it is proposed; and behind PgBouncer the
 * faults of the game days, which `test/e2e` plays on Postgres 18.
 */
import { chmodSync, chownSync, existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { createActivities as createPool } from '../../activities/pgbouncer.ts';
import { createActivities } from '../../activities/postgres.ts';
import { createActivities as createSupabase } from '../../activities/supabase.ts';
import { pgbouncerBinary, startPgBouncer } from '../../src/embedded/pgbouncer.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { postgresUser } from '../../src/embedded/postgres.ts';
import { endProcess, findProcess, runCommand, startProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { incident, skippedTime } from '../support/skipped-time.ts';
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
      admin.on('error', () => undefined); // the server is stopped at the end
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
    await admin.end().catch(() => undefined);
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

  it('proves and makes the index of a table of a hostile name, of which nothing is run', async () => {
    const hostile = '"""; drop table big; --"';
    await admin.query(`set role holdfast_owner; create table ${hostile} as select * from big limit 20000;
      analyze ${hostile}; reset role`);
    const index = await run(`select count(*) from ${hostile} where customer = $1`);
    expect(index).toMatchObject({ table: '"; drop table big; --', costWith: expect.any(Number) });
    const { costNow: _now, costWith: _with, ...plan } = index as NonNullable<typeof index>;
    const approval = approvalOf({ kind: 'create-index', ...scope, ...plan } as const, 1);
    expect((await asActivity(() => activities.createIndex(approval))).summary).toMatch(/ → .*Scan using /);
    expect(await asActivity(() => activities.undoCreateIndex(approval))).toMatchObject({ changed: true });
    await admin.query(`drop table ${hostile}`);
    expect((await admin.query('select count(*)::int as n from big')).rows).toEqual([{ n: ROWS }]);
  });

  it('leaves a long pg_dump at its work: no index is made beside it, no session of it is ended, and it completes', async () => {
    const dump = {
      stateDir,
      name: 'pg_dump',
      command: join(BIN, 'pg_dump'),
      args: ['--data-only', '-t', 'big', at('postgres')],
    };
    const { pid, logFile } = await startProcess(dump);
    const itsSnapshot = `select from pg_stat_activity where application_name = 'pg_dump' and backend_xmin is not null`;
    await until(async () => (await admin.query(itsSnapshot)).rowCount === 1);
    process.kill(pid, 'SIGSTOP');
    const sessions = async () =>
      (await admin.query(`select pid from pg_stat_activity where application_name = 'pg_dump'`)).rows;
    const before = await sessions();
    const approval = approvalOf(indexAction('big', 'filler'), 2);
    try {
      await until(async () => (await activities.sessionsInTheWay(scope)).length > 0);
      const [found] = await activities.sessionsInTheWay(scope);
      expect(found).toMatchObject({ application: 'pg_dump', spared: expect.any(String) });
      const { seconds: _s, blocks: _b, waitedSeconds: _ws, waits: _w, spared: _p, ...ref } = found!;
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

  const behindPool = pgbouncerBinary() === undefined ? describe.skip : describe;
  behindPool('behind PgBouncer', () => {
    const SLOW = 'select count(*) from big where customer = $1';
    let poolUrl: string;
    let ports: ReturnType<typeof createActivities> & ReturnType<typeof createPool> & ReturnType<typeof createSupabase>;
    const clients: Client[] = [];
    beforeAll(async () => {
      const databaseUrl = at('holdfast_owner').replace('@', ':any@');
      const started = await startPgBouncer({ stateDir, port: await freePort(), databaseUrl, poolSize: 3 });
      poolUrl = started.url;
      const journals = join(stateDir, 'faults'); // whose fences begin again
      const variables = { SUPABASE_DB_URL: at('holdfast'), HOLDFAST_STATE_DIR: journals };
      ports = {
        ...createActivities(variables, settings),
        ...createPool({ ...variables, PGBOUNCER_ADMIN_URL: started.adminUrl }, settings),
        ...createSupabase({ ...variables, SUPABASE_URL: 'http://127.0.0.1:1', SUPABASE_SECRET_KEY: 'x' }),
      };
      await admin.query(`update big set customer = id % 5000`);
      await admin.query('analyze big');
      await admin.query('select pg_stat_statements_reset()');
    });

    const connect = async (): Promise<Client> => {
      const client = new Client({ connectionString: poolUrl, application_name: 'shop', query_timeout: 1000 });
      client.on('error', () => undefined);
      clients.push(client);
      await client.connect();
      return client;
    };
    const letGo = async () => {
      for (const client of clients.splice(0)) await client.end().catch(() => undefined);
    };
    /** Whether the shop is served, as one of its requests sees it. */
    const served = async (): Promise<boolean> => {
      const client = await connect();
      const answered = await client.query('select from big limit 1').then(
        () => true,
        () => false,
      );
      await client.end().catch(() => undefined);
      return answered;
    };
    const forget = async (sql: string) => void (await (await connect()).query(`begin; ${sql}`));
    const usesIndex = async (): Promise<boolean> =>
      !JSON.stringify((await admin.query('explain select count(*) from big where customer = 7')).rows).includes('Seq');

    it.each([
      {
        fault: 'idle-in-transaction',
        strike: () => forget('lock table big'),
        well: served,
        check: 'sessions in the way',
        action: 'end-sessions',
      },
      {
        fault: 'leak',
        strike: async () => {
          for (let n = 0; n < 3; n += 1) await forget('select 1');
        },
        well: served,
        check: 'sessions in the way',
        action: 'roll-back',
      },
      {
        fault: 'slow-query',
        strike: async () => {
          const client = await connect();
          for (let n = 0; n < 5; n += 1) await client.query(SLOW, [n]);
          await client.end();
        },
        well: usesIndex,
        check: 'slow statements',
        action: 'create-index',
      },
    ])('finds the fault $fault, proposes $action first, and recovers', async ({ strike, well, check, action }) => {
      const time = await skippedTime();
      try {
        await strike();
        const run = await time.start('databaseConnectionIssues', incident(), {
          ...ports,
          errorRatio: async () => ({ ratio: (await well()) ? 0 : 0.5, requests: 1000, windowSeconds: 300 }),
          rollBack: async () => {
            await letGo(); // the release that held them is gone
            return { changed: true, summary: 'rolled back' };
          },
        });
        const { findings, proposal } = await run.until(({ phase }) => phase === 'waiting');
        expect(findings).toContainEqual(expect.objectContaining({ check, verdict: 'bad' }));
        expect(proposal?.action.kind).toBe(action);
        await run.decide('approved', 'responder');
        expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
      } finally {
        await time.close();
        await letGo();
      }
    });

    it('hands the fault refused over, with nothing proposed, and pages', async () => {
      await endProcess(stateDir, 'postgres-15');
      const time = await skippedTime();
      try {
        const run = await time.start('databaseConnectionIssues', incident(), ports);
        expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
        const { findings, proposal } = await run.status();
        expect(findings).toContainEqual(
          expect.objectContaining({ check: 'connections of the server', verdict: 'unknown' }),
        );
        expect(proposal).toBeUndefined();
        await run.handedOver();
      } finally {
        await time.close();
      }
    });
  });
});
