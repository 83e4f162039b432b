import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import type { Config } from '../config.ts';
import type { Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import { createApp } from './app.ts';
import { withinDeadline } from './deliver.ts';
import { startDispatcher } from './dispatcher.ts';
import { home } from './home.ts';
import { openInbox } from './inbox.ts';
import { assertRoutes } from './routing.ts';
import type { AlertSource } from './source.ts';

const HOUR_MS = 60 * 60 * 1000;
const KEPT_MS = 14 * 24 * HOUR_MS;
const GRACE_MS = 5000;
const READY_MS = 500;

/** @throws Error that names each secret that cannot be one; its value is not shown. */
function assertSecrets(sources: AlertSource[], env: Config['env']): void {
  const wrong = sources.filter(({ secret, secretForm }) => env[secret] && secretForm?.test(env[secret]) === false);
  if (wrong.length > 0)
    throw new Error(`Cannot start, not of the form they need: ${wrong.map(({ secret }) => secret).join(', ')}`);
}

/**
 * Start the gateway: alerts in, durable before they are answered, then to Temporal, which may be away. Resolves when it listens.
 * `stop` answers what has begun, lets what is being sent arrive, and leaves the rest in the inbox.
 * @throws Error when the configuration is wrong or the port is taken.
 */
export async function startGateway(of: {
  config: Config;
  settings: Settings;
  runbooks: CatalogueEntry[];
  sources: AlertSource[];
  log: (line: string) => void;
}): Promise<{ url: string; stop: () => Promise<void> }> {
  const { config, settings, runbooks, sources, log } = of;
  assertRoutes(settings, runbooks);
  assertSecrets(sources, config.env);
  for (const { name, secret } of sources)
    if (!config.env[secret]) log(`gateway: /alerts/${name} is closed: set ${secret} to open it`);

  const inbox = openInbox(config.HOLDFAST_STATE_DIR);
  const prune = (): void => {
    try {
      inbox.prune(new Date(Date.now() - KEPT_MS));
    } catch (error) {
      log(`gateway: the inbox could not be pruned: ${String(error)}`);
    }
  };
  prune();
  const pruning = setInterval(prune, HOUR_MS);
  const connection = Connection.lazy({
    address: config.TEMPORAL_ADDRESS,
    interceptors: [], // without the SDK's own retries, which nothing can end: the dispatcher tries again itself
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 500, 'grpc.max_reconnect_backoff_ms': 2000 },
  });
  const client = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
  const dispatcher = startDispatcher({ inbox, client, taskQueue: config.HOLDFAST_TASK_QUEUE, log });
  const app = createApp({
    settings,
    runbooks,
    sources,
    env: config.env,
    inbox,
    dispatcher,
    home: () => home({ client, namespace: config.TEMPORAL_NAMESPACE, uiUrl: config.HOLDFAST_TEMPORAL_UI_URL }),
    temporalAnswers: () =>
      withinDeadline(client, () => connection.workflowService.getSystemInfo({}), READY_MS).then(
        () => true,
        () => false,
      ),
    log,
  });

  const { HOLDFAST_GATEWAY_HOST: hostname, HOLDFAST_GATEWAY_PORT: port } = config;
  const server = createAdaptorServer({ fetch: app.fetch, hostname }) as Server;
  const stop = async (): Promise<void> => {
    const forced = setTimeout(() => server.closeAllConnections(), GRACE_MS);
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    clearTimeout(forced);
    clearInterval(pruning);
    await dispatcher.stop();
    inbox.close();
    await connection.close();
  };
  try {
    await new Promise<void>((resolve, reject) => void server.once('error', reject).listen(port, hostname, resolve));
  } catch (error) {
    await stop();
    throw new Error(`Cannot listen on ${hostname}:${port}: set HOLDFAST_GATEWAY_PORT to a free port`, { cause: error });
  }
  const address = server.address();
  const listening = address === null || typeof address === 'string' ? port : address.port;
  return { url: `http://${hostname}:${listening}`, stop };
}
