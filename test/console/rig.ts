import { generateKeyPairSync } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import * as configuration from '../../activities/configuration.ts';
import { createSimulator } from '../../activities/simulator.ts';
import { loadConfig } from '../../src/config.ts';
import { openStore } from '../../src/console/store.ts';
import type { Incident, Settings, Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import * as sources from '../../src/gateway/sources/index.ts';
import { endProcess } from '../../src/processes.ts';
import { incidentId } from '../../src/runbook/catalogue.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { runbooks, scratch } from '../gateway/rig.ts';
import { until } from '../support/until.ts';
import { settings as defaults } from './settings.ts';
import { visitor } from './visitor.ts';

/** What workers and their workflows have warned of, in this process. */
const warned: string[] = [];
Runtime.install({
  logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
    if (level === 'WARN') warned.push(message);
    else console.error(message, meta);
  }),
  telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
});

const TASK_QUEUE = 'holdfast';

/** A real Temporal with a worker over a simulated world, and before it a gateway with its console. */
export async function startConsole(
  of: {
    env?: Record<string, string>;
    ports?: Partial<Ports>;
    settings?: Settings;
    bundle?: { code: string };
  } = {},
) {
  const { settings = defaults } = of;
  const folder = scratch();
  const { stateDir } = folder;
  const keys = generateKeyPairSync('ed25519');
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64');
  const { address, uiUrl } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const config = loadConfig({
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_GATEWAY_PORT: '0',
    TEMPORAL_ADDRESS: address,
    HOLDFAST_TEMPORAL_UI_URL: uiUrl,
    HOLDFAST_DECISION_KEY_ID: 'test',
    HOLDFAST_DECISION_PRIVATE_KEY: keys.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    ...of.env,
  });
  const configured = configuration.createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: `test=${publicKey}` }, settings);
  const simulator = createSimulator({ policy: (scope) => configured.policy(scope), ...of.ports });
  const native = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection: native,
    taskQueue: TASK_QUEUE,
    workflowBundle: of.bundle ?? (await workflowBundle('.holdfast')),
    activities: simulator.ports,
    sinks: { failures: { workflowFailed: { fn: () => undefined } } },
  });
  const running = worker.run();
  const client = new Client({ connection: await Connection.connect({ address }) });
  const logged: string[] = [];
  const gateway = await startGateway({
    config,
    settings,
    runbooks,
    sources: Object.values(sources), // each closed without its secret
    log: (line) => void logged.push(line),
  });
  const store = openStore(stateDir);
  const { url } = gateway;
  const status = (workflowId: string, runId?: string): Promise<Status> =>
    client.workflow.getHandle(workflowId, runId).query<Status>('status');

  return {
    url,
    stateDir,
    client,
    config,
    settings,
    store,
    simulator,
    logged,
    warned,
    status,
    /** Somebody whose session is open already. */
    visitor: (person: string) => visitor(url, store.openSession(person, `${person}@example.com`)),
    /** An incident that waits for a decision. */
    async waiting(change: Partial<Incident> = {}): Promise<Status> {
      const scope = { service: 'shop', environment: 'production', ...change };
      Object.assign(simulator.world, { running: 'v2', previous: 'v1', errorRatio: 0.2 });
      const workflowId = incidentId(scope, 'high-error-rate');
      const incident: Incident = {
        severity: 'critical',
        summary: '20 % of the requests fail',
        openedAt: new Date().toISOString(),
        openedBy: 'alert:test',
        ...scope,
      };
      const args: [Incident] = [incident];
      const { firstExecutionRunId: runId } = await client.workflow.start('highErrorRate', {
        workflowId,
        taskQueue: TASK_QUEUE,
        args,
      });
      let found: Status | undefined;
      await until(async () => {
        found = await status(workflowId, runId);
        return found.phase === 'waiting' && found.waitingFor.length > 0;
      });
      return found as Status;
    },
    /** The run to its end, as it may be read then. */
    async ended({ workflowId, runId }: Status): Promise<Status> {
      await client.workflow.getHandle(workflowId, runId).result();
      let found: Status | undefined;
      await until(async () => {
        found = await status(workflowId, runId).catch(() => undefined); // a worker that is late is asked again
        return found !== undefined;
      });
      return found as Status;
    },
    async [Symbol.asyncDispose]() {
      store.close();
      await gateway.stop();
      worker.shutdown();
      await running;
      await native.close();
      await client.connection.close();
      await endProcess(stateDir, 'temporal');
      await folder[Symbol.asyncDispose]();
    },
  };
}
export type ConsoleRig = Awaited<ReturnType<typeof startConsole>>;

export const pathOf = ({ workflowId, runId }: Status): string => `/runs/${workflowId}/${runId}`;
