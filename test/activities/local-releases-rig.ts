/** A tiny application in a git repository, Caddy, and the provider on them. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import autocannon from 'autocannon';
import { createActivities } from '../../activities/local-releases.ts';
import { parseSettings } from '../../src/config.ts';
import type { Action, Approval } from '../../src/contracts/index.ts';
import { startCaddy } from '../../src/embedded/caddy.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess, listProcesses, runCommand } from '../../src/processes.ts';

/** Installs two packages, of which one needs the other, and counts. */
const INSTALL = (installed: string): string => `
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
for (const [name, text] of [['one', "export { name } from 'two';"], ['two', "export const name = 'two';"]]) {
  mkdirSync('node_modules/' + name, { recursive: true });
  writeFileSync('node_modules/' + name + '/package.json', JSON.stringify({ name, type: 'module', exports: './index.js' }));
  writeFileSync('node_modules/' + name + '/index.js', text);
}
appendFileSync(${JSON.stringify(installed)}, 'x');
`;

const SERVER = (version: string, broken: boolean): string => `
import { createServer } from 'node:http';
import 'one';
const { PORT, HOST, RELEASE } = process.env;
${broken ? "console.error('the vault is sealed'); process.exit(3);" : ''}
const server = createServer((request, response) => {
  const slow = /^\\/slow\\/(\\d+)$/.exec(request.url);
  if (slow) return setTimeout(() => response.end('${version}'), Number(slow[1]));
  if (request.url === '/environment') return response.end(JSON.stringify(process.env));
  response.end(request.url === '/healthz' ? JSON.stringify({ status: 'ok', version: RELEASE }) : '${version}');
}).listen(Number(PORT), HOST);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

type Activities = ReturnType<typeof createActivities>;

export interface Rig {
  stateDir: string;
  url: string;
  adminUrl: string;
  settings: ReturnType<typeof parseSettings>;
  /** Run an activity as a worker would. */
  run<N extends keyof Activities>(activity: N, argument: Parameters<Activities[N]>[0]): ReturnType<Activities[N]>;
  /** `recentReleases` of a Caddy elsewhere. */
  releasesAt(adminUrl: string): Promise<unknown>;
  body(path?: string): Promise<string>;
  switches(): Promise<string[]>;
  instances(): Promise<string[]>;
  installs(): Promise<number>;
  end(): Promise<void>;
}

export const on = { service: 'tiny', environment: 'production' };
export const order = (ref: string, key: string, fence: number) => ({ ...on, ref, key, fence });

export const approval = <A extends Action>(id: string, action: A, fence: number): Approval<A> => ({
  id,
  proposal: {
    id,
    digest: 'a'.repeat(64),
    summary: 's',
    why: [],
    undo: 'u',
    risk: 'low',
    action,
    expiresAt: '2030-01-01T00:00:00Z',
  },
  by: ['responder'],
  via: 'cli',
  at: '2026-01-01T00:00:00Z',
  fence,
});

const VISITORS = 8;
/** Visitors for six seconds, over connections that are kept. */
export const visitors = (url: string) => autocannon({ url, connections: VISITORS, duration: 6, overallRate: 400 });
/** Each was answered, and by no error; but for those that `FrontDoor.point` tells of: their clients ask again. */
export function assertServed({ timeouts, non2xx, errors }: autocannon.Result): void {
  expect({ timeouts, non2xx }).toEqual({ timeouts: 0, non2xx: 0 });
  expect(errors).toBeLessThanOrEqual(VISITORS);
}

export async function createRig(): Promise<Rig> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-releases-'));
  const stateDir = join(folder, 'state');
  const repository = join(folder, 'repository');
  const installed = join(folder, 'installs');
  await makeRepository(repository, installed);
  const [adminPort, port] = [await freePort(), await freePort()];
  const { adminUrl } = await startCaddy({ stateDir, adminPort });
  const url = `http://127.0.0.1:${port}`;
  const settings = parseSettings(
    {
      people: [{ name: 'responder', roles: ['approver'] }],
      ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
      approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
      services: [
        {
          name: on.service,
          environments: {
            [on.environment]: {
              url,
              releases: {
                repository,
                install: ['node', 'install.mjs'],
                start: ['node', 'server.mjs'],
                instances: 2,
                server: 'tiny-production',
                listen: `127.0.0.1:${port}`,
                env: { GREETING: 'hello' },
              },
            },
          },
        },
      ],
    },
    {},
  );
  const variables = {
    HOLDFAST_STATE_DIR: stateDir,
    CADDY_ADMIN_URL: adminUrl,
    HOLDFAST_CODE_SECRET: 'x',
    BACKUP_DB_URL: 'x',
    MIGRATIONS_DB_URL: 'x',
    PATH: process.env['PATH'],
  };
  const activities = createActivities(variables, settings);
  const state = async () =>
    JSON.parse(await readFile(join(stateDir, 'releases', on.service, on.environment, 'state.json'), 'utf8')) as {
      history: { key: string }[];
    };
  return {
    stateDir,
    url,
    adminUrl,
    settings,
    run: (name, argument) =>
      new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(
        (of: never) => activities[name](of),
        argument as never,
      ) as never,
    releasesAt: (elsewhere) =>
      new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(() =>
        createActivities({ ...variables, CADDY_ADMIN_URL: elsewhere }, settings).recentReleases(on),
      ),
    body: async (path = '/') => await (await fetch(`${url}${path}`)).text(),
    switches: async () => (await state()).history.map(({ key }) => key),
    instances: async () =>
      (await listProcesses(stateDir)).map(({ name }) => name).filter((name) => name.startsWith('tiny-')),
    installs: async () => (await readFile(installed, 'utf8')).length,
    async end() {
      for (const { name } of await listProcesses(stateDir)) await endProcess(stateDir, name, 2000);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** v1, v2 and v3 are good and have one lock file; `broken` ends at once. */
async function makeRepository(path: string, installed: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const git = (...args: string[]) =>
    runCommand({
      command: 'git',
      args: ['-C', path, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args],
    });
  await git('init', '--quiet', '--initial-branch=main');
  await writeFile(join(path, 'package-lock.json'), '{}');
  await writeFile(join(path, 'install.mjs'), INSTALL(installed));
  for (const version of ['v1', 'v2', 'v3', 'broken']) {
    await writeFile(join(path, 'server.mjs'), SERVER(version, version === 'broken'));
    await git('add', '.');
    await git('commit', '--quiet', '-m', version);
    await git('tag', version);
  }
}
