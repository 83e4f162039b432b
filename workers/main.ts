/** The worker: configuration → activities → Temporal. `npm run worker -- [--task-queue <name>]`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { cannotStart, loadConfig, loadSettings } from '../src/config.ts';
import { composeActivities, describe } from './activities.ts';
import { workflowBundle } from './bundle.ts';
import { startMonitors } from './monitors.ts';
import { failureSinks, reportActivityFailures, startSentry } from './sentry.ts';
import { TUNING } from './tuning.ts';

const RECONNECT_MS = 2000;

/** What the worker needs before it meets Temporal; says which systems it found. */
async function prepare() {
  const config = loadConfig();
  const settings = await loadSettings(config);
  const composed = composeActivities(config, settings);
  for (const line of describe(composed)) console.log(line);
  if (config.env['SUPABASE_URL'] !== undefined && config.env['SUPABASE_URL'] === config.env['RECORD_SUPABASE_URL'])
    console.log('warning: record and application share one Supabase; while it is down the record is behind');
  return { config, settings, activities: composed.activities, bundle: await workflowBundle(config.HOLDFAST_STATE_DIR) };
}

const { config, settings, activities, bundle } = await prepare().catch(cannotStart);
const { values } = parseArgs({ options: { 'task-queue': { type: 'string', default: config.HOLDFAST_TASK_QUEUE } } });
startSentry(config.SENTRY_DSN, 'holdfast');
Runtime.install({
  shutdownSignals: ['SIGINT', 'SIGTERM'],
  telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
});

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (stopping = true));
for (;;) {
  try {
    const connection = await NativeConnection.connect({ address: config.TEMPORAL_ADDRESS });
    try {
      const worker = await Worker.create({
        connection,
        namespace: config.TEMPORAL_NAMESPACE,
        taskQueue: values['task-queue'],
        workflowBundle: bundle,
        activities,
        sinks: failureSinks,
        interceptors: { activity: [reportActivityFailures] },
        ...TUNING,
      });
      const running = worker.run();
      await startMonitors(
        new Client({ connection, namespace: config.TEMPORAL_NAMESPACE }),
        config.HOLDFAST_TASK_QUEUE,
        settings,
      );
      console.log(`worker ready on task queue ${values['task-queue']}`);
      await running;
    } finally {
      await connection.close();
    }
  } catch (error) {
    console.error(`worker: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (stopping) break;
  console.error(`worker: Temporal at ${config.TEMPORAL_ADDRESS} is away, again in ${RECONNECT_MS / 1000} s`);
  await sleep(RECONNECT_MS);
}
process.exit(0);
