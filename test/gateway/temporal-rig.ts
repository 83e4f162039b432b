import { Client, Connection } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { endProcess } from '../../src/processes.ts';
import type { Counted } from './counting-workflows.ts';
import { scratch } from './rig.ts';

export const TASK_QUEUE = 'holdfast';
const RUNNING = "ExecutionStatus = 'Running'";

/** A real Temporal with a worker that runs `counting-workflows.ts`, or what it is given. */
export async function startTemporalRig(
  of: Pick<WorkerOptions, 'workflowBundle' | 'activities' | 'sinks' | 'maxConcurrentActivityTaskExecutions'> = {},
) {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  const folder = scratch();
  const { stateDir } = folder;
  const [port, uiPort] = [await freePort(), await freePort()];
  const start = () => startTemporal({ stateDir, port, uiPort });
  const { address } = await start();
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const native = await NativeConnection.connect({ address });
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
  const counting = () =>
    bundleWorkflowCode({ workflowsPath: require.resolve('./counting-workflows.ts'), logger: quiet });
  const worker = await Worker.create({
    connection: native,
    taskQueue: TASK_QUEUE,
    ...of,
    workflowBundle: of.workflowBundle ?? (await counting()),
  });
  const running = worker.run();

  const runs = async (query: string) => {
    const found = [];
    for await (const run of client.workflow.list({ query })) found.push(run);
    return found;
  };
  return {
    address,
    client,
    stop: () => endProcess(stateDir, 'temporal'),
    start,
    counted: (workflowId: string) => client.workflow.getHandle(workflowId).query<Counted>('counted'),
    /** How many runs a workflow id has had; it is read from visibility, which follows within a second. */
    runsOf: async (workflowId: string) => (await runs(`WorkflowId = '${workflowId}'`)).length,
    exists: (workflowId: string) =>
      client.workflow
        .getHandle(workflowId)
        .describe()
        .then(
          () => true,
          () => false,
        ),
    async finish(workflowId: string) {
      const handle = client.workflow.getHandle(workflowId);
      await handle.signal('finish');
      await handle.result();
    },
    /** Nothing stays open for the next test. */
    async clear() {
      while (true) {
        const open = await runs(RUNNING);
        if (open.length === 0) return;
        await Promise.all(
          open.map(({ workflowId }) =>
            client.workflow
              .getHandle(workflowId)
              .terminate()
              .catch(() => undefined),
          ),
        );
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async [Symbol.asyncDispose]() {
      worker.shutdown();
      await running;
      await native.close();
      await connection.close();
      await endProcess(stateDir, 'temporal');
      await folder[Symbol.asyncDispose]();
    },
  };
}

export type TemporalRig = Awaited<ReturnType<typeof startTemporalRig>>;
