import { ApplicationFailure } from '@temporalio/common';

/** The closed list of failures. Whether a retry can help is said here and nowhere else. */
export const FAILURES = {
  /** The thing asked about does not exist there. */
  NotFound: 'permanent',
  /** The credentials are wrong or may not do this (401, 403). */
  NotAllowed: 'permanent',
  /** The other side refuses the request as wrong (400, 409, 422). */
  Refused: 'permanent',
  /** The configuration lacks what this needs. */
  NotConfigured: 'permanent',
  /** The world has changed since the proposal was approved; nothing was done. */
  StaleApproval: 'permanent',
  /** A later grant of `serviceControl` has acted since; nothing was done. */
  Fenced: 'permanent',
  /** A release could not be started or did not become healthy; it took no traffic. */
  ReleaseFailed: 'permanent',
  /** A backup could not be proved: it is not what was taken, or does not restore to what it must hold. */
  NotProved: 'permanent',
  /** The answer is not what the contract says. */
  UnexpectedResponse: 'permanent',
  RateLimited: 'transient',
  /** Not reachable, timed out, or 5xx. */
  Unavailable: 'transient',
} as const;
export type FailureType = keyof typeof FAILURES;

/** Programming errors: a retry repeats them. */
export const BUGS = ['TypeError', 'ReferenceError', 'ZodError', 'RangeError'];

/** Make a failure of the closed list. `retryAfterMs` is what the other side asked for (429). */
export const failure = (
  type: FailureType,
  message: string,
  details: object = {},
  retryAfterMs?: number,
): ApplicationFailure =>
  ApplicationFailure.create({
    type,
    message,
    details: [details],
    nonRetryable: FAILURES[type] === 'permanent',
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  });
