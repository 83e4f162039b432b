/** The databases of docker-compose.yml and the pools before them, by the same scripts, settings and commands, without containers. */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { Client } from 'pg';
import { checkDatabases } from '../../src/cli/doctor/databases.ts';
import { caddyBinary } from '../../src/embedded/caddy.ts';
import { migrate } from '../../src/embedded/migrations.ts';
import { pgbouncerBinary } from '../../src/embedded/pgbouncer.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { postgresClient } from '../../src/embedded/postgres-client.ts';
import { postgresUser, startPostgres } from '../../src/embedded/postgres.ts';
import { answers, startTool } from '../../src/embedded/start-tool.ts';
import { runCommand } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { compose, ROOT, textOf } from './compose.ts';

jest.setTimeout(180_000);
const stateDir = scratchFolder();
const made = join(stateDir, 'made');
const secretOf = (name: string): string => readFileSync(join(made, name), 'utf8');
let recordServer: URL;
beforeAll(async () => {
  mkdirSync(made);
  execFileSync(process.execPath, ['scripts/make-secrets.mjs', made], { cwd: ROOT });
  recordServer = await initialised('postgres', 'postgres');
});
afterAll(() => removeScratch(stateDir));

/** What is mounted into a container at a path there. */
const mountedIn = (service: string, at: string): string =>
  compose.services[service]?.volumes?.find((one) => one.split(':')[1] === at)?.split(':')[0] ?? '';

async function rowsBy(connectionString: string, ...statements: string[]): Promise<unknown[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const answers = [];
    for (const statement of statements) answers.push((await client.query<Record<string, unknown>>(statement)).rows);
    return answers.at(-1) ?? [];
  } finally {
    await client.end();
  }
}

/** An empty server, as Postgres' image starts it for the first time, and what the container runs over it; by its superuser. */
async function initialised(service: string, name: 'postgres' | 'app-postgres'): Promise<URL> {
  const port = await freePort();
  const { superuserUrl } = await startPostgres({ stateDir, port, name });
  await rowsBy(
    superuserUrl,
    'drop database holdfast',
    'drop role holdfast_owner',
    'drop role anon',
    'drop role authenticated',
    'drop role service_role',
  );
  const script = textOf(mountedIn(service, '/docker-entrypoint-initdb.d/init.sh'))
    .replaceAll('/run/secrets', made)
    .replaceAll('/migrations', join(ROOT, mountedIn(service, '/migrations')))
    .replaceAll('/holdfast/roles.sql', join(ROOT, mountedIn(service, '/holdfast/roles.sql')));
  const { password } = new URL(superuserUrl);
  const PATH = `${await postgresClient()}:${process.env['PATH'] ?? ''}`;
  const env = { PATH, PGHOST: '127.0.0.1', PGPORT: String(port), PGPASSWORD: password };
  await runCommand({ command: 'sh', args: ['-c', script], env });
  return new URL(superuserUrl);
}

/** The record's database as the owner of its tables, as `record-schema` is told of it. */
function recordUrl(): string {
  const { pathname, username } = new URL(secretOf('RECORD_DB_URL'));
  expect(recordServer.username).toBe(username);
  return new URL(pathname, recordServer).href;
}
/** What the container that makes its schema says. */
async function madeSchema(): Promise<string> {
  const { command = [], environment, secrets } = compose.services['record-schema'] ?? {};
  expect([environment, secrets]).toEqual([{}, ['RECORD_DB_URL']]);
  const env = { NODE_ENV: 'production', HOLDFAST_PRODUCTION: '1', RECORD_DB_URL: recordUrl() };
  return (await runCommand({ command: process.execPath, args: command, cwd: ROOT, env })).stdout;
}

/** PgBouncer as the container runs it, before a server of ours. */
async function pooled(service: string, databaseHost: string, databasePort: number): Promise<number> {
  const port = await freePort();
  const { entrypoint = [], command = [] } = compose.services[service] ?? {};
  const [program = '', ...args] = [...entrypoint, ...command];
  expect(program).toBe('pgbouncer');
  const ini = join(stateDir, `${service}.ini`);
  const settings = textOf(mountedIn(service, args[0] ?? ''))
    .replace(`host=${databaseHost} port=5432`, `host=127.0.0.1 port=${databasePort}`)
    .replace('listen_addr = 0.0.0.0', 'listen_addr = 127.0.0.1')
    .replace('listen_port = 6432', `listen_port = ${port}`)
    .replaceAll('/run/secrets', made);
  writeFileSync(ini, settings);
  const owner = process.getuid?.() === 0 ? await postgresUser() : undefined;
  const ready = () =>
    rowsBy(`postgres://nobody@127.0.0.1:${port}/none`).then(
      () => false,
      (error: Error) => !error.message.includes('ECONNREFUSED'),
    );
  await startTool({
    stateDir,
    name: service,
    command: pgbouncerBinary() ?? program,
    args: [ini],
    cwd: '/',
    ...owner,
    ready,
  });
  return port;
}

const withPgBouncer = pgbouncerBinary() === undefined ? it.skip : it;
const at = (url: string, port: number): string => url.replace(/@[^/]+/, `@127.0.0.1:${port}`);
const uriIn = (conf: string): string => /db-uri = "(.+)"/.exec(secretOf(conf))?.[1] ?? '';

it('makes the schema of the record, and brings one that is there up to date: each file once', async () => {
  const files = readdirSync(join(ROOT, 'supabase/migrations')).sort();
  expect((await madeSchema()).trim().split('\n')).toEqual(files.map((file) => `applied supabase/migrations/${file}`));
  const url = recordUrl();
  const noted = () => rowsBy(url, 'select name, applied_at from holdfast_migrations order by name');
  const before = await noted();
  expect(await madeSchema()).toContain('is up to date');
  const next = join(stateDir, 'next');
  cpSync(join(ROOT, 'supabase/migrations'), join(next, 'supabase/migrations'), { recursive: true });
  writeFileSync(join(next, 'supabase/migrations/9999-next.sql'), 'create table public.next (id int primary key);');
  const upgrade = () => migrate({ url, root: next, folders: [join(next, 'supabase/migrations')] });
  expect(await upgrade()).toEqual(['supabase/migrations/9999-next.sql']);
  expect(await upgrade()).toEqual([]);
  expect(await noted()).toEqual([...before, expect.objectContaining({ name: 'supabase/migrations/9999-next.sql' })]);
});

withPgBouncer("opens the record to its API through the pool, as the role of the API's keys", async () => {
  await madeSchema();
  const port = await pooled('pgbouncer', 'postgres', Number(recordServer.port));
  const url = at(uriIn('postgrest.conf'), port);
  expect(await rowsBy(url, 'begin', 'set local role service_role', 'select count(*)::int from incidents')).toEqual([
    { count: 0 },
  ]);
  await expect(rowsBy(url, 'begin', 'set local role anon', 'select * from incidents')).rejects.toThrow(
    'permission denied',
  );
  await expect(rowsBy(url.replace(/:[^:@/]+@/, ':wrong@'), 'select 1')).rejects.toThrow();
});

withPgBouncer('gives the shop its database through a pool, and its runner what it needs and no more', async () => {
  const database = Number((await initialised('shop-postgres', 'app-postgres')).port);
  const pool = await pooled('shop-pool', 'shop-postgres', database);
  const { DATABASE_URL = '' } = parseEnv(secretOf('shop.env'));
  expect(await rowsBy(at(DATABASE_URL, pool), 'select count(*)::int as orders from orders')).toEqual([{ orders: 0 }]);
  expect(
    await rowsBy(at(uriIn('shop_postgrest.conf'), pool), 'begin', 'set local role anon', 'select name from products'),
  ).toHaveLength(10);
  const SUPABASE_DB_URL = at(secretOf('SUPABASE_DB_URL'), database);
  expect(await checkDatabases({ SUPABASE_DB_URL })).toMatchObject([{ state: 'ok' }]);
  expect(await rowsBy(SUPABASE_DB_URL, 'set role shop', 'select count(*)::int as products from products')).toEqual([
    { products: 10 },
  ]);
  expect(await rowsBy(at(secretOf('PGBOUNCER_ADMIN_URL'), pool), 'show databases')).toContainEqual(
    expect.objectContaining({ name: 'app', database: 'shop' }),
  );
});

it('runs the shop and its visitors, which ask how it is', async () => {
  const port = await freePort();
  const { entrypoint = [], command = [], environment = {}, healthcheck } = compose.services['shop'] ?? {};
  const [program = '', ...args] = [...entrypoint, ...command].map((word) => word.replace('/run/secrets', made));
  const PATH = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
  const env = { ...environment, HOST: '127.0.0.1', PORT: String(port), PATH, NODE_ENV: 'production', RELEASE: 'v1' };
  const cwd = join(ROOT, 'examples/shop');
  const shop = spawn(program, args, { cwd, env, stdio: 'ignore' });
  const here = (word: string): string => word.replace('shop:3000', `127.0.0.1:${port}`);
  const visitors = (compose.services['shop-visitors']?.command ?? []).map(here);
  const visiting = spawn(process.execPath, visitors, { cwd, env: { PATH } });
  let counted = '';
  visiting.stdout.on('data', (chunk) => void (counted += String(chunk)));
  await until(() => answers(`http://127.0.0.1:${port}/healthz`));
  const [how, asks = '', ...rest] = healthcheck?.test ?? [];
  expect([how, asks]).toEqual(['CMD', 'node']);
  expect(execFileSync(process.execPath, rest.map(here), { cwd }).toString()).toBe('');
  await until(async () => (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).includes('route="/"'));
  const ends = [shop, visiting].map((child) => new Promise((resolve) => void child.on('exit', resolve)));
  for (const child of [visiting, shop]) child.kill('SIGTERM');
  expect(await Promise.all(ends)).toEqual([0, 0]);
  expect(counted).toMatch(/^\d+ requests in/);
});

it('has configurations that Caddy understands and settings that Holdfast takes', async () => {
  const caddy = await caddyBinary();
  for (const service of ['record', 'shop-api']) {
    const config = join(ROOT, mountedIn(service, '/etc/caddy/Caddyfile'));
    await runCommand({ command: caddy, args: ['validate', '--adapter', 'caddyfile', '--config', config] });
  }
  const load = `
    import { loadSettings, readConfig } from './src/config.ts';
    const { services } = await loadSettings(readConfig({ HOLDFAST_CONFIG: 'deploy/shop/holdfast.config.ts' }));
    console.log(services[0].environments.production.taskQueue);`;
  const { stdout } = await runCommand({
    command: process.execPath,
    args: ['--input-type=module', '--eval', load],
    cwd: ROOT,
  });
  expect(compose.services['shop-runner']?.command).toEqual(expect.arrayContaining(['--task-queue', stdout.trim()]));
});
