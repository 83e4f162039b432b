import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { knownAgainst } from '../../src/cli/doctor/advisories.ts';
import { checkChannels } from '../../src/cli/doctor/channels.ts';
import { checkDatabases } from '../../src/cli/doctor/databases.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { checkMetrics } from '../../src/cli/doctor/metrics.ts';
import { checkOwn } from '../../src/cli/doctor/own.ts';
import { checkRunnerCredentials } from '../../src/cli/doctor/runner-credentials.ts';
import { checkTemporal } from '../../src/cli/doctor/temporal.ts';
import { readConfig } from '../../src/config.ts';
import { Settings } from '../../src/contracts/index.ts';
import { startAppPostgres } from '../../src/embedded/app-database.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { loadSecrets, publicKeyOf } from '../../src/embedded/secrets.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { settings } from '../activities/settings.ts';
import { serving } from '../activities/http-server.ts';
import { startMail } from '../channels/mail-rig.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { measuredServer, prometheusBinary, startPrometheus } from '../support/prometheus.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));
const word = (): string => randomBytes(24).toString('hex');

const configOf = (env: Record<string, string>) =>
  readConfig({ HOLDFAST_STATE_DIR: stateDir, TEMPORAL_CONFIG_FILE: '/nonexistent', ...env });
const of = (check: string, found: Finding[]) => found.filter((one) => one.check === check);

/** `holdfast doctor --json`, with its exit code. */
async function doctor(env: Record<string, string>): Promise<{ code: number; found: Finding[] }> {
  const args = ['src/cli/main.ts', 'doctor', '--json'];
  const inherited = { PATH: process.env['PATH'] ?? '', HOLDFAST_STATE_DIR: stateDir };
  const answer = await promisify(execFile)(process.execPath, args, { env: { ...inherited, ...env } }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string }) => error,
  );
  return { code: answer.code, found: JSON.parse(answer.stdout) as Finding[] };
}

it('finds everything in order at a real Temporal, but for what is only for trying out', async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const { decisionPrivateKey } = await loadSecrets(stateDir);
  const { code, found } = await doctor({
    TEMPORAL_ADDRESS: address,
    HOLDFAST_CODEC_KEYS: `test=${randomBytes(32).toString('base64')}`,
    HOLDFAST_CODE_SECRET: word(),
    HOLDFAST_DECISION_PUBLIC_KEYS: `one=${publicKeyOf(decisionPrivateKey)}`,
  });
  expect(Object.fromEntries(found.map(({ check, state }) => [check, state]))).toEqual({
    configuration: 'ok',
    production: 'ok',
    'decision key': 'ok',
    inbox: 'ok',
    temporal: 'ok',
    version: expect.stringMatching(/ok|warning/),
    namespace: 'ok',
    retention: 'warning',
    'search attributes': 'ok',
    clock: 'ok',
    codec: 'ok',
    workers: 'warning',
  });
  expect(of('version', found)[0]?.says).toMatch(/^server 1\.\d+\.\d+/);
  expect(of('codec', found)[0]?.says).toBe('what was encrypted came back');
  expect(code).toBe(0);

  const elsewhere = configOf({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'operations' });
  const namespace = async (fix: boolean) => of('namespace', await checkTemporal(elsewhere, fix));
  expect(await namespace(false)).toMatchObject([{ state: 'failed', says: 'there is no "operations"' }]);
  expect(await namespace(true)).toMatchObject([{ state: 'fixed' }]);
  await until(async () => (await namespace(false))[0]?.state === 'ok');
  const states = async (fix: boolean) => of('search attributes', await checkTemporal(elsewhere, fix));
  await until(async () => (await states(true))[0]?.state === 'ok');
  expect(of('retention', await checkTemporal(elsewhere, false))).toMatchObject([{ state: 'ok' }]);
});

it.each([
  ['1.19.1', ['CVE-2023-3485', 'CVE-2024-2689', 'CVE-2025-8396', 'CVE-2025-14986', 'CVE-2025-14987', 'CVE-2026-5724']],
  ['1.23.0', ['CVE-2025-8396', 'CVE-2025-14986', 'CVE-2025-14987', 'CVE-2026-5724']],
  ['1.28.2', ['CVE-2026-5724']],
  ['1.29.0', ['CVE-2025-14986', 'CVE-2025-14987', 'CVE-2026-5199', 'CVE-2026-5724']],
  ['1.30.3', ['CVE-2026-5724']],
  ['1.30.10', []],
  ['1.32.0-157.2', []],
])('knows what is published against Temporal %s', (version, ids) => {
  expect(knownAgainst(version).map((one) => one.split(' ')[0])).toEqual(ids);
});

it('fails when Temporal does not answer', async () => {
  const found = await checkTemporal(configOf({ TEMPORAL_ADDRESS: '127.0.0.1:1' }), false);
  expect(found).toMatchObject([
    { check: 'temporal', state: 'failed', remedy: expect.stringContaining('TEMPORAL_ADDRESS') },
  ]);
});

it('says when the key that signs is not the one that verifies', async () => {
  const { decisionPrivateKey } = await loadSecrets(stateDir);
  const keys = { HOLDFAST_DECISION_PRIVATE_KEY: decisionPrivateKey, HOLDFAST_DECISION_KEY_ID: 'one' };
  const fitting = `one=${publicKeyOf(decisionPrivateKey)}`;
  const judged = async (HOLDFAST_DECISION_PUBLIC_KEYS: string) =>
    of('decision key', await checkOwn(configOf({ ...keys, HOLDFAST_DECISION_PUBLIC_KEYS })));
  expect(await judged(fitting)).toMatchObject([{ state: 'ok' }]);
  const remedy = expect.stringContaining(fitting) as string;
  expect(await judged(`one=${randomBytes(32).toString('base64')}`)).toMatchObject([{ state: 'failed', remedy }]);
});

it('fails when the inbox cannot be written or a secret is missing', async () => {
  const file = join(stateDir, 'file');
  writeFileSync(file, '');
  const found = await checkOwn(configOf({ HOLDFAST_STATE_DIR: join(file, 'state') }));
  expect(of('inbox', found)).toMatchObject([{ state: 'failed' }]);
  expect(of('secrets', found)).toMatchObject([
    { state: 'failed', says: expect.stringContaining('HOLDFAST_CODE_SECRET') },
  ]);
});

it('names what a database role lacks and what it may do too much', async () => {
  const port = await freePort();
  const { url, holdfastUrl, superuserUrl } = await startAppPostgres({ stateDir, port });
  expect(await checkDatabases({ SUPABASE_DB_URL: holdfastUrl })).toMatchObject([{ state: 'ok' }]);
  expect(await checkDatabases({ SUPABASE_DB_URL: superuserUrl })).toMatchObject([
    {
      state: 'warning',
      says: expect.stringContaining('is superuser, makes roles'),
      remedy: 'use the role of supabase/roles.sql',
    },
  ]);
  expect(await checkDatabases({ BACKUP_SCRATCH_DB_URL: holdfastUrl })).toMatchObject([
    { state: 'failed', says: 'the role holdfast should be one that makes databases' },
  ]);
  expect(await checkDatabases({ BACKUP_SCRATCH_DB_URL: superuserUrl, MIGRATIONS_DB_URL: url })).toMatchObject([
    { state: 'ok' },
    { state: 'ok' },
  ]);
  expect(await checkDatabases({ SUPABASE_DB_URL: holdfastUrl.replace(/:[^:@/]+@/, ':wrong@') })).toMatchObject([
    { state: 'failed' },
  ]);
});

const reachedOver = (via: string, to: string): Settings => ({
  ...settings,
  people: settings.people.map((person) => ({ ...person, channels: [{ via, to }] })),
});

/** Takes connections and says nothing. */
async function silentServer() {
  const server = createTcpServer((socket) => void socket.resume());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

it('signs in to the mail server without sending anything, and says what is wrong with it', async () => {
  await using mail = await startMail();
  const judged = (HOLDFAST_SMTP_URL: string) =>
    checkChannels({ HOLDFAST_SMTP_URL, HOLDFAST_MAIL_FROM: 'holdfast@example.com' }, settings);
  expect(await judged(mail.url)).toEqual([
    { check: 'email', state: 'ok', says: '127.0.0.1 answers and takes the sign-in of holdfast' },
  ]);
  const elsewhere = mail.url.replace('127.0.0.1', '0.0.0.0'); // leads here, and is not known to
  expect(await judged(elsewhere)).toMatchObject([
    { state: 'ok' },
    { state: 'warning', remedy: 'use smtps://, or add ?requireTLS=true' },
  ]);
  expect(await judged(`${elsewhere}?requireTLS=true`)).toMatchObject([{ state: 'failed' }]); // it has no TLS
  const remedy = expect.stringContaining('HOLDFAST_SMTP_URL') as string;
  expect(await judged(mail.wrongUrl)).toMatchObject([
    { check: 'email', state: 'failed', says: expect.stringContaining('Invalid username or password'), remedy },
  ]);
  expect(await judged(`${mail.url.replace('smtp:', 'smtps:')}`)).toMatchObject([
    { check: 'email', state: 'failed', remedy },
  ]);
  const began = Date.now();
  expect(await judged('smtp://127.0.0.1:1')).toMatchObject([{ check: 'email', state: 'failed', remedy }]);
  await using silent = await silentServer();
  expect(await judged(`smtp://127.0.0.1:${silent.port}`)).toMatchObject([{ check: 'email', state: 'failed', remedy }]);
  expect(Date.now() - began).toBeLessThan(15_000);
  expect(await mail.received()).toEqual([]);
});

it('asks PagerDuty for nothing but an answer, and names a routing key that is missing', async () => {
  const asked: string[] = [];
  await using pagerDuty = await serving(({ method, url }) => {
    asked.push(`${method} ${url.pathname}`);
    return { status: 405 };
  });
  const judged = (keys: string, PAGERDUTY_EVENTS_URL = pagerDuty.url) =>
    checkChannels({ HOLDFAST_PAGERDUTY_ROUTING_KEYS: keys, PAGERDUTY_EVENTS_URL }, reachedOver('pagerduty', 'team'));
  expect(await judged('team=R0123456789')).toMatchObject([
    { check: 'pagerduty', state: 'ok', says: expect.stringContaining('routing keys: team') },
  ]);
  expect(asked).toEqual(['GET /v2/enqueue']);
  const remedy = expect.stringContaining('HOLDFAST_PAGERDUTY_ROUTING_KEYS') as string;
  expect(await judged('leads=R0123456789')).toMatchObject([
    { state: 'failed', says: 'no routing key has the name "team", over which responder is to be paged', remedy },
  ]);
  expect(await judged('team=R0123456789', 'http://127.0.0.1:1')).toMatchObject([{ state: 'failed', remedy }]);
  expect(await checkChannels({}, reachedOver('pagerduty', 'team'))).toEqual([
    {
      check: 'pagerduty',
      state: 'failed',
      says: 'is to reach responder, and is not set up',
      remedy: 'set HOLDFAST_PAGERDUTY_ROUTING_KEYS',
    },
  ]);
});

const measuredBy = (url: string, change: object = {}): Settings =>
  Settings.parse({
    ...settings,
    services: [
      {
        name: 'shop',
        environments: {
          production: {
            url,
            metrics: {
              source: 'prometheus',
              url,
              requests: 'caddy_http_request_duration_seconds',
              match: { server: 'shop' },
              ...change,
            },
          },
        },
      },
    ],
  });

(prometheusBinary === undefined ? it.skip : it)(
  'finds the configured metric at Prometheus, and says which is not there',
  async () => {
    await using shop = await measuredServer();
    await shop.ask('/', 3);
    const url = await startPrometheus({ stateDir, targets: { shop: [new URL(shop.url).host] } });
    const judged = (change: object = {}) => checkMetrics({}, measuredBy(url, change));
    await until(async () => (await judged())[0]?.state === 'ok');
    expect(await judged({ instances: { job: 'shop' } })).toEqual([
      {
        check: 'prometheus',
        state: 'ok',
        says: `shop/production: Prometheus of ${new URL(url).host} has caddy_http_request_duration_seconds, with code 200, 500`,
      },
    ]);
    expect(await judged({ requests: 'http_seconds' })).toMatchObject([
      {
        state: 'failed',
        says: expect.stringContaining('has no http_seconds_count{server="shop"}'),
        remedy: expect.stringContaining('holdfast.config.ts'),
      },
    ]);
    expect(await judged({ codeLabel: 'status' })).toMatchObject([{ state: 'failed', remedy: 'set metrics.codeLabel' }]);
    expect(await judged({ instances: { job: 'none' } })).toMatchObject([{ state: 'ok' }, { state: 'warning' }]);
    expect(await checkMetrics({}, measuredBy('http://127.0.0.1:1'))).toMatchObject([
      { state: 'failed', remedy: expect.stringContaining('metrics.url of shop/production') },
    ]);
    expect(await checkMetrics({}, measuredBy(url), 'shop-production')).toEqual([]); // no runner has it
  },
);

it('warns of credentials that only a runner is to have', async () => {
  const environments = (more: object) => ({
    production: { url: 'http://127.0.0.1:1', taskQueue: 'shop-production', database: { pool: 'app' } },
    ...more,
  });
  const withRunner = (more: object = {}): Settings =>
    Settings.parse({ ...settings, services: [{ name: 'shop', environments: environments(more) }] });
  const held = { PGBOUNCER_ADMIN_URL: 'postgres://pool_admin:secret@pool/pgbouncer', CADDY_ADMIN_URL: 'http://caddy' };
  expect(await checkRunnerCredentials(held, withRunner())).toEqual([
    {
      check: 'runners',
      state: 'warning',
      says: 'PGBOUNCER_ADMIN_URL is set here, and only shop/production has a use for it, whose runner serves shop-production',
      remedy: 'unset PGBOUNCER_ADMIN_URL here, and set it where the runner is',
    },
  ]);
  expect(await checkRunnerCredentials({}, withRunner())).toMatchObject([{ check: 'runners', state: 'ok' }]);
  const staging = { staging: { url: 'http://127.0.0.1:2', database: { pool: 'app' } } };
  expect(await checkRunnerCredentials(held, withRunner(staging))).toMatchObject([{ state: 'ok' }]);
  expect(await checkRunnerCredentials(held, settings)).toEqual([]);
});
