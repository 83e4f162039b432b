import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';

/** What a failure says, in one line; the same live and in a replay, which gives what a local activity failed with alone. */
export const say = (error: unknown): string => {
  const cause = error instanceof ActivityFailure ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
};
/** The type of a failure of the closed list. */
export const typeOf = (error: unknown): string | undefined =>
  error instanceof ActivityFailure && error.cause instanceof ApplicationFailure
    ? (error.cause.type ?? undefined)
    : undefined;
