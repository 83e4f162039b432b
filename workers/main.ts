/**
 * The worker: configuration → activities → Temporal. `npm run worker -- [--task-queue <name>]`; of a task queue that environments
 * name it is the runner.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { openAudit } from '../src/audit.ts';
import { assertNoFaults, cannotStart, loadConfig, loadSettings } from '../src/config.ts';
import { REACHING } from '../src/contracts/index.ts';
import { createLog } from '../src/log.ts';
import { openMetrics, sharedWithRecord } from '../src/production.ts';
import { strayCredentials } from '../src/runner-credentials.ts';
import { createTracing } from '../src/tracing.ts';
import { composeActivities, describe } from './activities.ts';
import { auditRunners } from './auditing.ts';
import { workflowBundle } from './bundle.ts';
import { startDigests, startDrills } from './digests.ts';
import { startMonitors } from './monitors.ts';
import { createLaboratories } from './laboratories.ts';
import { createRunner, settingsOfRunner } from './runners.ts';
import { failureSinks, startSentry } from './sentry.ts';
import { activityInterceptors, installRuntime } from './telemetry.ts';
import { TUNING } from './tuning.ts';
import { buildIdOf, useFirstBuild, versioned } from './versioning.ts';

const RECONNECT_MS = 2000;

/** What the worker needs before it meets Temporal; says which systems it found. */
async function prepare() {
  const config = loadConfig();
  assertNoFaults(config, openMetrics(config));
  const settings = await loadSettings(config);
  const log = createLog('worker', config);
  const { values } = parseArgs({ options: { 'task-queue': { type: 'string', default: config.HOLDFAST_TASK_QUEUE } } });
  const taskQueue = values['task-queue'];
  const own = settingsOfRunner(settings, taskQueue, config);
  const composed = own === undefined ? composeActivities(config, settings) : composeActivities(config, own, REACHING);
  for (const line of describe(composed)) log.info(line);
  for (const shared of sharedWithRecord(config.env)) log.warn(`warning: ${shared}`);
  if (own === undefined)
    for (const { says, remedy } of strayCredentials(config.env, settings)) log.warn(`warning: ${says}: ${remedy}`);
  const { activities } = composed;
  const { HOLDFAST_STATE_DIR: stateDir, temporal } = config;
  const bundle = own === undefined ? await workflowBundle(stateDir, temporal.dataConverter) : undefined;
  return { config, settings, log, activities, taskQueue, bundle };
}

const { config, settings, log, activities, taskQueue, bundle } = await prepare().catch(cannotStart);
startSentry(config.SENTRY_DSN, 'holdfast', config.temporal.redact);
try {
  installRuntime(config, settings, log);
} catch (error) {
  cannotStart(error); // its metrics' port is taken
}

const tracing = createTracing('worker', config, log.warn);
const trail = { audit: openAudit(config.HOLDFAST_STATE_DIR), log: log.warn };
const interceptors = activityInterceptors(config, { tracing, trail });
const { address, namespace, dataConverter } = config.temporal;
/** There while this worker serves, for whoever watches its health. */
const readyFile = join(config.HOLDFAST_STATE_DIR, `worker.${hostname()}.ready`);
let stopping = false;

/** The build of the control plane's workers, where they are versioned. */
const build = bundle !== undefined && config.HOLDFAST_VERSIONING === '1' ? buildIdOf(bundle) : undefined;

async function createWorkers(connection: NativeConnection): Promise<Worker[]> {
  if (bundle === undefined) return [await createRunner({ connection, config, activities, taskQueue, interceptors })];
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    dataConverter,
    workflowBundle: bundle,
    activities,
    sinks: { ...failureSinks, ...auditRunners(trail, config.temporal.redact) },
    interceptors: { activity: interceptors },
    ...TUNING,
    ...(build !== undefined && versioned(bundle)),
  });
  return [worker, ...(await createLaboratories({ connection, config, settings, activities, interceptors }))];
}

/** The runs that never end, where they are not there yet. */
async function startEntities(client: Client): Promise<void> {
  if (bundle === undefined) return;
  if (build !== undefined && (await useFirstBuild(client, build, log.warn)))
    log.info(`new runs begin on ${build}, the first build`);
  await startMonitors(client, taskQueue, settings);
  await startDigests(client, taskQueue, settings);
  await startDrills(client, taskQueue, settings);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (stopping = true));
for (;;) {
  try {
    const connection = await NativeConnection.connect(config.temporal.connection);
    try {
      const workers = await createWorkers(connection);
      const running = workers.map((one) => one.run());
      try {
        await startEntities(new Client({ connection, namespace, dataConverter }));
        mkdirSync(config.HOLDFAST_STATE_DIR, { recursive: true });
        writeFileSync(readyFile, '');
        log.info(`worker ready on task queue ${taskQueue}${build === undefined ? '' : ` as build ${build}`}`);
        await Promise.all(running);
      } finally {
        for (const one of workers) if (one.getState() === 'RUNNING') one.shutdown();
        await Promise.allSettled(running);
      }
    } finally {
      rmSync(readyFile, { force: true });
      await connection.close();
    }
  } catch (error) {
    log.error(`worker: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (stopping) break;
  log.warn(`worker: Temporal at ${address} is away, again in ${RECONNECT_MS / 1000} s`);
  await sleep(RECONNECT_MS);
}
await tracing.stop();
process.exit(0);
