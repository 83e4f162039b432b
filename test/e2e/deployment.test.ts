/** Deployments of the sample shop on every real part: git, a pipeline, Postgres and its backups, releases behind Caddy, traffic. */
import { existsSync, mkdirSync, readFileSync, readdirSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client as Database } from 'pg';
import { makeRepository } from '../../examples/shop/make-repository.ts';
import type { Status, Step } from '../../src/contracts/index.ts';
import { PARTS } from '../../src/embedded/platform.ts';
import { endProcess, lastLines, startProcess } from '../../src/processes.ts';
import { during, isWaiting, ROOT, startPlatform, type PlatformRig } from './rig.ts';

const PRODUCTION = 'deployment.shop.production';
const parts = PARTS.filter((part) => part !== 'bugsink'); // the longest to start, and not asked here
let rig: PlatformRig;

beforeAll(async () => {
  rig = await startPlatform(parts);
  await makeRepository(rig.platform['SHOP_REPOSITORY'] ?? '');
  writeFileSync(rig.platform['SHOP_FLAGS_FILE'] ?? '', JSON.stringify({ flags: {} }));
}, 240_000);
afterAll(() => rig.end(), 90_000);

const failed = (exitCode: number, text: string) => ({
  message: expect.stringContaining(text),
  cause: expect.objectContaining({ exitCode }),
});
const STAGING = 'deployment.shop.staging';
const ROLLBACK = 'rollback.shop.production';
const stage = (ref: string) => rig.cli('deploy', 'shop', 'staging', '--as', 'responder', '--ref', ref);
/** Deploy what was verified in staging last; approved by the lead. */
async function deploy(of: { refused?: boolean; meanwhile?: (status: Status) => Promise<void> } = {}): Promise<Status> {
  const before = await rig.lastRun(PRODUCTION);
  const command = rig.cli('deploy', 'shop', 'production', '--as', 'responder', '--json').catch((error: Error) => error);
  const asked = await during(command, rig.statusOnce(PRODUCTION, isWaiting, before));
  await rig.cli('approve', PRODUCTION, '--as', 'lead', '--proposal', asked.proposal?.digest ?? '');
  await of.meanwhile?.(asked);
  await command;
  return await rig.statusOnce(PRODUCTION, ({ outcome }) => outcome !== undefined, before);
}
const served = async (): Promise<string> => {
  const response = await fetch(`http://127.0.0.1:${rig.env['SHOP_PORT']}/healthz`);
  return ((await response.json()) as { version: string }).version;
};
/** The switches of traffic that the provider has noted for a run. */
const switches = (runId: string, environment = 'production'): string[] =>
  rig
    .releases(environment)
    .done.map(({ key }) => key)
    .filter((key) => key.includes(runId))
    .map((key) => key.split(':').at(-1) ?? '')
    .sort();
/** As soon as the provider has noted that switch for a run. */
const switched = (runId: string, name: string) => rig.releasesOnce(() => switches(runId).includes(name));
const migrations = async (): Promise<string[]> => {
  const database = new Database({ connectionString: rig.platform['MIGRATIONS_DB_URL'] });
  await database.connect();
  const { rows } = await database.query<{ version: string }>(
    'select version from supabase_migrations.schema_migrations order by 1',
  );
  await database.end();
  return rows.map(({ version }) => version);
};
/** Visitors until the end of `act`; what they saw. */
async function visited<T>(act: () => Promise<T>): Promise<{ result: T; seen: string }> {
  const args = ['examples/shop/traffic.ts', '--url', `http://127.0.0.1:${rig.env['SHOP_PORT']}`, '--rate', '30'];
  const { logFile } = await startProcess({
    stateDir: rig.stateDir,
    name: 'visitors',
    command: process.execPath,
    args,
    cwd: ROOT,
  });
  try {
    const result = await act();
    await endProcess(rig.stateDir, 'visitors');
    return { result, seen: await lastLines(logFile) };
  } finally {
    await endProcess(rig.stateDir, 'visitors');
  }
}
const backups = (): string => join(rig.stateDir, 'backups', 'shop', 'production');
/** Another byte in the middle of the dump of a run, as soon as it is there. */
async function spoilt(runId: string): Promise<void> {
  mkdirSync(backups(), { recursive: true });
  const whole = (folder: string): boolean =>
    folder.includes(runId) && existsSync(join(backups(), folder, 'manifest.json'));
  const find = (): string | undefined =>
    readdirSync(backups()).find((folder) => whole(folder) && !/\.[0-9a-f-]{36}$/.test(folder));
  await new Promise<void>((resolve) => {
    const watcher = watch(backups(), { recursive: true }, () => {
      const folder = find();
      if (folder === undefined) return;
      watcher.close();
      const file = readdirSync(join(backups(), folder)).find((name) => name !== 'manifest.json') ?? '';
      const bytes = readFileSync(join(backups(), folder, file));
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 0xff, bytes.length >> 1);
      writeFileSync(join(backups(), folder, file), bytes);
      resolve();
    });
  });
}
/** kill -9 of the worker inside every step of a run that follows `before`; the names of the steps. */
async function killedInside(id: string, before: string): Promise<string[]> {
  const { steps = [] } = await rig.statusOnce(id, ({ steps: planned = [] }) => planned.length > 0, before);
  for (const { name } of steps) {
    const begun = ({ steps: now = [] }: Status) => now.some((one) => one.name === name && one.state !== 'planned');
    await rig.statusOnce(id, begun, before);
    await rig.killWorker();
  }
  return steps.map(({ name }) => name);
}
const stepsOf = ({ steps = [] }: Status) => Object.fromEntries(steps.map(({ name, state }) => [name, state]));

it('brings the first release through staging and production to verified good', async () => {
  await stage('v1');
  await expect(rig.cli('deploy', 'shop', 'production', '--as', 'responder', '--ref', 'v3')).rejects.toMatchObject(
    failed(5, 'never verified in staging'),
  );
  const { result } = await visited(() => deploy());
  expect(result).toMatchObject({ outcome: 'released', note: '1.0.0 runs in production and is verified good' });
  expect(await served()).toBe('1.0.0');
}, 240_000);

it('brings a release through staging though the worker is killed inside every step: every effect once', async () => {
  const before = await rig.lastRun(STAGING);
  const [killed] = await Promise.all([killedInside(STAGING, before), stage('v3')]);
  const result = await rig.status(STAGING);
  expect(result).toMatchObject({ outcome: 'released' });
  expect(stepsOf(result)).toEqual(Object.fromEntries(killed.map((name) => [name, 'done'])));
  expect(switches(result.runId, 'staging')).toEqual(['release']);
}, 300_000);

it('stops at a backup that the disk has spoilt, before anything of the database or the traffic has changed', async () => {
  const result = await deploy({
    async meanwhile({ runId }) {
      await spoilt(runId);
      const asked = await rig.statusOnce(PRODUCTION, ({ proposal }) => proposal?.action.kind === 'go-on', '');
      expect(asked.proposal?.options).toEqual(['retry']); // it cannot be left out
      await rig.cli('reject', PRODUCTION, '--as', 'lead', '--proposal', asked.proposal?.digest ?? '');
    },
  });
  expect(result).toMatchObject({ outcome: 'failed', note: expect.stringContaining('the traffic was not touched') });
  expect(stepsOf(result)).toMatchObject({
    'Create a backup and prove it': 'failed',
    'Migrate the database': 'planned',
  });
  expect(switches(result.runId)).toEqual([]);
  expect(await migrations()).toEqual(['0001']);
  expect(await served()).toBe('1.0.0');
}, 240_000);

it('brings a release with a migration to verified good by canary, though the worker is killed inside and after every step: every effect once', async () => {
  const killed: string[] = [];
  const { result, seen } = await visited(() =>
    deploy({
      async meanwhile({ steps = [] }) {
        expect(steps.length).toBeGreaterThan(8);
        for (const { name } of steps)
          for (const reached of [(state: string) => state !== 'planned', (state: string) => state === 'done']) {
            const is = ({ steps: now = [], outcome, proposal, timeline }: Status) => {
              if (outcome !== undefined || proposal?.action.kind === 'go-on') throw new Error(JSON.stringify(timeline));
              return now.some((one: Step) => one.name === name && reached(one.state));
            };
            await rig.statusOnce(PRODUCTION, is);
            await rig.killWorker();
            killed.push(name);
          }
      },
    }),
  );
  expect(killed.length).toBeGreaterThan(16);
  expect(result).toMatchObject({ outcome: 'released' });
  expect(Object.values(stepsOf(result)).every((state) => state === 'done')).toBe(true);
  expect(switches(result.runId)).toEqual(['canary-25', 'canary-5', 'release']);
  expect(await migrations()).toEqual(['0001', '0002']);
  expect(
    readdirSync(backups()).filter(
      (folder) => existsSync(join(backups(), folder, 'manifest.json')) && folder.includes(result.runId),
    ),
  ).toHaveLength(1);
  expect(seen).toMatch(/: 0 answered 5xx/);
}, 480_000);

it('takes a bad release back by itself at 5 % though the worker is killed in that moment, holds it, and fewer than a tenth of the requests ever saw it', async () => {
  await stage('v2');
  const { result, seen } = await visited(() =>
    deploy({ meanwhile: ({ runId }) => rig.killWorker(switched(runId, 'canary-away')) }),
  );
  expect(switches(result.runId)).toEqual(['canary-5', 'canary-away']);
  expect(result).toMatchObject({ outcome: 'rolled-back', note: expect.stringContaining('2.0.0 is worse than 3.0.0') });
  expect(stepsOf(result)).toMatchObject({
    'Canary with 5 % of the traffic': 'undone',
    'Canary with 25 % of the traffic': 'planned',
  });
  const answersOf = (version: string): number =>
    Number(new RegExp(`since 2.0.0 first answered:.* ${version} (\\d+)`).exec(seen)?.[1]);
  expect(answersOf('2.0.0')).toBeGreaterThan(0);
  expect(answersOf('2.0.0')).toBeLessThan((answersOf('2.0.0') + answersOf('3.0.0')) / 10);
  expect(await served()).toBe('3.0.0');
  await expect(rig.cli('deploy', 'shop', 'production', '--as', 'responder')).rejects.toMatchObject(
    failed(5, '2.0.0 is held'),
  );
}, 240_000);

it('refuses a release whose migration would take a column away, override or not', async () => {
  const command = [
    'deploy',
    'shop',
    'production',
    '--as',
    'responder',
    '--ref',
    'bad-migration',
    '--override',
    'in a hurry',
  ];
  await expect(rig.cli(...command)).rejects.toMatchObject(failed(5, '0003-drop-express would drop column'));
  expect(await migrations()).toEqual(['0001', '0002']);
});

it('gives no traffic to a release that ends at once, and returns to what ran when it is told to', async () => {
  const before = await rig.lastRun(STAGING);
  const command = stage('crash').catch((error: Error) => error);
  const asked = await during(command, rig.statusOnce(STAGING, isWaiting, before));
  expect(asked.proposal?.why.join()).toContain('PAYMENTS_URL is not set');
  await rig.cli('reject', STAGING, '--as', 'lead', '--proposal', asked.proposal?.digest ?? '');
  expect(await command).toMatchObject(failed(1, 'the traffic was not touched'));
  const health = await fetch(`http://127.0.0.1:${rig.env['SHOP_STAGING_PORT']}/healthz`);
  expect(await health.json()).toMatchObject({ version: '2.0.0' });
}, 120_000);

it('waits while the environment is frozen, and ends when a person stops it', async () => {
  await stage((await served()) === '3.0.0' ? 'v1' : 'v3'); // another than what runs
  await rig.cli('freeze', 'shop', 'production', '--as', 'cto', '--reason', 'audit');
  const before = await rig.lastRun(PRODUCTION);
  const command = rig.cli('deploy', 'shop', 'production', '--as', 'responder').catch((error: Error) => error);
  const asked = await during(command, rig.statusOnce(PRODUCTION, isWaiting, before));
  await rig.cli('approve', PRODUCTION, '--as', 'lead', '--proposal', asked.proposal?.digest ?? '');
  await rig.statusOnce(PRODUCTION, ({ doing }) => doing.includes('production is frozen by cto: audit'), before);
  await rig.cli('stop', PRODUCTION, '--as', 'lead');
  expect(await command).toMatchObject(failed(1, 'stopped'));
  await rig.cli('unfreeze', 'shop', 'production', '--as', 'cto');
}, 120_000);

it('rolls back to the last verified good version within seconds, and tells the figures', async () => {
  const { result } = await visited(() => rig.cli('rollback', 'shop', 'production', '--as', 'responder', '--json'));
  const status = JSON.parse(result.stdout) as Status;
  const at = (text: string) => Date.parse(status.timeline.find(({ what }) => what.startsWith(text))?.at ?? '');
  expect(status).toMatchObject({ outcome: 'released', note: '1.0.0 runs in production again instead of 3.0.0' });
  expect(await served()).toBe('1.0.0');
  expect(at('Revert the deployment:') - at('Begun: Roll')).toBeLessThan(30_000);
  const stats = JSON.parse((await rig.cli('stats', 'shop', '--json')).stdout) as { deliveries: object[] };
  expect(stats.deliveries).toMatchObject([
    {
      environment: 'production',
      deployments: 3,
      changeFailureRate: 2 / 3,
      leadTimeMs: expect.any(Number),
      timeToRestoreMs: expect.any(Number),
    },
  ]);
  expect((await rig.cli('deployments', 'shop')).stdout).toContain(
    'shop production: runs 1.0.0; verified good: 1.0.0, 3.0.0',
  );
}, 120_000);

it('rolls back to a version that is named though the worker is killed inside every step: the traffic changes once', async () => {
  const before = await rig.lastRun(ROLLBACK);
  const rollBack = () => rig.cli('rollback', 'shop', 'production', '--as', 'responder', '--to', '3.0.0', '--json');
  const { result } = await visited(() => Promise.all([killedInside(ROLLBACK, before), rollBack()]));
  const [killed, { stdout }] = result;
  const status = JSON.parse(stdout) as Status;
  expect(status).toMatchObject({ outcome: 'released', note: '3.0.0 runs in production again instead of 1.0.0' });
  expect(stepsOf(status)).toEqual(Object.fromEntries(killed.map((name) => [name, 'done'])));
  expect(switches(status.runId)).toEqual(['release']);
  expect(await served()).toBe('3.0.0');
}, 240_000);
