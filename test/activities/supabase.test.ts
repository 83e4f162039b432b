import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createActivities } from '../../activities/supabase.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { endProcess } from '../../src/processes.ts';
import { hostedProject, jwtOf, postgrest } from '../support/postgrest.ts';

let stateDir: string;
let variables: Parameters<typeof createActivities>[0];

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'holdfast-supabase-'));
  const { url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() });
  const { url, secretKey } = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
  variables = { SUPABASE_URL: url, SUPABASE_SECRET_KEY: secretKey, SUPABASE_DB_URL: databaseUrl };
}, 180_000);
afterAll(async () => {
  for (const name of ['supabase', 'postgres']) await endProcess(stateDir, name);
  await rm(stateDir, { recursive: true, force: true });
});

it('reaches Supabase by REST and by SQL', async () => {
  const { rest, sql } = await createActivities(variables).supabaseHealth();
  expect(rest).toMatchObject({ ok: true, detail: '' });
  expect(sql).toMatchObject({ ok: true, detail: '' });
  expect(rest.ms).toBeGreaterThan(0);
});

it('says nothing of SQL where no connection is configured', async () => {
  const { SUPABASE_DB_URL: _, ...rest } = variables;
  expect(await createActivities(rest).supabaseHealth()).not.toHaveProperty('sql');
});

it('finds a wrong key, and hides what a connection string would tell', async () => {
  const wrong = { ...variables, SUPABASE_SECRET_KEY: 'sb_secret_wrong' };
  const { rest, sql } = await createActivities(wrong).supabaseHealth();
  expect(rest).toMatchObject({ ok: false, detail: expect.stringContaining('HTTP 401') });
  expect(sql).toMatchObject({ ok: true });
  const password = new URL(variables.SUPABASE_DB_URL!);
  password.password = 'not-the-password';
  const refused = await createActivities({ ...variables, SUPABASE_DB_URL: password.href }).supabaseHealth();
  expect(refused.sql).toMatchObject({ ok: false, detail: expect.stringContaining('password authentication failed') });
  expect(JSON.stringify(refused)).not.toContain('not-the-password');
});

it('finds a wrong key where PostgREST itself is asked, and shows a hosted project its key as it wants it', async () => {
  const restBy = async (SUPABASE_URL: string, SUPABASE_SECRET_KEY: string) =>
    (await createActivities({ SUPABASE_URL, SUPABASE_SECRET_KEY }).supabaseHealth()).rest;
  await using rest = await postgrest();
  expect(await restBy(rest.url, rest.key)).toMatchObject({ ok: true });
  expect(await restBy(rest.url, jwtOf('service_role', 'another'))).toMatchObject({
    ok: false,
    detail: expect.stringContaining('HTTP 401'),
  });
  await using hosted = await hostedProject('sb_secret_right');
  expect(await restBy(hosted.url, 'sb_secret_right')).toMatchObject({ ok: true });
});

it('finds a database that is away, one that answers nothing, and REST that is away', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const away = { ...variables, SUPABASE_URL: url, SUPABASE_DB_URL: `postgresql://u:p@127.0.0.1:${await freePort()}/x` };
  expect(await createActivities(away).supabaseHealth()).toMatchObject({
    rest: { ok: false, detail: expect.stringContaining('no answer') },
    sql: { ok: false, detail: expect.stringContaining('ECONNREFUSED') },
  });
  const silent = createServer();
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const { sql } = await createActivities({
    ...variables,
    SUPABASE_DB_URL: `postgresql://u:p@127.0.0.1:${port}/x`,
  }).supabaseHealth();
  silent.close();
  expect(sql?.ok).toBe(false);
  expect(sql?.ms).toBeLessThan(4500);
});
