import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { Platform } from '../../src/embedded/platform-files.ts';
import { Ports } from '../../src/embedded/platform.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { ROOT } from '../../src/embedded/tools.ts';
import {
  endProcess,
  findProcess,
  identityOf,
  lastLines,
  listProcesses,
  runCommand,
  startProcess,
} from '../../src/processes.ts';
import { removeScratch, scratchFolder } from './scratch.ts';
import { until } from '../support/until.ts';

jest.setTimeout(180_000);
const MAIN = join(ROOT, 'src/embedded/main.ts');
let outer: string;
let stateDir: string;
let ports: Record<string, string>;
beforeEach(async () => {
  outer = scratchFolder();
  stateDir = join(outer, 'state');
  const free = await Promise.all(Object.keys(Ports.shape).map(async (name) => [name, String(await freePort())]));
  ports = Object.fromEntries(free);
});
afterEach(async () => {
  await removeScratch(outer); // the supervisor first: it ends its own parts
  await removeScratch(stateDir);
});

const argumentsFor = (only: string) => [MAIN, '--state-dir', stateDir, '--only', only];
const platform = async () => Platform.parse(JSON.parse(await readFile(join(stateDir, 'platform.json'), 'utf8')));
/** Whether the platform says that it is ready; a killed one leaves its word behind, so that the pid is asked for. */
const isReady = (pid: number) =>
  platform().then(
    (ready) => ready.pid === pid,
    () => false,
  );
const output = () => lastLines(join(outer, 'logs', 'platform.log'), 200);

/** Start the platform as a process of its own and wait until it is ready. */
async function start(only: string): Promise<number> {
  const args = argumentsFor(only);
  const { pid } = await startProcess({
    stateDir: outer,
    name: 'platform',
    command: process.execPath,
    args,
    env: ports,
  });
  await until(async () => {
    if ((await findProcess(outer, 'platform')) === undefined) throw new Error(await output());
    return isReady(pid);
  });
  return pid;
}

const refused = (only: string) =>
  runCommand({ command: process.execPath, args: argumentsFor(only), env: ports, timeoutMs: 60_000 }).then(
    () => 'it started',
    (error: Error) => error.message,
  );

async function rest(method: string, body?: object): Promise<unknown> {
  const env = parseEnv(await readFile(join(stateDir, 'platform.env'), 'utf8'));
  const response = await fetch(`${env['RECORD_SUPABASE_URL']}/rest/v1/holdfast_migrations?select=name`, {
    method,
    headers: { apikey: env['RECORD_SUPABASE_SECRET_KEY'] ?? '', 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.status === 201 ? undefined : response.json();
}

it('ends what a killed platform left, and starts again with the data that was there', async () => {
  const pid = await start('postgres,supabase,caddy');
  await rest('POST', { name: 'kept', digest: 'kept' });
  const left = await listProcesses(stateDir);
  expect(left.map(({ name }) => name).toSorted()).toEqual(['caddy', 'postgres', 'supabase']);
  const service = {
    stateDir,
    name: 'shop-production-1',
    command: process.execPath,
    args: ['-e', 'setInterval(Date, 1e6)'],
  };
  left.push(await startProcess(service));
  process.kill(pid, 'SIGKILL');
  await until(async () => (await identityOf(pid)) === undefined);
  expect(await listProcesses(stateDir)).toHaveLength(4);

  await start('postgres,supabase,caddy');
  for (const { pid: old, identity } of left) expect(await identityOf(old)).not.toBe(identity);
  expect(await findProcess(stateDir, 'shop-production-1')).toBeUndefined();
  expect(await rest('GET')).toContainEqual({ name: 'kept' });
});

it('starts a crashed part again and tells the last lines of its log', async () => {
  await start('caddy');
  const before = await findProcess(stateDir, 'caddy');
  if (before) process.kill(before.pid, 'SIGKILL');
  await until(async () => (await output()).includes('Caddy     is up again'));
  expect(await output()).toMatch(/Caddy +has crashed; its log .*caddy\.log ends with:/);
  expect((await findProcess(stateDir, 'caddy'))?.pid).not.toBe(before?.pid);
});

it('refuses a second start and names the first', async () => {
  const pid = await start('caddy');
  expect((await platform()).pid).toBe(pid);
  expect(await refused('caddy')).toMatch(new RegExp(`exit code 3[\\s\\S]*runs already, with pid ${pid}`));
  expect(await findProcess(stateDir, 'caddy')).toBeDefined();
});

it('stops everything, also what a worker started, and leaves no word of being ready', async () => {
  const pid = await start('caddy');
  await startProcess({ stateDir, name: 'shop', command: process.execPath, args: ['-e', 'setInterval(Date, 1e6)'] });
  await endProcess(outer, 'platform');
  expect(await listProcesses(stateDir)).toEqual([]);
  expect(await isReady(pid)).toBe(false);
  expect(await output()).toMatch(/Stopping…\nStopped\.$/);
});

it('names the owner of a taken port and the variable to set', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await until(() => server.listening);
  const { port } = server.address() as AddressInfo;
  ports['HOLDFAST_CADDY_ADMIN_PORT'] = String(port);
  try {
    expect(await refused('caddy')).toMatch(
      new RegExp(
        `exit code 1[\\s\\S]*port ${port} is taken by process ${process.pid} \\(.+\\).* set HOLDFAST_CADDY_ADMIN_PORT`,
      ),
    );
  } finally {
    server.close();
  }
});

it('says which argument and which variable are wrong', async () => {
  expect(await refused('caddy,toaster')).toMatch(/exit code 2[\s\S]*only\[1\]/);
  ports['SHOP_PORT'] = 'eighty';
  expect(await refused('caddy')).toMatch(/exit code 2[\s\S]*SHOP_PORT/);
});
