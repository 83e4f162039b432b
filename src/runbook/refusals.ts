import { log } from '@temporalio/workflow';
import { SignedDecision } from '../contracts/index.ts';
import { say } from './failures.ts';

/**
 * The validator of an update that carries a signed decision. No history has an update that was refused, whoever sent it: the log
 * of the worker says what was tried.
 */
export const tellingRefusals =
  (assertCounts: (decision: SignedDecision | undefined) => void) =>
  (input: unknown): void => {
    const decision = SignedDecision.safeParse(input).data;
    try {
      assertCounts(decision);
    } catch (error) {
      const { person = 'somebody', via = 'no known way' } = decision ?? {};
      log.warn(`a decision of ${person} via ${via} was refused: ${say(error)}`);
      throw error;
    }
  };
