/**
 * Monitor of one service: in every environment that asks for it, raises `HighErrorRate` when the error ratio is over its alert
 * threshold, and `DatabaseConnectionIssues` when the database does not answer, or clients wait for its pool, or sessions for
 * one another; each in two readings in a row, and resolved after three good ones. While the database is in trouble the errors
 * are its symptom and raise nothing. What goes on firing is told again every 15 minutes: the gateway opens an incident anew
 * where the last one ended and an hour has passed. Continues as new by count.
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
import type { Alert, Policy, Scope } from '../src/contracts/index.ts';
import type {
  AlertSender,
  Configuration,
  ConnectionPool,
  DatabaseSessions,
  DatabaseHealth,
  Metrics,
} from '../src/contracts/ports.ts';
import {
  delivery,
  diagnostic,
  judgeErrorRatio,
  judgeInTheWay,
  judgePool,
  judgeSupabase,
} from '../src/runbook/index.ts';

const TICKS_PER_RUN = 400;
const REPEAT_MS = 15 * 60 * 1000;
const { policy: readPolicy } = proxyLocalActivities<Configuration>(diagnostic);
const { errorRatio, poolUse, sessionsInTheWay, supabaseHealth } = proxyLocalActivities<
  Metrics & ConnectionPool & DatabaseSessions & DatabaseHealth
>(diagnostic);
const { sendAlert } = proxyActivities<AlertSender>(delivery);

/** How one alert stands; carried over from run to run. */
export interface Tracked {
  /** Start of the alert, while it fires. */
  firingSince?: string | undefined;
  /** When it was last told that it fires, ms since the epoch. */
  toldAt?: number | undefined;
  over: number;
  under: number;
}

export interface Watched {
  environment: string;
  /** By the name of the alert. */
  alerts: Record<string, Tracked>;
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
        (environment) => monitor.watched.find((one) => one.environment === environment) ?? { environment, alerts: {} },
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

async function watch(service: string, { environment, alerts }: Watched, policy: Policy): Promise<void> {
  const scope = { service, environment };
  const now = Date.now(); // before the readings: a replay sees another time after them
  const trackedBy = (name: string): Tracked => (alerts[name] ??= { over: 0, under: 0 });
  const [health, pool, sessions, ratio] = await Promise.all([
    supabaseHealth(scope).catch(() => undefined),
    poolUse(scope).catch(() => undefined),
    sessionsInTheWay(scope).catch(() => undefined),
    errorRatio({ ...scope, windowSeconds: policy.measure.windowSeconds }).catch(() => undefined),
  ]);

  const database = trackedBy('DatabaseConnectionIssues');
  const judged = [
    ...(health === undefined ? [] : [judgeSupabase(health)]),
    ...(pool === undefined ? [] : [judgePool(pool)]),
    ...(sessions === undefined ? [] : [judgeInTheWay(sessions.filter(({ blocks }) => blocks > 0))]),
  ];
  if (judged.length > 0) {
    const bad = judged.find(([verdict]) => verdict === 'bad');
    count(database, bad !== undefined, bad === undefined);
    await tell({ scope, now, name: 'DatabaseConnectionIssues', summary: (bad ?? judged[0])?.[1] ?? '' }, database);
  }

  if (ratio === undefined) return; // blind: neither over nor under
  const errors = trackedBy('HighErrorRate');
  const [alerting, summary] = judgeErrorRatio(policy, policy.alertAt.errorRatio)(ratio);
  const [holding] = judgeErrorRatio(policy)(ratio);
  const symptom = database.over > 0 || database.firingSince !== undefined;
  count(errors, alerting === 'bad' && !symptom, holding === 'ok');
  await tell({ scope, now, name: 'HighErrorRate', summary }, errors);
}

function count(tracked: Tracked, over: boolean, under: boolean): void {
  tracked.over = over ? tracked.over + 1 : 0;
  tracked.under = under ? tracked.under + 1 : 0;
}

/** Send what has begun, goes on, or has ended; what the gateway does not take is told again at the next reading. */
async function tell(of: { scope: Scope; now: number; name: string; summary: string }, tracked: Tracked): Promise<void> {
  const { scope, now, name, summary } = of;
  const { firingSince: startsAt = new Date(now).toISOString() } = tracked;
  const send = (status: Alert['status']): Promise<boolean> =>
    sendAlert({
      ...scope,
      source: 'monitor',
      key: `monitor:${scope.service}:${scope.environment}:${name}:${startsAt}:${status}`,
      name,
      severity: 'critical',
      status,
      summary,
      startsAt,
      labels: { alertname: name, ...scope },
    }).then(
      () => true,
      () => false,
    );
  if (tracked.under >= 3 && tracked.firingSince !== undefined) {
    if (await send('resolved')) tracked.firingSince = tracked.toldAt = undefined;
  } else if (tracked.over >= 2 && now - (tracked.toldAt ?? 0) >= REPEAT_MS) {
    if (await send('firing')) [tracked.firingSince, tracked.toldAt] = [startsAt, now];
  }
}
