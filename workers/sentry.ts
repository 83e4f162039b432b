import * as Sentry from '@sentry/node';
import { ApplicationFailure } from '@temporalio/common';
import { isCancellation } from '@temporalio/workflow';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { Redact } from '../src/redaction.ts';
import type { FailureSinks } from './workflow-interceptors.ts';

/** Send Holdfast's own errors to Sentry, without secrets; does nothing without a DSN. */
export function startSentry(dsn: string | undefined, release: string, redact: Redact): void {
  if (dsn === undefined) return;
  Sentry.init({
    dsn,
    release,
    tracesSampleRate: 0,
    beforeSend(event) {
      for (const exception of event.exception?.values ?? [])
        if (exception.value !== undefined) exception.value = redact(exception.value);
      if (event.message !== undefined) event.message = redact(event.message);
      delete event.request;
      delete event.server_name;
      return event;
    },
    beforeBreadcrumb: () => null,
  });
}

const capture = (error: Error, tags: Record<string, string>): void =>
  Sentry.withScope((scope) => {
    scope.setTags(tags);
    Sentry.captureException(error);
  });

/** Reports an activity's failure at its last word: a bug or a permanent failure at once, a transient one from its fifth attempt. */
export const reportActivityFailures: ActivityInterceptorsFactory = ({ info }) => ({
  inbound: {
    async execute(input, next) {
      try {
        return await next(input);
      } catch (error) {
        const expected = error instanceof ApplicationFailure && error.nonRetryable !== true && info.attempt < 5;
        if (error instanceof Error && !isCancellation(error) && !expected)
          capture(error, {
            incident: info.workflowExecution?.workflowId ?? 'none',
            activity: info.activityType,
            attempt: String(info.attempt),
          });
        throw error;
      }
    },
  },
});

export const failureSinks: InjectedSinks<FailureSinks> = {
  failures: {
    workflowFailed: {
      fn: (_info, { workflowId, type, message }) =>
        capture(new Error(`${type} failed: ${message}`), { incident: workflowId, workflow: type }),
      callDuringReplay: false,
    },
  },
};
