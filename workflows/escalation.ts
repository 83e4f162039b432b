/**
 * Procedure: escalation. Reaches a person, level by level, until one answers.
 * Started   by an incident or deployment that asks for a decision, is stuck at a step, or hands over to a person.
 * Steps     page everybody of the level over their channels; wait; the next level; where a person must take over, the last again.
 * Ends      when a person takes over, when whoever started it is settled, or when nobody answers at all.
 * Source    The user's operational runbook, "Escalation".
 */
import { EscalationOrder, type Result } from '../src/contracts/index.ts';
import { climb } from '../src/runbook/index.ts';

export async function escalation(input: EscalationOrder): Promise<Result> {
  return await climb(EscalationOrder.parse(input));
}
