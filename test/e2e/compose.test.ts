/** The main job on the processes of docker-compose.yml, in production mode: two gateways behind their front, and two workers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { verifyAudit, readAudit } from '../../src/audit.ts';
import type { GameDayReport } from '../../src/cli/gameday/follow.ts';
import { loadConfig } from '../../src/config.ts';
import type { Status } from '../../src/contracts/index.ts';
import { caddyBinary } from '../../src/embedded/caddy.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { answers, startTool } from '../../src/embedded/start-tool.ts';
import { endProcess, findProcess, runCommand } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import { visitor } from '../console/visitor.ts';
import { textOf } from '../deploy/compose.ts';
import { containersIn } from '../deploy/containers.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { behindMutualTls } from '../support/certificates.ts';
import { until } from '../support/until.ts';
import { during, isWaiting, ROOT, startPlatform, type PlatformRig } from './rig.ts';

const ID = 'incident.shop.high-error-rate';
/** Everything but Holdfast itself. */
const OTHERS = ['temporal', 'postgres', 'supabase', 'app-postgres', 'app-supabase', 'bugsink', 'caddy'];
/** What the platform knows of the shop and of the record; Holdfast's own secrets are compose's. */
const GIVEN =
  /^(RECORD|HOLDFAST_AUTH|SHOP|SUPABASE|MIGRATIONS|BACKUP|PG|BUGSINK|SENTRY_AUTH|CADDY|HOLDFAST_UNAPPROVED)_/;
const NAMES = ['gateway-1', 'gateway-2', 'worker-1', 'worker-2', 'front'];

const folder = scratchFolder();
let rig: PlatformRig;
let temporal: Awaited<ReturnType<typeof behindMutualTls>>;
let environmentOf: (name: string) => Record<string, string>;
let front: string;
let client: Client;

beforeAll(async () => {
  const { made, command, environmentOf: given } = containersIn(folder);
  rig = await startPlatform(OTHERS);
  const { stateDir, platform, env } = rig;
  const server = { cert: join(made, 'temporal_server.pem'), key: join(made, 'temporal_server.key') };
  const authority = join(made, 'temporal_ca.pem');
  temporal = await behindMutualTls(platform['TEMPORAL_ADDRESS'] ?? '', { authority, server });
  const [frontPort = '', ...ports] = [env['HOLDFAST_GATEWAY_PORT'], await freePort(), await freePort()].map(String);
  front = `http://127.0.0.1:${frontPort}`;
  const shared = {
    ...Object.fromEntries(Object.entries(platform).filter(([name]) => GIVEN.test(name))),
    HOLDFAST_STATE_DIR: stateDir,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_TLS_SERVER_NAME: 'temporal', // the address is no name
    HOLDFAST_GATEWAY_HOST: '127.0.0.1',
    HOLDFAST_GATEWAY_PORT: frontPort,
    HOLDFAST_PUBLIC_URL: front,
  };
  const more: Record<string, Record<string, string>> = {
    'gateway-1': { HOLDFAST_GATEWAY_PORT: ports[0] ?? '' },
    'gateway-2': { HOLDFAST_GATEWAY_PORT: ports[1] ?? '' },
    'worker-1': { HOLDFAST_WORKER_METRICS: `127.0.0.1:${await freePort()}` },
    'worker-2': { HOLDFAST_WORKER_METRICS: `127.0.0.1:${await freePort()}` },
  };
  environmentOf = (name) => given(name, { ...shared, ...more[name] });
  const node = { stateDir, command: process.execPath, cwd: ROOT };
  await runCommand({ ...node, args: command('doctor'), env: environmentOf('doctor') });
  const start = (name: string, ready: () => Promise<boolean>) =>
    startTool({ ...node, name, args: command(name), env: environmentOf(name), ready });
  for (const [index, port] of ports.entries())
    await start(`gateway-${index + 1}`, () => answers(`http://127.0.0.1:${port}/readyz`));
  const isReady = (name: string) => async () =>
    readFileSync(join(stateDir, 'logs', `${name}.log`), 'utf8').includes('worker ready');
  await Promise.all(['worker-1', 'worker-2'].map((name) => start(name, isReady(name))));
  const caddyfile = join(folder, 'Caddyfile');
  writeFileSync(
    caddyfile,
    textOf('deploy/front/Caddyfile')
      .replace(':4100 {', `http://127.0.0.1:${frontPort} {`)
      .replace('gateway-1:4100 gateway-2:4100', ports.map((port) => `127.0.0.1:${port}`).join(' ')),
  );
  await startTool({
    stateDir,
    name: 'front',
    command: await caddyBinary(),
    args: ['run', '--config', caddyfile, '--adapter', 'caddyfile'],
    env: { XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    ready: () => answers(`${front}/readyz`),
  });
  const { connection, namespace, dataConverter } = loadConfig(environmentOf('gateway-1')).temporal;
  client = new Client({ connection: await Connection.connect(connection), namespace, dataConverter });
}, 240_000);
afterAll(async () => {
  await client.connection.close();
  for (const name of NAMES) await endProcess(rig.stateDir, name);
  temporal.close();
  await rig.end();
  await removeScratch(folder);
}, 90_000);

const statusOnce = async (holds: (status: Status) => boolean, id = ID): Promise<Status> => {
  let found: Status | undefined;
  await until(async () => {
    found = await client
      .withDeadline(Date.now() + 5000, () => client.workflow.getHandle(id).query<Status>('status'))
      .catch(() => undefined);
    return found !== undefined && holds(found);
  });
  return found as Status;
};
const has =
  (kind: string) =>
  ({ timeline }: Status): boolean =>
    timeline.some((entry) => entry.kind === kind);

/** Pid of the worker that rolls back. */
async function actingWorker(): Promise<number> {
  let pid = NaN;
  await until(async () => {
    const { raw } = await client.workflow.getHandle(ID).describe();
    const acting = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'rollBack');
    pid = Number.parseInt(acting?.lastWorkerIdentity ?? '', 10);
    return pid > 0;
  });
  return pid;
}

/** Signs in at the front, as a browser does. */
async function signedIn(person: string) {
  const accounts = JSON.parse(readFileSync(join(rig.stateDir, 'accounts.json'), 'utf8')) as Record<string, string>;
  const email = `${person}@example.com`;
  let cookie = '';
  await until(async () => {
    const answer = await visitor(front, '').post('/sign-in', { email, password: accounts[email] ?? '' });
    cookie = /holdfast=([^;]+)/.exec(answer.headers.get('set-cookie') ?? '')?.[1] ?? '';
    return answer.status === 303; // an answer that was cut off is not given again
  });
  return visitor(front, cookie);
}

it('plays the game day of a bad release to its end, though the gateway that leads and the worker that acts are killed: one release is switched back, once', async () => {
  const { stateDir } = rig;
  const gameday = runCommand({
    command: process.execPath,
    args: ['src/cli/main.ts', 'gameday', 'high-error-rate', '--json'],
    cwd: ROOT,
    env: environmentOf('gateway-1'),
    timeoutMs: 300_000,
  });
  const open = await during(gameday, statusOnce(isWaiting));
  process.kill((await findProcess(stateDir, 'gateway-1'))?.pid ?? NaN, 'SIGKILL'); // it leads: it was the first
  const token = readFileSync(
    join(environmentOf('gateway-1')['HOLDFAST_SECRETS_DIR'] ?? '', 'HOLDFAST_ALERTMANAGER_TOKEN'),
    'utf8',
  );
  const answer = await fetch(`${front}/alerts/alertmanager`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      alerts: [{ status: 'firing', labels: { alertname: 'Odd', service: 'shop' }, fingerprint: 'odd' }],
    }),
  });
  expect(answer.status).toBe(202); // the front has it taken by the other one
  const responder = await signedIn('responder');
  await during(gameday, statusOnce(has('opened'), 'incident.shop.triage')); // the other gateway leads now
  const decided = await responder.send(`/runs/${ID}/${open.runId}`, `/runs/${ID}/${open.runId}/decide`, {
    verdict: 'approved',
  });
  expect(decided.status).toBe(303);
  process.kill(await during(gameday, actingWorker()), 'SIGKILL');
  const report = JSON.parse((await gameday).stdout) as GameDayReport;
  expect(report).toMatchObject({ outcome: 'mitigated', decision: { by: ['responder'], via: 'console' } });
  expect(report.releases).toEqual({ before: 'v2', after: 'v1' });
  const served = await fetch(`http://127.0.0.1:${rig.env['SHOP_PORT']}/healthz`);
  expect(await served.json()).toMatchObject({ version: 'v1' });
  expect(rig.releases().history.filter(({ key }) => key.includes(open.runId))).toHaveLength(1);
  const audited = readAudit(stateDir, 100).filter(({ on }) => on === `${ID}/${open.runId}`);
  expect(audited.reverse().map(({ who, via, what, result }) => `${who} ${via}: ${what} ${result}`)).toEqual([
    'responder console: approved done',
    'holdfast worker: grant roll-back done',
    'responder worker: roll-back done',
  ]);
  expect(verifyAudit(stateDir).fault).toBeUndefined();
  const { RECORD_SUPABASE_URL: url = '', RECORD_SUPABASE_SECRET_KEY: key = '' } = rig.platform;
  const record = createRecord({ url, key });
  await until(async () => (await record.incident(ID, open.runId).catch(() => undefined))?.outcome === 'mitigated');
}, 400_000);
