import { condition } from '@temporalio/workflow';
import type { Result } from '../contracts/index.ts';

const INTERRUPTED = Symbol('interrupted');

export interface Switchboard {
  paused: boolean;
  /** Set by `stop` and `takeOver`: how the run is to end. */
  ending: Result | undefined;
}

/** End the run here, with this result. */
export function endWith(result: Result): never {
  throw Object.assign(new Error(result.note), { [INTERRUPTED]: result });
}

/** Wait while paused. @throws the interruption when a person has stopped or taken over the run. */
export async function checkpoint(board: Switchboard): Promise<void> {
  await condition(() => !board.paused || board.ending !== undefined);
  if (board.ending !== undefined) endWith(board.ending);
}

/** The result with which the run is to end, if this error is such an order. */
export const interruptionOf = (error: unknown): Result | undefined =>
  error instanceof Error && INTERRUPTED in error ? (error[INTERRUPTED] as Result) : undefined;
