import { ApplicationFailure } from '@temporalio/common';
import { WorkflowNotFoundError } from '@temporalio/client';

/** By the type of a failure; every other refusal is 5. */
const EXIT_CODES: Record<string, number> = { NotFound: 4, Unavailable: 3, RateLimited: 3 };
const HELPED = 2;

/**
 * How a command ends that has failed, and what it says. 1 failed, 2 wrong arguments, 3 Temporal, its worker or the gateway away,
 * 4 not found, 5 not allowed.
 */
export function endingOf(error: unknown): { exitCode: number; told: string | undefined } {
  if (!(error instanceof Error)) return { exitCode: 1, told: String(error) };
  const code = 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : undefined;
  if ('code' in error && String(error.code).startsWith('commander.'))
    return { exitCode: code === 1 ? HELPED : (code ?? 1), told: undefined };
  if (error instanceof WorkflowNotFoundError)
    return { exitCode: 4, told: 'there is no such incident; `incidents` lists them' };
  const { cause } = error;
  const refusal = [error, cause].find((one) => one instanceof ApplicationFailure);
  if (refusal !== undefined)
    return { exitCode: code ?? EXIT_CODES[refusal.type ?? ''] ?? 5, told: `refused: ${refusal.message}` };
  return { exitCode: code ?? 1, told: cause instanceof Error ? `${error.message}: ${cause.message}` : error.message };
}
