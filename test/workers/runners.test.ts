import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import * as providers from '../../activities/index.ts';
import { checkTemporal } from '../../src/cli/doctor/temporal.ts';
import { loadConfig } from '../../src/config.ts';
import { REACHING, type Settings, type Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { REACHING_CREDENTIALS } from '../../src/runner-credentials.ts';
import { findProcess, lastLines, startProcess } from '../../src/processes.ts';
import { composeActivities } from '../../workers/activities.ts';
import { settingsOfRunner } from '../../workers/runners.ts';
import { settings as shop } from '../activities/settings.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { incident } from '../support/skipped-time.ts';

const RUNNER = 'shop-production';
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

/** The shop, whose production has a runner. */
const settings: Settings = {
  ...shop,
  services: shop.services.map(({ name, environments }) => ({
    name,
    environments: Object.fromEntries(
      Object.entries(environments).map(([environment, of]) => [
        environment,
        environment === 'production' ? { ...of, taskQueue: RUNNER, database: { ...of.database, pool: 'app' } } : of,
      ]),
    ),
  })),
};
const config = loadConfig({ HOLDFAST_STATE_DIR: '/nonexistent' });

it('gives a runner its own environments, and refuses a task queue that none of them names', () => {
  expect(settingsOfRunner(settings, 'holdfast', config)).toBeUndefined();
  const own = settingsOfRunner(settings, RUNNER, config);
  expect(own?.services.map(({ environments }) => Object.keys(environments))).toEqual([['production']]);
  expect(() => settingsOfRunner(settings, 'shop-prod', config)).toThrow('names the task queue "shop-prod"');
});

it('serves with a runner what reaches into an environment, and nothing else', () => {
  const { activities, registered } = composeActivities(config, settings, REACHING);
  expect(Object.keys(activities).sort()).toEqual([...REACHING].sort());
  expect(registered).toEqual(expect.arrayContaining(['metrics', 'probes']));
  expect(registered).not.toEqual(expect.arrayContaining(['serviceControl']));
});

it('knows every credential by which a provider reaches into an environment', () => {
  const url = 'postgres://u:p@127.0.0.1:1/shop';
  const credentials = Object.fromEntries(Object.keys(REACHING_CREDENTIALS).map((name) => [name, url]));
  const env = { ...credentials, SUPABASE_URL: 'http://127.0.0.1:1', BACKUP_DIR: '/nonexistent' };
  const { registered, missing } = composeActivities({ ...config, env }, settings, REACHING);
  expect(missing).toEqual([]);
  const schemas = Object.entries(providers).filter(([name]) => registered.includes(name));
  const variables = new Set(schemas.flatMap(([, { env: schema }]) => Object.keys(schema.shape)));
  const places = /^HOLDFAST_|_DIR$|^SUPABASE(_MANAGEMENT)?_URL$/;
  expect([...variables].filter((name) => !places.test(name)).sort()).toEqual(Object.keys(REACHING_CREDENTIALS).sort());
});

it('reads with the credentials of an environment that its runner alone has', async () => {
  const keys: unknown[] = [];
  const supabase = createServer((request, response) => {
    keys.push(request.headers['apikey']);
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => void supabase.listen(0, '127.0.0.1', resolve));
  const { port } = supabase.address() as AddressInfo;
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const file = join(stateDir, 'holdfast.config.mjs');
  writeFileSync(file, `export default ${JSON.stringify(settings)};`);
  const start = async (name: string, args: string[], own: Record<string, string>) => {
    const env = { HOLDFAST_STATE_DIR: join(stateDir, name), HOLDFAST_CONFIG: file, TEMPORAL_ADDRESS: address, ...own };
    const { logFile } = await startProcess({
      stateDir,
      name,
      command: process.execPath,
      args: ['workers/main.ts', ...args],
      env,
    });
    await until(async () => {
      if ((await findProcess(stateDir, name)) === undefined) throw new Error(await lastLines(logFile));
      return (await lastLines(logFile)).includes('worker ready');
    });
    return logFile;
  };
  const stray = { PGBOUNCER_ADMIN_URL: 'postgres://pool_admin@127.0.0.1:1/pgbouncer' };
  const control = await start('control', [], { HOLDFAST_VERSIONING: '1', ...stray });
  const credentials = {
    SUPABASE_URL: `http://127.0.0.1:${port}`,
    SUPABASE_SECRET_KEY: 'a-key-that-the-runner-alone-has',
  };
  const runner = await start('runner', ['--task-queue', RUNNER], credentials);
  expect(await lastLines(control)).toMatch(/without a provider.*supabaseHealth[\s\S]* as build /);
  expect(await lastLines(control)).toContain(
    'PGBOUNCER_ADMIN_URL is set here, and only shop/production has a use for it',
  );
  expect(await lastLines(runner)).toContain(`worker ready on task queue ${RUNNER}`);

  const seen = await checkTemporal(loadConfig({ TEMPORAL_ADDRESS: address }), false, [RUNNER, 'nobody']);
  expect(seen.filter(({ check }) => check === 'runners').map(({ state }) => state)).toEqual(['ok', 'warning']);

  const connection = await Connection.connect({ address });
  const handle = await new Client({ connection }).workflow.start('highErrorRate', {
    workflowId: 'incident.shop.high-error-rate',
    taskQueue: 'holdfast',
    args: [incident()],
  });
  const read = async () =>
    (await handle.query<Status>('status')).findings.find(({ check }) => check === 'Supabase connectivity');
  await until(async () => (await read()) !== undefined);
  expect(await read()).toMatchObject({ verdict: 'ok' });
  expect(keys).toContain('a-key-that-the-runner-alone-has');
  const { events = [] } = await handle.fetchHistory();
  const queues = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityType?.name === 'supabaseHealth' ? [scheduled.taskQueue?.name] : [],
  );
  expect(queues).toEqual([RUNNER]);
  await connection.close();
  supabase.close();
}, 180_000);
