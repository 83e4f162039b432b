/**
 * Monitor of one service: in every environment that asks for it, raises `HighErrorRate` when the error ratio is over its alert
 * threshold in two readings in a row, and resolves it when it is under the objective in three. What goes on firing is told again
 * every 15 minutes: the gateway opens an incident anew where the last one ended and an hour has passed. Continues as new by count.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { Alert, Policy } from '../src/contracts/index.ts';
import type { AlertSender, Configuration, Metrics } from '../src/contracts/ports.ts';
import { delivery, diagnostic, judgeErrorRatio } from '../src/runbook/index.ts';

const TICKS_PER_RUN = 400;
const NEVER = new Date(0).toISOString();
const REPEAT_MS = 15 * 60 * 1000;
const { policy: readPolicy } = proxyLocalActivities<Configuration>(diagnostic);
const { errorRatio } = proxyLocalActivities<Metrics>(diagnostic);
const { sendAlert } = proxyActivities<AlertSender>(delivery);

export interface Watched {
  environment: string;
  /** Start of the alert that is firing; carried over from run to run, like the counts. */
  firingSince?: string | undefined;
  /** When it was last told that it fires. */
  toldAt?: string | undefined;
  over: number;
  under: number;
}

export interface Monitor {
  service: string;
  every: string;
  watched: Watched[];
}

/** What the configuration asks to be watched. */
export interface WatchOrder {
  every: string;
  environments: string[];
}

export const watchedQuery = defineQuery<Watched[]>('watched');
export const watchSignal = defineSignal<[WatchOrder]>('watch');

export async function monitorService(monitor: Monitor): Promise<void> {
  const { service } = monitor;
  const policies = new Map<string, Policy>();
  setHandler(watchedQuery, () => monitor.watched, {
    description: 'What is watched, and which alert is firing since when',
  });
  setHandler(
    watchSignal,
    ({ every, environments }) => {
      policies.clear();
      monitor.every = every;
      monitor.watched = environments.map(
        (environment) =>
          monitor.watched.find((one) => one.environment === environment) ?? { environment, over: 0, under: 0 },
      );
    },
    { description: 'From a worker that starts: what the configuration asks to be watched' },
  );
  for (let tick = 0; tick < TICKS_PER_RUN; tick += 1) {
    await Promise.all(
      monitor.watched.map(async (one) => {
        const { environment } = one;
        const policy = policies.get(environment) ?? (await readPolicy({ service, environment }));
        policies.set(environment, policy);
        await watch(service, one, policy);
      }),
    );
    await sleep(monitor.every);
  }
  await condition(allHandlersFinished);
  await continueAsNew<typeof monitorService>(monitor);
}

async function watch(service: string, one: Watched, policy: Policy): Promise<void> {
  const { environment } = one;
  const reading = await errorRatio({ service, environment, windowSeconds: policy.measure.windowSeconds }).catch(
    () => undefined,
  );
  if (reading === undefined) return; // blind: neither over nor under
  const [alerting, summary] = judgeErrorRatio(policy, policy.alertAt.errorRatio)(reading);
  const [holding] = judgeErrorRatio(policy)(reading);
  one.over = alerting === 'bad' ? one.over + 1 : 0;
  one.under = holding === 'ok' ? one.under + 1 : 0;

  const now = new Date().toISOString();
  const send = (startsAt: string, status: Alert['status']): Promise<boolean> => {
    const labels = { alertname: 'HighErrorRate', service, environment };
    const key = `monitor:${service}:${environment}:HighErrorRate:${startsAt}:${status}`;
    return sendAlert({
      source: 'monitor',
      key,
      name: 'HighErrorRate',
      severity: 'critical',
      service,
      environment,
      status,
      summary,
      startsAt,
      labels,
    }).then(
      () => true,
      () => false, // told again at the next reading
    );
  };
  const { firingSince = now } = one;
  if (one.under >= 3 && one.firingSince !== undefined) {
    if (await send(firingSince, 'resolved')) one.firingSince = one.toldAt = undefined;
  } else if (one.over >= 2 && Date.now() - Date.parse(one.toldAt ?? NEVER) >= REPEAT_MS) {
    if (await send(firingSince, 'firing')) [one.firingSince, one.toldAt] = [firingSince, now];
  }
}
