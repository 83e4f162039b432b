/**
 * `npm run bench`: what the diagnosis of a database in trouble costs it, in processor time of its server, when it is repeated as
 * often as the monitor looks. Exit code 1 when that is more than a hundredth of one core.
 */
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { createActivities as createDatabase } from '../activities/postgres.ts';
import { createActivities as createSupabase } from '../activities/supabase.ts';
import { MonitorSettings, Settings } from '../src/contracts/index.ts';
import { startAppPostgres } from '../src/embedded/app-database.ts';
import { freePort } from '../src/embedded/ports.ts';
import { secondsOf } from '../src/runbook/index.ts';
import { cleanUp, limited, stateDir, until } from './rig.ts';

const ROUNDS = 20;
const IDLE = 60;
const WAITING = 5;
const ROWS = 200_000;
const LIMIT_PERCENT = 1;
/** Clock ticks of a second in `/proc`. Source: proc_pid_stat(5), `sysconf(_SC_CLK_TCK)` is 100 on Linux. */
const TICKS = 100;

const scope = { service: 'shop', environment: 'production' };
const settings = Settings.parse({
  people: [{ name: 'responder', roles: ['approver'] }],
  ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
  approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
  services: [
    {
      name: scope.service,
      environments: {
        production: {
          url: 'http://127.0.0.1:1',
          database: { longSeconds: 1, ownerRole: 'holdfast_owner', slowMs: 0.001 },
        },
      },
    },
  ],
});

/** Seconds of processor time of a server and of all its sessions that have ended. */
function secondsUsed(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third on
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS; // utime, stime, cutime, cstime
}

const clients: Client[] = [];
async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, application_name: 'shop' });
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

/** Many sessions, a forgotten transaction that others wait for, and slow statements that an index would serve. */
async function makeTrouble(admin: Client, url: string): Promise<void> {
  await admin.query('alter system set autovacuum = off');
  await admin.query('select pg_reload_conf()');
  await admin.query(`set role holdfast_owner;
    create table visits as select n as id, n % 5000 as customer, repeat('x', 40) as note from generate_series(1, ${ROWS}) as n;
    analyze visits; reset role`);
  for (const column of ['id', 'customer', 'note', 'customer + 1', 'id + 1'])
    await (await connect(url)).query(`select count(*) from visits where ${column} = $1`, [1]);
  for (let n = 0; n < IDLE; n += 1) await connect(url);
  const holder = await connect(url);
  await holder.query('begin; update visits set note = note where id = 1');
  for (let n = 0; n < WAITING; n += 1)
    void (await connect(url)).query('update visits set note = note where id = 1').catch(() => undefined);
}

try {
  const { url, holdfastUrl, superuserUrl } = await startAppPostgres({ stateDir, port: await freePort() });
  const admin = await connect(superuserUrl);
  await makeTrouble(admin, url);
  const { rows } = await admin.query<{ pid: string }>(
    `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid`,
  );
  const server = Number(rows[0]?.pid);
  const variables = { SUPABASE_DB_URL: holdfastUrl, HOLDFAST_STATE_DIR: stateDir };
  const database = createDatabase(variables, settings);
  const supabase = createSupabase({
    ...variables,
    SUPABASE_URL: 'http://127.0.0.1:1',
    SUPABASE_SECRET_KEY: 'none',
  });
  const look = () => Promise.all([supabase.supabaseHealth(), database.sessionsInTheWay(scope)]);
  const diagnose = () =>
    Promise.all([look(), database.connectionUse(), database.diskUse(scope), database.slowStatements(scope)]);
  const [[, sessions], , , statements] = await diagnose();
  const indexes = statements.filter(({ index }) => index !== undefined).length;
  console.log(
    `${sessions.length} sessions in the way, ${statements.length} slow statements, ${indexes} with an index…`,
  );

  const every = secondsOf(MonitorSettings.parse({}).every);
  const away = async () =>
    (await admin.query(`select from pg_stat_activity where usename = 'holdfast'`)).rowCount === 0 || undefined;
  for (const [what, act] of [
    ['the monitor', look],
    ['a whole diagnosis', diagnose],
  ] as const) {
    await until('the sessions end', away);
    const before = secondsUsed(server);
    for (let round = 0; round < ROUNDS; round += 1) await act();
    await until('the sessions end', away);
    const share = (secondsUsed(server) - before) / ROUNDS / every;
    limited(
      `${what} every ${every} s, of one core of the database`,
      Math.round(share * 1e4) / 100,
      LIMIT_PERCENT,
      ' %',
    );
  }
} finally {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  await cleanUp();
}
