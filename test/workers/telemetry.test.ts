/** What a worker counts of what it does to people and to the world, as Prometheus reads it. */
import { CancelledFailure } from '@temporalio/common';
import { Client, Connection } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import { openAudit } from '../../src/audit.ts';
import { loadConfig } from '../../src/config.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { failure } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { createTracing } from '../../src/tracing.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { activityInterceptors, installRuntime } from '../../workers/telemetry.ts';
import { settings } from '../activities/settings.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

let metrics = '';
const config = () => loadConfig({ HOLDFAST_STATE_DIR: stateDir, HOLDFAST_WORKER_METRICS: metrics });
beforeAll(async () => {
  metrics = `127.0.0.1:${await freePort()}`;
  installRuntime(config(), settings, createLog('worker', config()));
});

/** Series of a metric with these labels, each with its value. */
async function counted(name: string, labels: Record<string, string>): Promise<number[]> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`))
    .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
    .map((line) => Number(line.split(' ').at(-1)));
}
const effects = (kind: string, result: string) => counted('holdfast_effects_total', { kind, result });

it('counts what deployments do to the world as effects, from zero on, and what was called back as no failure', async () => {
  const run = async (activityType: string, does: () => Promise<unknown>) => {
    const interceptors = activityInterceptors(config(), {
      tracing: createTracing('worker', config(), () => undefined),
      trail: { audit: openAudit(stateDir), log: () => undefined },
    });
    const order = { service: 'shop', environment: 'production', key: 'deployment#1' };
    await new MockActivityEnvironment({ activityType }, { interceptors }).run(does, order).catch(() => undefined);
  };
  expect(await effects('migrate', 'failed')).toEqual([0]);
  await run('release', async () => ({ changed: true }));
  await run('shiftTraffic', async () => ({ changed: true }));
  await run('migrate', () => Promise.reject(failure('Refused', 'a migration fails')));
  await run('release', () => Promise.reject(new CancelledFailure('the deployment was stopped')));
  await run('smokeTests', async () => ({ passed: true }));
  await until(async () => (await effects('release', 'cancelled'))[0] === 1);
  expect(await effects('release', 'done')).toEqual([1]);
  expect(await effects('release', 'failed')).toEqual([0]);
  expect(await effects('shift-traffic', 'done')).toEqual([1]);
  expect(await effects('migrate', 'failed')).toEqual([1]);
  expect((await counted('holdfast_effects_total', {})).reduce((sum, one) => sum + one, 0)).toBe(4);
});

it('counts a page that none of the channels of a person took, but not the attempts before one did', async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const connection = await NativeConnection.connect({ address });
  const { ports, pages } = createSimulator();
  let attempts = 0;
  let away = true;
  const page: typeof ports.page = async (sent) => {
    attempts += 1;
    if (away) throw failure('NotAllowed', 'no channel takes it');
    if (attempts % 2 === 1) throw failure('Unavailable', 'away for a moment');
    await ports.page(sent);
  };
  const worker = await Worker.create({
    connection,
    taskQueue: 'holdfast',
    workflowBundle: await workflowBundle(stateDir, config().temporal.dataConverter),
    activities: { ...ports, page },
  });
  const client = await Connection.connect({ address });
  const unreached = async () =>
    (await counted('holdfast_pages_unreached_total', {})).reduce((sum, one) => sum + one, 0);
  await worker.runUntil(async () => {
    const triage = (service: string) =>
      new Client({ connection: client }).workflow.start('triage', {
        workflowId: `incident.${service}.triage`,
        taskQueue: 'holdfast',
        args: [
          {
            service,
            environment: 'production',
            severity: 'critical',
            summary: 'nobody knows',
            openedAt: new Date().toISOString(),
            openedBy: 'alert:test',
          },
        ],
      });
    await triage('lost');
    await until(async () => (await unreached()) === 1);
    [attempts, away] = [0, false];
    await triage('reached');
    await until(() => pages.length > 0);
  });
  expect(await unreached()).toBe(1);
  await client.close();
  await connection.close();
}, 120_000);
