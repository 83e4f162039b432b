import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import { createNotifier } from '../channels/notifier.ts';
import { assertNoFaults, type Config } from '../config.ts';
import { createConsole } from '../console/console.ts';
import type { Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import type { Log } from '../log.ts';
import { createTracing } from '../tracing.ts';
import { createApp } from './app.ts';
import { keepAudit } from './audit-keeper.ts';
import { codecServer } from './codec-server.ts';
import { watchTemporal } from './away.ts';
import { acknowledge, ifThere, withinDeadline } from './deliver.ts';
import { startDispatcher } from './dispatcher.ts';
import { keepVitals } from './vitals.ts';
import { watchHeartbeats } from './heartbeats.ts';
import { createLead } from './lead.ts';
import { openEndpoints } from '../production.ts';
import { openInbox } from './inbox.ts';
import { assertNames } from './routing.ts';
import { listen } from './listen.ts';
import { createPager } from './pager.ts';
import { slackInteractions } from './slack.ts';
import type { AlertSource } from './source.ts';
import { createTeller } from './tell.ts';
import { startWatchdog } from './watchdog.ts';
import { deploymentWaker } from './waker.ts';

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
 * Start the gateway: alerts in, durable before they are answered, then to Temporal, which may be away. Several may share a state
 * folder on one machine; one of them leads. Resolves when it listens.
 * `stop` answers what has begun, lets what is being sent arrive, and leaves the rest in the inbox.
 * @throws Error when the configuration is wrong or the port is taken.
 */
export async function startGateway(of: {
  config: Config;
  settings: Settings;
  runbooks: CatalogueEntry[];
  sources: AlertSource[];
  log: Log;
  /** How long Temporal may be away before a person is paged. */
  pageAfterMs?: number;
}): Promise<{ url: string; stop: () => Promise<void> }> {
  const { config, settings, runbooks, sources, log } = of;
  const { HOLDFAST_STATE_DIR: stateDir } = config;
  const notifier = createNotifier({ ...config.env, HOLDFAST_STATE_DIR: stateDir }, settings);
  const { pageFirstLevel, counts: pages } = createPager({ settings, notifier, log });
  assertNames(settings, runbooks);
  assertSecrets(sources, config.env);
  assertNoFaults(config, openEndpoints(config));
  for (const { name, secret } of sources)
    if (!config.env[secret]) log(`gateway: /alerts/${name} is closed: set ${secret} to open it`);

  const inbox = openInbox(stateDir);
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
    ...config.temporal.connection,
    interceptors: [], // without the SDK's own retries, which nothing can end: the dispatcher tries again itself
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 500, 'grpc.max_reconnect_backoff_ms': 2000 },
  });
  const client = new Client({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    dataConverter: config.temporal.dataConverter,
  });
  const tracing = createTracing('gateway', config, log);
  const lead = createLead({ stateDir, log });
  const { leads } = lead;
  const tellAPerson = createTeller({ inbox, settings, runbooks });
  const taskQueue = config.HOLDFAST_TASK_QUEUE;
  const dispatcher = startDispatcher({ inbox, leads, client, taskQueue, log, tellAPerson, tracing });
  const heartbeats = watchHeartbeats({
    stateDir,
    settings,
    runbooks,
    inbox,
    leads,
    stored: dispatcher.wake,
    log,
  });
  const temporalAnswers = (ms?: number): Promise<boolean> =>
    withinDeadline(client, () => connection.workflowService.getSystemInfo({}), ms).then(
      () => true,
      () => false,
    );
  const { sending } = dispatcher;
  const asked = { temporalAnswers, sending };
  const away = watchTemporal({ stateDir, inbox, leads, pageFirstLevel, ...asked, log, afterMs: of.pageAfterMs });
  const watchdog = startWatchdog({ stateDir, leads, client, settings, pageFirstLevel, log });
  const vitals = keepVitals({ settings, env: config.env, log });
  const trail = keepAudit({ stateDir, env: config.env, leads, log });
  const access = { client, settings, config };
  const people = createConsole(access, log);
  const slack = slackInteractions(access, people.trail);
  const app = createApp({
    settings,
    runbooks,
    sources,
    env: config.env,
    inbox,
    dispatcher,
    tellAPerson,
    heartbeats,
    slack,
    wakeDeployments: deploymentWaker({ client, settings, log }),
    acknowledge: async (acknowledged) => void (await acknowledge(client, acknowledged).catch(ifThere)),
    vitals,
    seen: () => ({ watched: watchdog.watched(), pages }),
    console: people.app,
    temporalAnswers: () => temporalAnswers(READY_MS),
    log,
  });

  const { failureConverterPath: encrypted, payloadCodecs: codecs = [] } = config.temporal.dataConverter;
  const { HOLDFAST_CODEC_TOKEN: token } = config.env;
  if (encrypted !== undefined) {
    const { isReader } = people;
    app.route('/codec', codecServer({ codecs, token, uiUrl: config.HOLDFAST_TEMPORAL_UI_URL, isReader }));
  }

  const { HOLDFAST_GATEWAY_HOST: hostname, HOLDFAST_GATEWAY_PORT: port } = config;
  const listener = getRequestListener(app.fetch, { hostname });
  const server = createServer((request, response) => {
    if (vitals?.refusesAtOnce(request, response) !== true) void listener(request, response);
  });
  let front: Awaited<ReturnType<typeof listen>> | undefined;
  const stop = async (): Promise<void> => {
    people.stop();
    const forced = setTimeout(() => server.closeAllConnections(), GRACE_MS);
    await front?.close();
    clearTimeout(forced);
    clearInterval(pruning);
    await watchdog.stop();
    await heartbeats.stop();
    await slack.stop();
    await away.stop();
    await vitals?.stop();
    await trail?.stop();
    await dispatcher.stop();
    lead.stop();
    await tracing.stop();
    inbox.close();
    people.close();
    await connection.close();
  };
  try {
    front = await listen(server, { host: hostname, port });
  } catch (error) {
    await stop();
    throw new Error(`Cannot listen on ${hostname}:${port}: set HOLDFAST_GATEWAY_PORT to a free port`, { cause: error });
  }
  return { url: `http://${hostname}:${front.port}`, stop };
}
