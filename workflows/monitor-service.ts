/**
 * Monitor of one service, in every environment that asks for it.
 * Raises    `HighErrorRate`, `SlowResponses` and `ManyErrors` over their alert thresholds; `DatabaseConnectionIssues` when the database does
 *           not answer, or clients wait for its pool, or sessions for one another for long; the burn of an error budget; `FailedDeployment`;
 *           `MemoryLeak` when an instance grows without end; `WebVitalsFailing` when real users wait;
 *           `MonitoringBlind` when something could not be read for long, or nothing counts the requests of what was up.
 * Steady    each after two readings in a row, resolved after three good ones; too few requests say nothing. Once the database's
 *           own alert is due the rest is its symptom and raises nothing; what one bad reading of it may explain waits for the
 *           next. What goes on firing is told again every 15 minutes: the gateway opens an incident anew where the last one
 *           ended and an hour has passed.
 * Source    Google SRE Workbook, chapter 5, "Alerting on SLOs", multiwindow, multi-burn-rate alerts.
 * A tick is a timer and one batch of local activities. Continues as new by count.
 */
import {
  allHandlersFinished,
  condition,
  defineQuery,
  defineSignal,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import {
  MonitorSettings,
  type ObjectiveReport,
  type OpenAtSources,
  type Policy,
  type Scope,
} from '../src/contracts/index.ts';
import type * as ports from '../src/contracts/ports.ts';
import { blindTo, type Blindness } from '../src/runbook/blindness.ts';
import * as kit from '../src/runbook/index.ts';

const TICKS_PER_RUN = 200;
/** After a monitor was away itself, all of the platform may have been: the service gets so long to come back. */
const RETURNS_WITHIN_MS = 5 * 60 * 1000;
/** Errors are few again under this share of what raised the alert. */
const CALM = 0.5;
const DEFAULTS = { ...MonitorSettings.parse({}), metrics: false };
const { recordObjectives } = proxyActivities<ports.ObjectiveKeeper>({
  ...kit.projection,
  scheduleToCloseTimeout: '30 seconds',
});
/** As patient as a tick may be: all environments wait for it. */
const { policy: readPolicy } = proxyLocalActivities<ports.Configuration>({
  ...kit.diagnostic,
  scheduleToCloseTimeout: '1 minute',
  retry: { ...kit.diagnostic.retry, maximumAttempts: 10 },
});
const read = proxyLocalActivities<
  ports.Metrics &
    ports.ErrorCounts &
    ports.Health &
    ports.DatabaseHealth &
    ports.ConnectionPool &
    ports.DatabaseSessions &
    ports.DeploymentRuns &
    ports.OpenAlerts
>(kit.diagnostic);

export interface Watched {
  environment: string;
  /** By the name of the alert. */
  alerts: Record<string, kit.Tracked>;
  /** Alerts about error budgets, by name and burn rate: they go on for as long as their window remembers. */
  burns?: Record<string, kit.Tracked>;
  /** By the name of the objective. */
  objectives?: Record<string, kit.Kept>;
  blindSince?: Blindness;
  tickedAt?: number;
  wasUp?: boolean;
  /** Since when it is waited for it to be up, for the first time or again. */
  awaitedSince?: number | undefined;
  /** When the database was last in trouble. */
  troubledAt?: number;
  deployment?: kit.ToldDeployment;
}

export interface Monitor {
  service: string;
  every: string;
  watched: Watched[];
  /** Where this monitor asks the sources of alerts what is open there, and what is over, for all services. */
  askForAlerts?: string | undefined;
  sources?: OpenAtSources & { askedAt: number };
}

/** What the configuration asks to be watched. */
export interface WatchOrder {
  every: string;
  environments: string[];
  askForAlerts?: string;
}

export const watchedQuery = defineQuery<Watched[]>('watched');
export const objectivesQuery = defineQuery<ObjectiveReport[]>('objectives');
export const watchSignal = defineSignal<[WatchOrder]>('watch');

export async function monitorService(monitor: Monitor): Promise<void> {
  const { service } = monitor;
  const patient = patched('patient-with-the-database'); // here: see `defineRunbook`
  const budgetsVitals = patched('budget-of-web-vitals');
  const policies = new Map<string, Policy>();
  setHandler(watchedQuery, () => monitor.watched, {
    description: 'What is watched, and which alert is firing since when',
  });
  setHandler(objectivesQuery, () => monitor.watched.flatMap((one) => reportsOf(one, policies.get(one.environment))), {
    description: 'Objectives: now, error budget left, burn rates, trend over 28 days',
  });
  setHandler(
    watchSignal,
    ({ every, environments, askForAlerts }) => {
      policies.clear();
      [monitor.every, monitor.askForAlerts] = [every, askForAlerts];
      monitor.watched = environments.map(
        (environment) => monitor.watched.find((one) => one.environment === environment) ?? { environment, alerts: {} },
      );
    },
    { description: 'From a worker that starts: what the configuration asks to be watched' },
  );
  const due = kit.dueToContinue();
  for (let tick = 0; tick < TICKS_PER_RUN && !due(); tick += 1) {
    const now = Date.now(); // before the readings: a replay sees another time after them
    await Promise.all([
      askSources(monitor, now),
      ...monitor.watched.map(async (one) => {
        const scope = { service, environment: one.environment };
        const policy = policies.get(one.environment) ?? (await readPolicy(scope).catch(() => undefined));
        if (policy === undefined) return await watchBlindly(scope, one, now); // it is asked for at the next tick
        policies.set(one.environment, policy);
        await watch(scope, one, policy, { now, everySeconds: kit.secondsOf(monitor.every), patient, budgetsVitals });
      }),
    ]);
    await sleep(monitor.every);
  }
  if (patched('record-objectives')) await recordDays(monitor);
  await condition(allHandlersFinished);
  await kit.continueOn<typeof monitorService>(monitor);
}

/** A record that is away gets them from the next run: a day is written whole. */
async function recordDays({ service, watched }: Monitor): Promise<void> {
  const days = watched.flatMap(({ environment, objectives = {} }) =>
    kit.daysToRecord({ service, environment }, objectives),
  );
  if (days.length > 0) await recordObjectives(days).catch(() => undefined);
}

/** What does not answer is asked again at the next tick. */
async function askSources(monitor: Monitor, now: number): Promise<void> {
  const { askForAlerts, sources = { open: [], told: [], askedAt: 0 } } = monitor;
  if (askForAlerts === undefined || now - sources.askedAt < kit.secondsOf(askForAlerts) * 1000) return;
  const { askedAt: _, ...before } = sources;
  const found = await read.tellOpenAlerts(before).catch(() => undefined);
  if (found !== undefined) monitor.sources = { ...found, askedAt: now };
}

interface Tick {
  now: number;
  everySeconds: number;
  /** Whether it takes more than a blip of the database to explain the rest. */
  patient: boolean;
  /** Whether web vitals have an error budget. */
  budgetsVitals: boolean;
}

async function watch(scope: Scope, one: Watched, policy: Policy, tick: Tick): Promise<void> {
  const { now, everySeconds, patient, budgetsVitals } = tick;
  const terms = policy.monitor ?? DEFAULTS;
  const { windowSeconds } = policy.measure;
  const window = { ...scope, windowSeconds };
  const { alertAt } = policy;
  const { errors: limit } = alertAt;
  const [health, pool, sessions, ratio, times, probe, deployment, errors, performing] = await Promise.all([
    read.supabaseHealth(scope).catch(() => undefined),
    read.poolUse(scope).catch(() => undefined),
    read.sessionsInTheWay(scope).catch(() => undefined),
    read.errorRatio(window).catch(() => undefined),
    read.responseTimes(window).catch(() => undefined),
    read.httpHealth({ ...scope, probes: 1 }).catch(() => undefined),
    read.lastDeployment(scope).catch(() => null),
    limit === undefined ? undefined : read.errorCount(window).catch(() => undefined),
    kit.watchPerformance(scope, policy),
  ]);
  const telling: Promise<void>[] = [];
  const judge = (tracked: kit.Tracked, over: boolean, under: boolean, told: Omit<kit.Told, 'scope'>): void => {
    kit.count(tracked, over, under);
    telling.push(kit.tell(tracked, { scope, ...told }, { now, ...terms }));
  };
  const trackedBy = (name: string): kit.Tracked => (one.alerts[name] ??= { over: 0, under: 0 });

  const database = trackedBy('DatabaseConnectionIssues');
  const inTheWay = sessions?.filter(
    ({ blocks, seconds, waitedSeconds = Infinity }) =>
      blocks > 0 && (!patient || Math.max(seconds, waitedSeconds) > policy.database.longSeconds),
  );
  const judged = kit.judgeDatabase(policy)({ health, pool, inTheWay });
  const bad = judged?.[0] === 'bad';
  if (judged !== undefined) judge(database, bad, !bad, { name: 'DatabaseConnectionIssues', summary: judged[1] });
  const inTrouble = database.firingSince !== undefined || database.over >= (patient ? terms.raiseAfter : 1);
  if (inTrouble) one.troubledAt = now;
  const suspected = bad && !inTrouble;
  /** As long as a window of so many ms remembers it. */
  const troubled = (ms: number): boolean => now - (one.troubledAt ?? -Infinity) < ms;
  const minimumRequests = policy.measure.minimumRequests + kit.ownProbes(windowSeconds, everySeconds);
  const counting = { ...policy, measure: { ...policy.measure, minimumRequests } };
  /** What users meet: over its alert threshold, and within what it is to hold. */
  const judgeMet = (name: string, [alerting, summary]: kit.Judgement, [holding]: kit.Judgement): void => {
    const over = alerting === 'bad' && !troubled(windowSeconds * 1000);
    if (!over || !suspected) judge(trackedBy(name), over, holding === 'ok', { name, summary });
  };
  if (ratio !== undefined) {
    const judgeBy = (most?: number) => kit.judgeErrorRatio(counting, most)(ratio);
    judgeMet('HighErrorRate', judgeBy(alertAt.errorRatio), judgeBy());
  }
  if (times !== undefined) {
    const judgeBy = (most?: number) => kit.judgeResponseTimes(counting, most)(times);
    judgeMet('SlowResponses', judgeBy(alertAt.p95Ms), judgeBy());
  }
  if (errors !== undefined && limit !== undefined)
    judgeMet('ManyErrors', kit.judgeErrorCount(limit)(errors), kit.judgeErrorCount(limit * CALM)(errors));
  for (const { name, verdict, summary } of performing)
    judge(trackedBy(name), verdict === 'bad', verdict === 'ok', { name, summary, severity: 'warning' });
  const sinceSeconds = one.tickedAt === undefined ? everySeconds : (now - one.tickedAt) / 1000;
  const counts = isExpected(one, now, probe !== undefined && probe.failed < probe.probes);
  one.tickedAt = now;
  const vitals = budgetsVitals ? performing.find(({ name }) => name === 'WebVitalsFailing')?.verdict : undefined;
  const measured = { ratio, times, probe: counts ? probe : undefined, vitals };
  for (const indicator of kit.indicatorsOf(policy, everySeconds, measured)) {
    const { budget } = kit.keep((one.objectives ??= {}), indicator, { ...tick, sinceSeconds });
    for (const rate of terms.burnRates) {
      const [verdict, summary] = kit.judgeBurn(indicator, budget, rate, now);
      const tracked = ((one.burns ??= {})[burnOf(indicator.alert, rate.name)] ??= { over: 0, under: 0 });
      const { severity = rate.severity } = indicator;
      const told = { name: indicator.alert, severity, summary, labels: { burn: rate.name } };
      const over = verdict === 'bad' && !troubled(kit.remembersMs(rate));
      if (!over || !suspected) judge(tracked, over, verdict === 'ok', told);
    }
  }

  const readings = {
    'the policy': { value: policy, expected: true },
    'the metrics': { value: ratio?.absent === true && one.wasUp === true ? undefined : ratio, expected: terms.metrics },
    'the database': { value: health, expected: false },
    'the pool': { value: pool, expected: false },
    'the sessions of the database': { value: sessions, expected: false },
    ...(limit !== undefined && { 'the error tracker': { value: errors, expected: true } }),
    'the health path': { value: probe, expected: true },
  };
  const blind = blindTo(one, readings, { now, ...terms });
  judge(trackedBy('MonitoringBlind'), blind.over, blind.under, blind.told);
  await Promise.all([...telling, kit.tellDeployment(scope, (one.deployment ??= {}), deployment)]);
}

/** Nothing of an environment can be judged without its policy: that this lasts is told, by the defaults. */
async function watchBlindly(scope: Scope, one: Watched, now: number): Promise<void> {
  const unread = { 'the policy': { value: undefined, expected: true } };
  const { over, under, told } = blindTo(one, unread, { now, ...DEFAULTS });
  const tracked = (one.alerts['MonitoringBlind'] ??= { over: 0, under: 0 });
  kit.count(tracked, over, under);
  await kit.tell(tracked, { scope, ...told }, { now, ...DEFAULTS });
}

/** Whether the service should be up: a service that never was is not down. */
function isExpected(one: Watched, now: number, up: boolean): boolean {
  if (one.tickedAt === undefined || now - one.tickedAt > RETURNS_WITHIN_MS) one.awaitedSince = now;
  if (up) [one.wasUp, one.awaitedSince] = [true, undefined];
  return one.wasUp === true && (one.awaitedSince === undefined || now - one.awaitedSince > RETURNS_WITHIN_MS);
}

const burnOf = (alert: string, rate: string): string => `${alert}/${rate}`;

const reportsOf = ({ environment, objectives = {}, burns = {} }: Watched, policy: Policy | undefined) =>
  Object.entries(objectives).map(([name, kept]) =>
    kit.reportOf(environment, name, kept, {
      now: Date.now(),
      burnRates: (policy?.monitor ?? DEFAULTS).burnRates,
      firing: (rate) => burns[burnOf(kept.alert, rate)]?.firingSince !== undefined,
    }),
  );
