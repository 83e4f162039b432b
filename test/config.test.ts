import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertNamesStay, loadConfig, parseSettings } from '../src/config.ts';
import { EXIT } from '../src/node-options.ts';
import { openEndpoints, openMetrics, sharedWithRecord } from '../src/production.ts';
import { runCommand } from '../src/processes.ts';
import { removeScratch, scratchFolder } from './embedded/scratch.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));
const word = (): string => randomBytes(24).toString('hex');
const sound = {
  HOLDFAST_PRODUCTION: '1',
  HOLDFAST_STATE_DIR: stateDir,
  HOLDFAST_CODE_SECRET: word(),
  HOLDFAST_CODEC_KEYS: `2026=${randomBytes(32).toString('base64')}`,
  TEMPORAL_CONFIG_FILE: '/nonexistent',
};
const refusal = (change: Record<string, string>): string => {
  try {
    loadConfig({ ...sound, ...change });
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

it('starts in production with sound secrets, and without production mode with any', () => {
  expect(refusal({})).toBe('');
  expect(refusal({ HOLDFAST_PRODUCTION: '0', HOLDFAST_CODE_SECRET: 'secret', HOLDFAST_CODEC_KEYS: '' })).toBe('');
  const random = {
    SUPABASE_SECRET_KEY: `sb_secret_${word()}`,
    SUPABASE_DB_URL: `postgresql://holdfast:${word()}@db/app`,
  };
  expect(refusal(random)).toBe('');
});

it.each([
  ['HOLDFAST_CODE_SECRET', 'changeme'],
  ['HOLDFAST_CODE_SECRET', 'super-secret-jwt-token-with-at-least-32-characters-long'],
  ['HOLDFAST_ALERTMANAGER_TOKEN', 'a1b2c3d4'],
  ['SUPABASE_DB_URL', 'postgresql://postgres:postgres@127.0.0.1:54322/postgres'],
  ['SUPABASE_SECRET_KEY', 'sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz'],
  ['SUPABASE_SECRET_KEY', `e30.${Buffer.from('{"iss":"supabase-demo"}').toString('base64url')}.sig`],
])('refuses a demo secret in production: %s=%s', (name, value) => {
  const said = refusal({ [name]: value });
  expect(said).toContain(`Cannot start in production:\n  ${name} `);
  expect(said).not.toContain(value);
});

it('refuses a remote Temporal without TLS and histories in plain text', () => {
  expect(refusal({ TEMPORAL_ADDRESS: 'temporal.example:7233' })).toContain('is reached without TLS');
  expect(refusal({ TEMPORAL_ADDRESS: 'temporal.example:7233', TEMPORAL_TLS: 'false' })).toContain(
    'is reached without TLS',
  );
  expect(refusal({ TEMPORAL_ADDRESS: 'temporal.example:7233', TEMPORAL_TLS: 'true' })).toBe('');
  expect(refusal({ TEMPORAL_ADDRESS: 'localhost:7233' })).toBe('');
  expect(refusal({ HOLDFAST_CODEC_KEYS: '' })).toContain('histories would be plain text');
  expect(refusal({ HOLDFAST_CODEC_KEYS: 'none' })).toBe('');
});

it('refuses metrics for anybody and signing in by plain text on a host that others reach', () => {
  const open = (HOLDFAST_GATEWAY_HOST: string, env: Record<string, string>, HOLDFAST_PUBLIC_URL?: string) =>
    openEndpoints({ HOLDFAST_GATEWAY_HOST, HOLDFAST_PUBLIC_URL, env }).join();
  const signsIn = { HOLDFAST_METRICS_TOKEN: word(), HOLDFAST_AUTH_URL: 'https://project.example' };
  expect(open('0.0.0.0', {})).toContain('/metrics would answer anybody');
  expect(open('0.0.0.0', { HOLDFAST_METRICS_TOKEN: word() })).toBe('');
  expect(open('0.0.0.0', signsIn)).toContain('/ would take passwords');
  expect(open('0.0.0.0', signsIn, 'http://holdfast.example')).toContain('/ would take passwords');
  expect(open('0.0.0.0', signsIn, 'https://holdfast.example')).toBe('');
  expect(open('0.0.0.0', signsIn, 'http://127.0.0.1:4100')).toBe('');
  expect(open('127.0.0.1', { HOLDFAST_AUTH_URL: 'https://project.example' })).toBe('');
});

it('refuses the metrics of a worker on a host that others reach, unless their network is closed', () => {
  const open = (HOLDFAST_WORKER_METRICS: string, closed: '0' | '1' = '0') =>
    openMetrics({ HOLDFAST_WORKER_METRICS, HOLDFAST_METRICS_NETWORK_CLOSED: closed }).join();
  for (const host of ['0.0.0.0', '[::]', '10.0.0.7', 'worker-1']) {
    expect(open(`${host}:9464`)).toMatch(/would answer anybody on .*:9464: set .*127\.0\.0\.1, or .*_CLOSED=1/);
    expect(open(`${host}:9464`, '1')).toBe('');
  }
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) expect(open(`${host}:9464`)).toBe('');
});

it('takes secrets of files that are named like variables, and nothing of the embedded platform in production', () => {
  const folder = join(stateDir, 'secrets');
  const secret = word();
  mkdirSync(folder);
  writeFileSync(join(folder, 'HOLDFAST_WEBHOOK_SECRET'), `${secret}\n`);
  writeFileSync(join(folder, '..data'), 'of Kubernetes');
  writeFileSync(join(stateDir, 'platform.env'), 'HOLDFAST_CODE_SECRET="demo"\nSHOP_PORT="1"\n');
  const { env } = loadConfig({ ...sound, HOLDFAST_SECRETS_DIR: folder });
  expect(env).toMatchObject({ HOLDFAST_WEBHOOK_SECRET: secret, HOLDFAST_CODE_SECRET: sound.HOLDFAST_CODE_SECRET });
  expect(env['SHOP_PORT']).toBeUndefined();
});

it.each(['src/gateway/main.ts', 'workers/main.ts', 'src/cli/main.ts', 'src/embedded/main.ts'])(
  'lets %s not start in production with a demo secret',
  async (program) => {
    const args = [...EXIT, program, ...(program.includes('cli') ? ['incidents'] : [])];
    const env = { ...sound, HOLDFAST_CODE_SECRET: 'demo' };
    const said = await runCommand({ command: process.execPath, args, env }).then(
      () => 'it started',
      (error: unknown) => String(error),
    );
    expect(said).toMatch(/HOLDFAST_CODE_SECRET can be guessed|unset HOLDFAST_PRODUCTION/);
  },
);

it('lets no worker start in production whose metrics anybody could read', async () => {
  const env = { ...sound, HOLDFAST_WORKER_METRICS: '0.0.0.0:9464' };
  const started = runCommand({ command: process.execPath, args: [...EXIT, 'workers/main.ts'], env });
  await expect(started).rejects.toThrow('HOLDFAST_WORKER_METRICS would answer anybody');
});

it('says why it cannot start without a secret that is in a file', async () => {
  const folder = scratchFolder();
  const secret = word();
  writeFileSync(join(folder, 'HOLDFAST_GRAFANA_SECRET'), secret);
  const file = join(folder, 'holdfast.config.mjs');
  writeFileSync(
    file,
    'export default (env) => { throw new Error(`nothing opens by ${env.HOLDFAST_GRAFANA_SECRET}`); };',
  );
  const env = { ...sound, HOLDFAST_SECRETS_DIR: folder, HOLDFAST_CONFIG: file };
  const started = runCommand({ command: process.execPath, args: [...EXIT, 'src/gateway/main.ts'], env });
  await expect(started).rejects.toThrow('nothing opens by [removed]');
  await removeScratch(folder);
});

it('refuses names that would be taken out of texts as secrets, and says of which variable', () => {
  const named = (service: string) =>
    parseSettings(
      {
        people: [{ name: 'responder', roles: ['approver'] }],
        ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
        approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
        services: [{ name: service, environments: { production: { url: 'http://127.0.0.1:1' } } }],
      },
      {},
    );
  const config = loadConfig({ ...sound, HOLDFAST_SMTP_URL: 'smtps://me:production-mail-1x@mail.example' });
  expect(() => assertNamesStay(named('shop'), config)).toThrow(
    '"production" in the configuration is of the secret in HOLDFAST_SMTP_URL',
  );
  expect(() => assertNamesStay(named('shop'), loadConfig(sound))).not.toThrow();
});

it.each([
  ['one Supabase', { SUPABASE_URL: 'http://localhost:54321/', RECORD_SUPABASE_URL: 'http://127.0.0.1:54321' }],
  [
    'one hosted project, reached directly',
    {
      SUPABASE_DB_URL: 'postgresql://holdfast:p@db.abcdefghijklmnopqrst.supabase.co:5432/postgres',
      RECORD_SUPABASE_URL: 'https://abcdefghijklmnopqrst.supabase.co',
    },
  ],
  [
    'one hosted project, reached by its pooler',
    {
      SUPABASE_DB_URL: 'postgresql://holdfast.abcdefghijklmnopqrst:p@aws-0-eu-west-1.pooler.supabase.com:6543/postgres',
      RECORD_SUPABASE_URL: 'https://abcdefghijklmnopqrst.supabase.co',
    },
  ],
  [
    'one database, by different roles',
    { MIGRATIONS_DB_URL: 'postgresql://owner:p@db:5432/app', RECORD_DB_URL: 'postgres://record:q@db/app' },
  ],
])('warns when record and application are in %s', (_, env) => {
  expect(sharedWithRecord(env)).toEqual([expect.stringMatching(/^RECORD_\w+ is of the same database as \w+/)]);
  expect(sharedWithRecord(env).join()).not.toMatch(/:\/\/|:p@/);
});

it('does not warn of a record in a database of its own', () => {
  const record = { RECORD_SUPABASE_URL: 'https://abcdefghijklmnopqrst.supabase.co' };
  expect(sharedWithRecord({ ...record, SUPABASE_URL: 'https://zyxwvutsrqponmlkjihg.supabase.co' })).toEqual([]);
  expect(
    sharedWithRecord({ RECORD_DB_URL: 'postgres://a:b@db/record', SUPABASE_DB_URL: 'postgres://a:b@db/app' }),
  ).toEqual([]);
  expect(sharedWithRecord({ SUPABASE_DB_URL: 'postgres://a:b@db/app' })).toEqual([]);
});

it('refuses an order of proposals with one that no runbook makes, and names those that there are', () => {
  const ordered = (kind: string) =>
    parseSettings(
      {
        people: [{ name: 'responder', roles: ['approver'] }],
        ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
        approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
        services: [{ name: 'shop', environments: { production: { url: 'http://127.0.0.1:1' } } }],
        proposals: { 'high-error-rate': ['scale', kind as 'scale'] },
      },
      {},
    );
  expect(ordered('roll-back').proposals).toEqual({ 'high-error-rate': ['scale', 'roll-back'] });
  for (const kind of ['rollback', 'deploy'])
    expect(() => ordered(kind)).toThrow(
      new RegExp(
        `no runbook proposes "${kind}": name one of roll-back, .*restart-instances\\n.*proposals\\["high-error-rate"\\]\\[1\\]`,
      ),
    );
});
