import { ActivityCancellationType, type ActivityOptions, type LocalActivityOptions } from '@temporalio/workflow';
import { BUGS } from '../errors.ts';

/** Short idempotent reads that the control plane reaches itself: local activities (fewer events, first answer in milliseconds). */
export const diagnostic = {
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '20 seconds',
  retry: { maximumAttempts: 2, initialInterval: '500 ms', nonRetryableErrorTypes: BUGS },
} satisfies LocalActivityOptions;

/**
 * What acts: heartbeats every second or two, so that a killed worker's attempt is taken up again within seconds. Cancelled, it
 * is waited for: what takes it back must not run beside it.
 */
export const mitigation = {
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '15 minutes',
  scheduleToCloseTimeout: '29 minutes', // within the lease of the grant
  heartbeatTimeout: '6 seconds',
  retry: {
    maximumAttempts: 10, // a worker that dies costs one too; what is away is tried for two and a half minutes
    initialInterval: '1 second',
    maximumInterval: '30 seconds',
    nonRetryableErrorTypes: BUGS,
  },
} satisfies ActivityOptions;

/** Reads that take up to minutes: they heartbeat every second or two. */
export const inquiry = {
  startToCloseTimeout: '3 minutes',
  scheduleToCloseTimeout: '5 minutes',
  heartbeatTimeout: '6 seconds',
  retry: { maximumAttempts: 2, initialInterval: '500 ms', nonRetryableErrorTypes: BUGS },
} satisfies ActivityOptions;

/**
 * A browser at work, on a task queue that others need not wait for; where nobody serves it, it is left. Each page is six runs, of up to
 * 90 seconds and what it takes to begin and end them.
 */
export const laboratory = ({ pages = 1 }: { pages?: number | undefined }) =>
  ({
    scheduleToStartTimeout: '1 minute',
    startToCloseTimeout: `${10 * pages} minutes`,
    heartbeatTimeout: '10 seconds',
    retry: { maximumAttempts: 2, initialInterval: '1 second', nonRetryableErrorTypes: BUGS },
  }) satisfies ActivityOptions;

/** What takes as long as a pipeline, a backup or an index of a large table does; heartbeats as what acts. */
export const longWork = {
  ...mitigation,
  startToCloseTimeout: '2 hours',
  scheduleToCloseTimeout: '4 hours', // within the lease of what asks for so much
} satisfies ActivityOptions;

/** A message to a person or an order to `serviceControl`: tried for a while, never for ever. */
export const delivery = {
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '2 minutes',
  retry: { initialInterval: '500 ms', maximumInterval: '15 seconds', nonRetryableErrorTypes: BUGS },
} satisfies ActivityOptions;

/** The record: retried for as long as it takes. */
export const projection = {
  startToCloseTimeout: '15 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
} satisfies ActivityOptions;
