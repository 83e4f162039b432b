import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { startBugsink } from '../../src/embedded/bugsink.ts';
import { startCaddy } from '../../src/embedded/caddy.ts';
import { migrate } from '../../src/embedded/migrations.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { endProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from './scratch.ts';

jest.setTimeout(300_000);
let stateDir: string;
beforeAll(() => {
  stateDir = scratchFolder();
});
afterAll(() => removeScratch(stateDir));

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('Postgres and Supabase', () => {
  let databaseUrl: string;
  let supabase: Awaited<ReturnType<typeof startSupabase>>;
  const read = async (table: string, apikey: string) => {
    const response = await fetch(`${supabase.url}/rest/v1/${table}?select=*`, { headers: { apikey } });
    return { status: response.status, body: (await response.json()) as unknown };
  };

  beforeAll(async () => {
    databaseUrl = (await startPostgres({ stateDir, port: await freePort() })).url;
    await query(
      databaseUrl,
      `create table diary (line text); alter table diary enable row level security; insert into diary values ('mine')`,
    );
    supabase = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
  });

  it('shows a protected table to the secret key, and nothing of it to the publishable key', async () => {
    expect(await read('diary', supabase.secretKey)).toEqual({ status: 200, body: [{ line: 'mine' }] });
    expect(await read('diary', supabase.publishableKey)).toEqual({ status: 200, body: [] });
    expect((await read('diary', 'sb_secret_wrong')).status).toBe(401);
  });

  it('keeps its own list of migrations from the publishable key', async () => {
    const { status, body } = await read('holdfast_migrations', supabase.publishableKey);
    expect(status === 200 ? body : []).toEqual([]);
  });

  it('answers right from the first burst of requests on', async () => {
    const burst = await Promise.all(Array.from({ length: 40 }, () => read('diary', supabase.secretKey)));
    expect(burst.filter(({ status }) => status !== 200)).toEqual([]);
  });

  it('serves as a role that is no superuser, with statistics of statements', async () => {
    const who = 'select rolsuper, rolbypassrls from pg_roles where rolname = current_user';
    expect(await query(databaseUrl, who)).toEqual([{ rolsuper: false, rolbypassrls: false }]);
    expect(await query(databaseUrl, 'select 1 from pg_stat_statements limit 1')).toHaveLength(1);
  });

  it('applies each migration once and refuses one that was changed afterwards', async () => {
    const folder = join(stateDir, 'migrations');
    const of = { url: databaseUrl, root: stateDir, folders: [folder, join(stateDir, 'absent')] };
    await mkdir(folder);
    await writeFile(join(folder, '0002-b.sql'), `insert into colours values ('green')`);
    await writeFile(join(folder, '0001-a.sql'), 'create table colours (name text)');
    expect(await migrate(of)).toEqual(['migrations/0001-a.sql', 'migrations/0002-b.sql']);
    expect(await migrate(of)).toEqual([]);
    await writeFile(join(folder, '0003-c.sql'), `insert into colours values ('red'); select 1/0`);
    await expect(migrate(of)).rejects.toThrow('migration migrations/0003-c.sql failed: division by zero');
    expect(await query(databaseUrl, 'select * from colours')).toEqual([{ name: 'green' }]);
    await writeFile(join(folder, '0002-b.sql'), 'select 1');
    await expect(migrate(of)).rejects.toThrow('migration migrations/0002-b.sql was changed after it was applied');
  });
});

it('runs Postgres for root also where its user cannot enter the state folder', async () => {
  if (process.getuid?.() !== 0) return;
  const locked = join(stateDir, 'locked');
  await mkdir(locked, { mode: 0o700 });
  const said: string[] = [];
  const { url } = await startPostgres({ stateDir: locked, port: await freePort(), say: (what) => said.push(what) });
  try {
    expect(said.join('\n')).toMatch(/keeps its data in .*, because the user "postgres" cannot enter .*locked/);
    const [row] = await query<{ data_directory: string }>(url, 'show data_directory');
    expect(row?.data_directory).not.toContain(locked);
  } finally {
    await removeScratch(locked);
    const outside = /keeps its data in ([^,]+),/.exec(said.join('\n'))?.[1];
    if (outside !== undefined) await rm(outside, { recursive: true });
  }
});

it('keeps the search attributes of Temporal over a restart', async () => {
  const port = await freePort();
  const uiPort = await freePort();
  const { address } = await startTemporal({ stateDir, port, uiPort });
  expect(address).toBe(`127.0.0.1:${port}`);
  await endProcess(stateDir, 'temporal');
  const { uiUrl } = await startTemporal({ stateDir, port, uiPort });
  const answer = await (await fetch(`${uiUrl}/api/v1/namespaces/default/search-attributes`)).text();
  expect(answer).toMatch(/"HoldfastWaitingFor":\s*"INDEXED_VALUE_TYPE_KEYWORD_LIST"/);
});

it('keeps the routes of Caddy over a restart, also on another admin port', async () => {
  const first = await startCaddy({ stateDir, adminPort: await freePort() });
  const listen = [`127.0.0.1:${await freePort()}`];
  const routes = [{ handle: [{ handler: 'static_response', body: 'hello' }] }];
  const response = await fetch(`${first.adminUrl}/config/apps/http/servers/shop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', origin: first.adminUrl },
    body: JSON.stringify({ listen, routes, automatic_https: { disable: true } }),
  });
  expect(response.status).toBe(200);
  await endProcess(stateDir, 'caddy');
  const { adminUrl } = await startCaddy({ stateDir, adminPort: await freePort() });
  expect(await (await fetch(`http://${listen[0]}/`)).text()).toBe('hello');
  const metrics = await (await fetch(`${adminUrl}/metrics`, { headers: { origin: adminUrl } })).text();
  expect(metrics).toContain('caddy_http_requests_total');
});

it('takes errors of the shop in Bugsink, and has the same project after a restart', async () => {
  const port = await freePort();
  const { url, token, dsn } = await startBugsink({ stateDir, port });
  const { username: key, pathname } = new URL(dsn);
  const event = {
    event_id: 'c'.repeat(32),
    timestamp: Date.now() / 1000,
    platform: 'node',
    message: 'checkout failed',
  };
  const sent = await fetch(`${url}/api${pathname}/store/?sentry_key=${key}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-sentry-auth': `Sentry sentry_version=7, sentry_key=${key}` },
    body: JSON.stringify(event),
  });
  expect(sent.status).toBe(200);
  const issues = await fetch(`${url}/api/canonical/0/issues/?project=${pathname.slice(1)}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await issues.text()).toContain('checkout failed');
  await endProcess(stateDir, 'bugsink');
  expect(await startBugsink({ stateDir, port })).toEqual({ url, token, dsn });
});
