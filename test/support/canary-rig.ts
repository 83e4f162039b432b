import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { loadConfig } from '../../src/config.ts';
import type { Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { startDatabaseRig } from '../activities/database-rig.ts';
import { serving, type Asked } from '../activities/http-server.ts';
import { startMail } from '../channels/mail-rig.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from './until.ts';
import { post } from '../gateway/rig.ts';

const ROOT = resolve(__dirname, '../..');
const PROGRAMS = { worker: 'workers/main.ts', gateway: 'src/gateway/main.ts' };
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Secrets of their own for every place that has one, by the place, as they are looked for. */
export function plantCanaries() {
  const all: Record<string, string> = {};
  const plant = (place: string, secret: string): string => (all[place] = secret);
  const odd = (place: string): string => plant(place, `c+${randomBytes(9).toString('hex')}/&=${place.length}~z`);
  const word = (place: string, prefix = ''): string => prefix + plant(place, `cnry${randomBytes(12).toString('hex')}`);
  const bytes = (place: string, prefix = ''): string => prefix + plant(place, randomBytes(32).toString('base64'));
  return { all, odd, word, bytes };
}

/** In which of its forms a secret is in a text; each of the three ways that Base64 may cut it. */
export function formsIn(text: string, secret: string): string[] {
  const inBase64 = ['', 'x', 'xy'].map((before) => base64(before + secret).slice(4, -4));
  const url = inBase64.map((one) => one.replaceAll('+', '-').replaceAll('/', '_'));
  const forms = { raw: [secret], url: [encodeURIComponent(secret)], base64: [...inBase64, ...url] };
  return Object.entries(forms).flatMap(([name, each]) => (each.some((one) => text.includes(one)) ? [name] : []));
}

/** Says in its refusals what it was shown, in one way after the other: the worst provider there is. */
function echoOf({ headers }: Asked, turn: number): string {
  const shown = [headers.authorization, headers['apikey'], headers['x-api-key']].filter((one) => one !== undefined);
  const ways = [String, base64, encodeURIComponent] as const;
  return shown.map((one) => `not allowed: ${(ways[turn % 3] ?? String)(String(one))}`).join('; ');
}

/** Slack, and a record, that take everything; every other system refuses everything and says what it was shown. */
async function startWorld() {
  const asked: { path: string; body: string }[] = [];
  let turn = 0;
  const slack: Record<string, object> = {
    'conversations.open': { channel: { id: 'D0123456789' } },
    'chat.postMessage': { ts: '1.000001', channel: 'C0123456789' },
  };
  const server = await serving((one) => {
    const { pathname: path } = one.url;
    asked.push({ path, body: one.body });
    if (path.startsWith('/slack/')) return { body: { ok: true, messages: [], ...slack[path.slice('/slack/'.length)] } };
    if (path.startsWith('/record/rest/v1/rpc/')) return { body: true };
    if (path === '/otel/v1/traces') return { body: {} };
    if (path === '/notify' || path === '/v2/enqueue') return { body: { status: 'success' } };
    return { status: 403, body: echoOf(one, turn++) };
  });
  return {
    ...server,
    /** The bodies of what came to paths that begin so. */
    told: (prefix: string): string[] => asked.filter(({ path }) => path.startsWith(prefix)).map(({ body }) => body),
  };
}

/** Everything that a history says to whoever may decode it. */
async function readable(value: unknown, decode: (payload: Payload) => Promise<Payload>): Promise<string> {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (typeof value !== 'object' || value === null) return String(value);
  const payload = value as Payload;
  if (payload.metadata instanceof Object && payload.data instanceof Uint8Array)
    return Buffer.from((await decode(payload)).data ?? []).toString();
  const texts = await Promise.all(Object.values(value).map((one) => readable(one, decode)));
  return [...Object.keys(value), ...texts].join('\n');
}

/** Temporal, gateway and worker as processes of their own, between Slack, mail, a record, a Postgres and a world that tells. */
export async function startCanaryRig({ encrypted }: { encrypted: boolean }) {
  const { all, odd, word, bytes } = plantCanaries();
  const stateDir = scratchFolder();
  const world = await startWorld();
  const mail = await startMail(odd('HOLDFAST_SMTP_URL'));
  const database = await startDatabaseRig();
  const password = odd('SUPABASE_DB_URL');
  await database.admin.query(`alter role holdfast password ${database.admin.escapeLiteral(password)}`);
  const databaseUrl = new URL(database.url);
  databaseUrl.password = encodeURIComponent(password);
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const keys = generateKeyPairSync('ed25519');
  const der = { publicKey: { type: 'spki', format: 'der' }, privateKey: { type: 'pkcs8', format: 'der' } } as const;
  const withPassword = (url: string, place: string): string =>
    url.replace('//', `//u:${encodeURIComponent(odd(place))}@`);
  const gatewayPort = String(await freePort());
  const workerMetrics = `127.0.0.1:${await freePort()}`;
  const { url } = world;
  const env: Record<string, string> = {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_CONFIG: join(stateDir, 'holdfast.config.mjs'),
    HOLDFAST_GATEWAY_PORT: gatewayPort,
    HOLDFAST_WORKER_METRICS: workerMetrics,
    OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/otel`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${word('OTEL_EXPORTER_OTLP_HEADERS')}`,
    HOLDFAST_LOG: encrypted ? 'json' : 'text',
    TEMPORAL_ADDRESS: address,
    TEMPORAL_GRPC_META_X_PROXY: word('TEMPORAL_GRPC_META_X_PROXY'),
    HOLDFAST_DECISION_KEY_ID: 'test',
    HOLDFAST_DECISION_PUBLIC_KEYS: `test=${keys.publicKey.export(der.publicKey).subarray(-32).toString('base64')}`,
    HOLDFAST_DECISION_PRIVATE_KEY: (all['decision key'] = keys.privateKey.export(der.privateKey).toString('base64')),
    HOLDFAST_ALERTMANAGER_TOKEN: odd('HOLDFAST_ALERTMANAGER_TOKEN'),
    HOLDFAST_WEBHOOK_SECRET: bytes('HOLDFAST_WEBHOOK_SECRET', 'whsec_'),
    HOLDFAST_SENTRY_CLIENT_SECRET: odd('HOLDFAST_SENTRY_CLIENT_SECRET'),
    HOLDFAST_GRAFANA_SECRET: odd('HOLDFAST_GRAFANA_SECRET'),
    HOLDFAST_PAGERDUTY_SECRET: odd('HOLDFAST_PAGERDUTY_SECRET'),
    HOLDFAST_GITHUB_WEBHOOK_SECRET: odd('HOLDFAST_GITHUB_WEBHOOK_SECRET'),
    HOLDFAST_CODE_SECRET: odd('HOLDFAST_CODE_SECRET'),
    HOLDFAST_METRICS_TOKEN: odd('HOLDFAST_METRICS_TOKEN'),
    HOLDFAST_SLACK_TOKEN: word('HOLDFAST_SLACK_TOKEN', 'xoxb-'),
    HOLDFAST_SLACK_CHANNEL: 'C0123456789',
    SLACK_API_URL: `${url}/slack/`,
    HOLDFAST_SMTP_URL: mail.url,
    HOLDFAST_MAIL_FROM: 'holdfast@example.com',
    HOLDFAST_MAIL_LIST: 'everybody@example.com',
    HOLDFAST_NOTIFY_URL: `${url}/notify`,
    HOLDFAST_NOTIFY_SECRET: bytes('HOLDFAST_NOTIFY_SECRET', 'whsec_'),
    RECORD_SUPABASE_URL: `${url}/record`,
    RECORD_SUPABASE_SECRET_KEY: word('RECORD_SUPABASE_SECRET_KEY', 'sb_secret_'),
    SUPABASE_URL: `${url}/supabase`,
    SUPABASE_SECRET_KEY: word('SUPABASE_SECRET_KEY', 'sb_secret_'),
    SUPABASE_DB_URL: databaseUrl.href,
    SUPABASE_ACCESS_TOKEN: word('SUPABASE_ACCESS_TOKEN', 'sbp_'),
    SUPABASE_MANAGEMENT_URL: url,
    PGBOUNCER_ADMIN_URL: withPassword('postgres://127.0.0.1:1/pgbouncer', 'PGBOUNCER_ADMIN_URL'),
    MIGRATIONS_DB_URL: withPassword('postgres://127.0.0.1:1/shop', 'MIGRATIONS_DB_URL'),
    SENTRY_URL: url,
    SENTRY_ORG: 'acme',
    SENTRY_AUTH_TOKEN: odd('SENTRY_AUTH_TOKEN'),
    PROMETHEUS_TOKEN: odd('PROMETHEUS_TOKEN'),
    GITHUB_TOKEN: word('GITHUB_TOKEN', 'ghp_'),
    CADDY_ADMIN_URL: withPassword(url, 'CADDY_ADMIN_URL'),
    SHOP_REPOSITORY: withPassword(`${url}/shop.git`, 'SHOP_REPOSITORY'),
    ...(encrypted && {
      HOLDFAST_CODEC_KEYS: bytes('HOLDFAST_CODEC_KEYS', '2026='),
      HOLDFAST_CODEC_TOKEN: odd('HOLDFAST_CODEC_TOKEN'),
    }),
  };
  const channels = [
    { via: 'slack', to: 'U0123456789' },
    { via: 'email', to: 'responder@example.com' },
  ];
  const settings = {
    people: [{ name: 'responder', roles: ['responder', 'approver'], channels }],
    announce: ['slack', 'email', 'webhook'],
    ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
    approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
    services: [
      {
        name: 'shop',
        environments: {
          production: {
            mode: 'act',
            url,
            errors: { project: 'shop' },
            metrics: { source: 'prometheus', url, requests: 'requests' },
            database: { longSeconds: 0.3, pool: 'app', project: 'abcdefghijklmnopqrst' },
            measure: { windowSeconds: 1, lasting: '1 second', every: '1 second' },
            releases: { repository: env['SHOP_REPOSITORY'], server: 'shop', listen: '127.0.0.1:1' },
          },
        },
      },
    ],
  };
  writeFileSync(env['HOLDFAST_CONFIG'] as string, `export default ${JSON.stringify(settings)};\n`);
  const said: string[] = [];
  const log = (): string => said.join('');
  const running = new Set<ReturnType<typeof spawn>>();
  /** Resolves when it is ready. */
  const start = async (part: keyof typeof PROGRAMS) => {
    const child = spawn(process.execPath, [PROGRAMS[part]], { cwd: ROOT, env: { ...process.env, ...env } });
    running.add(child);
    let own = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        own += String(chunk);
        said.push(String(chunk));
      });
    const ended = new Promise<number | null>((resolve) => void child.once('exit', resolve));
    void ended.then(() => running.delete(child));
    await until(() => {
      if (child.exitCode !== null) throw new Error(`the ${part} ended: ${own}`);
      return own.includes(`${part} ready on`);
    });
    return { pid: child.pid as number, ended };
  };
  const worker = await start('worker');
  const gateway = await start('gateway');

  const config = loadConfig(env);
  const { dataConverter, connection } = config.temporal;
  const client = new Client({ connection: await Connection.connect(connection), dataConverter });
  const [codec] = dataConverter.payloadCodecs?.toReversed() ?? [];
  const decode = async (payload: Payload): Promise<Payload> => (await codec?.decode([payload]))?.[0] ?? payload;
  const status = (id: string): Promise<Status | undefined> =>
    client.workflow
      .getHandle(id)
      .query<Status>('status')
      .catch(() => undefined);
  return {
    all,
    odd,
    word,
    env,
    world,
    mail,
    database,
    log,
    status,
    client,
    stateDir,
    worker,
    gateway,
    start,
    gatewayUrl: `http://127.0.0.1:${gatewayPort}`,
    /** Of the gateway and of the worker, as Prometheus reads them. */
    async metrics(): Promise<{ gateway: string; worker: string }> {
      const authorization = `Bearer ${env['HOLDFAST_METRICS_TOKEN']}`;
      const gateway = await fetch(`http://127.0.0.1:${gatewayPort}/metrics`, { headers: { authorization } });
      const worker = await fetch(`http://${workerMetrics}/metrics`);
      return { gateway: await gateway.text(), worker: await worker.text() };
    },
    /** Have the gateway told of it by Alertmanager. */
    async alert(alertname: string, summary: string): Promise<void> {
      const labels = { alertname, service: 'shop', environment: 'production', severity: 'critical', summary };
      const one = { status: 'firing', labels, annotations: { summary }, fingerprint: alertname };
      const authorization = `Bearer ${env['HOLDFAST_ALERTMANAGER_TOKEN']}`;
      const body = JSON.stringify({ alerts: [one] });
      const { status } = await post(`http://127.0.0.1:${gatewayPort}`, 'alertmanager', body, { authorization });
      if (status !== 202) throw new Error(`the alert was answered with ${status}`);
    },
    /** Every run that there is, as who has the keys reads it: its events, its memo, what it shows now. */
    async histories(): Promise<string> {
      const texts: string[] = [];
      for await (const { workflowId, runId, raw } of client.workflow.list()) {
        const handle = client.workflow.getHandle(workflowId, runId);
        texts.push(await readable(await handle.fetchHistory(), decode), await readable(raw, decode));
        for (const query of ['status', '__temporal_workflow_metadata'])
          texts.push(JSON.stringify(await handle.query(query).catch(() => '')));
      }
      return texts.join('\n');
    },
    async close(): Promise<void> {
      await client.connection.close();
      for (const child of running) child.kill('SIGKILL');
      await removeScratch(stateDir);
      await mail[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}
export type CanaryRig = Awaited<ReturnType<typeof startCanaryRig>>;
