import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { loadConfig } from '../../src/config.ts';
import type { Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { REACHING_CREDENTIALS } from '../../src/runner-credentials.ts';
import { startDatabaseRig } from '../activities/database-rig.ts';
import { serving, type Asked } from '../activities/http-server.ts';
import { startMail } from '../channels/mail-rig.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { post } from '../gateway/rig.ts';
import { base64, plantCanaries, plantedEnvironment } from './canaries.ts';
import { until } from './until.ts';

const ROOT = resolve(__dirname, '../..');
const RUNNER = 'shop-production';
const PROGRAMS = {
  worker: { args: ['workers/main.ts'], ready: 'worker ready on' },
  gateway: { args: ['src/gateway/main.ts'], ready: 'gateway ready on' },
  runner: { args: ['workers/main.ts', '--task-queue', RUNNER], ready: `worker ready on task queue ${RUNNER}` },
};
export type Part = keyof typeof PROGRAMS;
const LONG_SECONDS = 0.3;
const IN_THE_WAY = `select 1 from pg_stat_activity
  where pid = $1 and clock_timestamp() - state_change > interval '${LONG_SECONDS} s'`;
/** What a runner has beside the credentials of its environment. */
const OF_RUNNER = /^(TEMPORAL_|HOLDFAST_(CONFIG|LOG)$|SUPABASE_URL$)/;
/** Longer than any step of a run takes on a busy machine. */
const LONGEST_MS = 120_000;

/** Says in its refusals what it was shown, in one way after the other: the worst provider there is. */
function echoOf({ headers, body }: Asked, turn: number): string {
  const [, routingKey] = /"routing_key":"(\w+)"/.exec(body) ?? [];
  const keys = [headers.authorization, headers['apikey'], headers['x-api-key'], routingKey];
  const shown = keys.filter((one) => one !== undefined);
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
    if (path === '/notify') return { body: { status: 'success' } };
    if (path.startsWith('/auth/')) return { status: 402, body: { msg: echoOf(one, turn++) } };
    return { status: 403, body: echoOf(one, turn++) };
  });
  return {
    ...server,
    /** The bodies of what came to paths that begin so. */
    told: (prefix: string): string[] => asked.filter(({ path }) => path.startsWith(prefix)).map(({ body }) => body),
  };
}

/** An environment as files, the way containers are given their secrets, and what says where they are. */
function asFiles(env: Record<string, string>, stateDir: string): Record<string, string> {
  const folder = join(stateDir, 'secrets');
  mkdirSync(folder);
  for (const [name, value] of Object.entries(env)) writeFileSync(join(folder, name), value);
  return { HOLDFAST_STATE_DIR: stateDir, HOLDFAST_SECRETS_DIR: folder };
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

/**
 * Temporal, gateway and worker as processes of their own, between Slack, mail, a record, a Postgres and a world that tells; with a
 * `runner`, it alone has what reaches into the environment. Where it is `watched`, a monitor looks once and raises nothing.
 */
export async function startCanaryRig({
  encrypted = false,
  runner = false,
  watched = false,
}: {
  encrypted?: boolean;
  runner?: boolean;
  watched?: boolean;
}) {
  const canaries = plantCanaries();
  const { all, odd, word } = canaries;
  const stateDir = scratchFolder();
  const world = await startWorld();
  const mail = await startMail(odd('HOLDFAST_SMTP_URL'));
  const database = await startDatabaseRig();
  const password = odd('SUPABASE_DB_URL');
  await database.admin.query(`alter role holdfast password ${database.admin.escapeLiteral(password)}`);
  const databaseUrl = new URL(database.url);
  databaseUrl.password = encodeURIComponent(password);
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const gatewayPort = String(await freePort());
  const workerMetrics = `127.0.0.1:${await freePort()}`;
  const { url } = world;
  const env: Record<string, string> = {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_CONFIG: join(stateDir, 'holdfast.config.mjs'),
    HOLDFAST_GATEWAY_PORT: gatewayPort,
    HOLDFAST_WORKER_METRICS: workerMetrics,
    HOLDFAST_LOG: encrypted ? 'json' : 'text',
    TEMPORAL_ADDRESS: address,
    BACKUP_DIR: join(stateDir, 'backups'),
    ...plantedEnvironment(canaries, { url, mailUrl: mail.url, databaseUrl: databaseUrl.href, encrypted }),
  };
  const reaches = (name: string): boolean => REACHING_CREDENTIALS[name] !== undefined;
  const having = (wanted: (name: string) => boolean) =>
    Object.fromEntries(Object.entries(env).filter(([name]) => wanted(name)));
  const given = encrypted ? asFiles(env, stateDir) : having((name) => !runner || !reaches(name));
  const own = {
    ...having((name) => OF_RUNNER.test(name) || reaches(name)),
    HOLDFAST_STATE_DIR: join(stateDir, 'runner'),
  };
  const givenTo: Record<Part, Record<string, string>> = { worker: given, gateway: given, runner: own };
  const channels = [
    { via: 'pagerduty', to: 'team' },
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
            ...(runner && { taskQueue: RUNNER }),
            ...(watched && { monitor: { every: '1 hour' } }),
            errors: { project: 'shop', openIssues: true },
            metrics: { source: 'prometheus', url, requests: 'requests' },
            database: { longSeconds: LONG_SECONDS, pool: 'app', project: 'abcdefghijklmnopqrst' },
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
  const start = async (part: Part) => {
    const { args, ready } = PROGRAMS[part];
    const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...givenTo[part] } });
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
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the ${part} ended: ${own}`);
      return own.includes(ready);
    });
    return { part, pid: child.pid as number, ended };
  };
  const parts = [await start('worker'), await start('gateway'), ...(runner ? [await start('runner')] : [])];

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
  /** For what takes too long: what the run stands at, and what was logged last. */
  const late = (id: string) => ({
    withinMs: LONGEST_MS,
    says: async () => `${id} stands at ${JSON.stringify(await status(id))}; logged last: ${log().slice(-2000)}`,
  });
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
    parts,
    start,
    late,
    /** The status of a run once it holds. @throws Error that says what the run stands at. */
    async statusOnce(id: string, holds: (status: Status) => boolean): Promise<Status> {
      let found: Status | undefined;
      await until(async () => {
        found = await status(id);
        return found !== undefined && holds(found);
      }, late(id));
      return found as Status;
    },
    gatewayUrl: `http://127.0.0.1:${gatewayPort}`,
    /** Of the gateway and of the worker, as Prometheus reads them. */
    async metrics(): Promise<{ gateway: string; worker: string }> {
      const authorization = `Bearer ${env['HOLDFAST_METRICS_TOKEN']}`;
      const gateway = await fetch(`http://127.0.0.1:${gatewayPort}/metrics`, { headers: { authorization } });
      const worker = await fetch(`http://${workerMetrics}/metrics`);
      return { gateway: await gateway.text(), worker: await worker.text() };
    },
    /** A session of the application that forgets its transaction after this; resolves with its pid once it is in the way. */
    async forgetful(statement = 'select 1'): Promise<number> {
      const session = await database.client(database.ownerUrl);
      const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
      const pid = rows[0]?.pid as number;
      await session.query('begin');
      await session.query(statement);
      await until(async () => (await database.admin.query(IN_THE_WAY, [pid])).rowCount === 1);
      return pid;
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
