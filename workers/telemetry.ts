import { CancelledFailure } from '@temporalio/common';
import { DefaultLogger, Runtime, type ActivityInterceptorsFactory, type TelemetryOptions } from '@temporalio/worker';
import type { Trail } from '../src/audit.ts';
import type { Config } from '../src/config.ts';
import { ActionKind, type Settings } from '../src/contracts/index.ts';
import type { createLog } from '../src/log.ts';
import { redactError, type Redact } from '../src/redaction.ts';
import type { Tracing } from '../src/tracing.ts';
import { auditWhatIsDone } from './auditing.ts';
import { DEPLOYING, effectOf } from './effects.ts';
import { reportActivityFailures } from './sentry.ts';

const PAGES = 'holdfast_pages';
const EFFECTS = 'holdfast_effects';
const RESULTS = ['done', 'failed', 'cancelled'] as const;
/** Seconds that people take to decide. */
const APPROVAL_WAIT = [5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14_400];

/** What a failure says is no payload where payloads are not encrypted: secrets are taken out of it before anybody sees it. */
const redactFailures =
  (redact: Redact): ActivityInterceptorsFactory =>
  () => ({
    inbound: {
      async execute(input, next) {
        try {
          return await next(input);
        } catch (error) {
          redactError(redact, error);
          throw error;
        }
      },
    },
  });

/** What an activity does to people and to the world, as its metric has it; most read only. */
function doneBy(activity: string, [argument]: unknown[]): { name: string; tags: Record<string, string> } | undefined {
  const { channel } = (argument ?? {}) as { channel?: unknown };
  if (activity === 'page') return { name: PAGES, tags: { channel: String(channel) } };
  const effect = effectOf(activity, [argument]);
  return effect && { name: EFFECTS, tags: { kind: effect.kind } };
}

const count = (name: string, tags: Record<string, string>, by = 1): void =>
  Runtime.instance().metricMeter.createCounter(name).add(by, tags);

/** A counter that begins at its first event hides that event from `increase()`. */
function beginAtZero({ people }: Settings): void {
  const channels = new Set(['console', ...people.flatMap((one) => one.channels.map(({ via }) => via))]);
  for (const result of RESULTS) {
    for (const channel of channels) count(PAGES, { channel, result }, 0);
    for (const kind of [...ActionKind.options, ...Object.values(DEPLOYING)]) count(EFFECTS, { kind, result }, 0);
  }
}

const countWhatIsDone: ActivityInterceptorsFactory = ({ info }) => ({
  inbound: {
    async execute(input, next) {
      const done = doneBy(info.activityType, input.args);
      const ended = (result: (typeof RESULTS)[number]): void => done && count(done.name, { ...done.tags, result });
      try {
        const result: unknown = await next(input);
        ended('done');
        return result;
      } catch (error) {
        ended(error instanceof CancelledFailure ? 'cancelled' : 'failed');
        throw error;
      }
    },
  },
});

/** For which run it was: a ladder's own pages are the incident's. */
const runOf = ([argument]: unknown[]): { runId: string } | undefined => {
  const { page, announcement } = (argument ?? {}) as Record<'page' | 'announcement', { runId: string } | undefined>;
  return page ?? announcement;
};

const traceActivities =
  (tracing: Tracing): ActivityInterceptorsFactory =>
  ({ info: { activityType: name, attempt, workflowExecution } }) => ({
    inbound: {
      async execute(input, next) {
        const runId = runOf(input.args)?.runId || workflowExecution?.runId;
        const incident = workflowExecution?.workflowId ?? '';
        const attributes = { 'holdfast.incident': incident, attempt, ...doneBy(name, input.args)?.tags };
        const from = Date.now();
        const note = (error?: unknown): void =>
          runId === undefined
            ? undefined
            : tracing.note({ runId, name, from, attributes, ...(error !== undefined && { error }) });
        try {
          const result: unknown = await next(input);
          note();
          return result;
        } catch (error) {
          note(error);
          throw error;
        }
      },
    },
  });

/** Of every worker; the last is the next to the activity. */
export const activityInterceptors = (
  { temporal }: Config,
  { tracing, trail }: { tracing: Tracing; trail: Trail },
): ActivityInterceptorsFactory[] => [
  traceActivities(tracing),
  auditWhatIsDone(trail, temporal.redact),
  reportActivityFailures,
  countWhatIsDone,
  redactFailures(temporal.redact),
];

const metricsAt = (bindAddress: string): NonNullable<TelemetryOptions['metrics']> => ({
  prometheus: {
    bindAddress,
    countersTotalSuffix: true,
    unitSuffix: true,
    useSecondsForDurations: true,
    histogramBucketOverrides: { holdfast_approval_wait_seconds: APPROVAL_WAIT },
  },
});

/** The SDK's core: its logs among the worker's, and its metrics with the product's where they are asked for. */
export function installRuntime(
  { HOLDFAST_WORKER_METRICS: address }: Config,
  settings: Settings,
  log: ReturnType<typeof createLog>,
): void {
  Runtime.install({
    shutdownSignals: ['SIGINT', 'SIGTERM'],
    logger: new DefaultLogger('INFO', ({ level, message, meta = {} }) => {
      const {
        workflowId: incident,
        error,
        activityType: activity,
        attempt,
      } = meta as Record<string, string | undefined>;
      const say = level === 'WARN' ? log.warn : level === 'ERROR' ? log.error : log.info;
      say(activity === undefined ? message : `${message}: ${activity}`, { incident, error, attempt });
    }),
    telemetryOptions: {
      logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} },
      ...(address !== undefined && { metrics: metricsAt(address) }),
    },
  });
  beginAtZero(settings);
}
