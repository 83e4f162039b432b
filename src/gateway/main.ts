/** The gateway: alerts in, durable before they are answered, then to Temporal. `npm run gateway`. */
import { serve } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import { loadConfig, loadSettings } from '../config.ts';
import { runbookCatalogue } from '../runbook/catalogue.ts';
import * as workflows from '../../workflows/index.ts';
import { createApp } from './app.ts';
import { startDispatcher } from './dispatcher.ts';
import { home } from './home.ts';
import { openInbox } from './inbox.ts';
import * as sources from './sources/index.ts';

const KEEP_MS = 14 * 24 * 60 * 60 * 1000;
const config = loadConfig();
const settings = await loadSettings(config);
const inbox = openInbox(config.HOLDFAST_STATE_DIR);
inbox.prune(new Date(Date.now() - KEEP_MS));

const lazy = Connection.lazy({ address: config.TEMPORAL_ADDRESS });
const temporal = new Client({ connection: lazy, namespace: config.TEMPORAL_NAMESPACE });
const client = () => Promise.resolve(temporal);
const log = (line: string): void => console.error(line);
const dispatcher = startDispatcher({ inbox, client, taskQueue: config.HOLDFAST_TASK_QUEUE, log });
const app = createApp({
  settings,
  runbooks: runbookCatalogue(workflows),
  sources: Object.values(sources),
  env: config.env,
  inbox,
  dispatcher,
  home: () => home({ client, uiUrl: config.HOLDFAST_TEMPORAL_UI_URL, namespace: config.TEMPORAL_NAMESPACE }),
  log,
});
for (const source of Object.values(sources))
  if (!config.env[source.secret]) log(`gateway: /alerts/${source.name} is closed: set ${source.secret} to open it`);

const server = serve(
  { fetch: app.fetch, hostname: config.HOLDFAST_GATEWAY_HOST, port: config.HOLDFAST_GATEWAY_PORT },
  ({ port }) => console.log(`gateway ready on http://${config.HOLDFAST_GATEWAY_HOST}:${port}`),
);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    server.close();
    void dispatcher.stop().then(() => {
      inbox.close();
      process.exit(0);
    });
  });
