/**
 * A worker over a simulated world, with the log of the real one, in which a system answers with text of a stranger:
 * `node stranger-worker.ts <address> <task queue> <text as JSON>`.
 */
import { NativeConnection, Worker } from '@temporalio/worker';
import * as configuration from '../../activities/configuration.ts';
import { createSimulator } from '../../activities/simulator.ts';
import { loadConfig } from '../../src/config.ts';
import { failure } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { installRuntime } from '../../workers/telemetry.ts';
import { settings } from './settings.ts';

const [address = '', taskQueue = '', text = '""'] = process.argv.slice(2);
const config = loadConfig();
const log = createLog('worker', config);
installRuntime(config, settings, log);
const configured = configuration.createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, settings);
const { ports } = createSimulator({
  policy: (scope) => configured.policy(scope),
  httpHealth: async () => {
    throw failure('NotFound', JSON.parse(text) as string);
  },
});
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue,
  workflowBundle: await workflowBundle('.holdfast'),
  activities: ports,
  sinks: { failures: { workflowFailed: { fn: () => undefined } } },
});
await worker.run();
