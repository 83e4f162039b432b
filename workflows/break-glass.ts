/**
 * Procedure: break-glass. What one person has approved alone is looked at by a second.
 * Started   by an incident or deployment whose proposal was approved with break-glass; left behind by it.
 * Steps     tell everybody of the ladder over every channel; wait for a second person; climb the ladder when none has looked in
 *           time, and every day from then on.
 * Ends      when a second person confirms it, or objects to it: then the ladder is climbed until somebody takes over.
 * Source    The user's operational runbook, "Escalation".
 */
import { BreakGlassOrder, type Result } from '../src/contracts/index.ts';
import { secondLook } from '../src/runbook/index.ts';

export async function breakGlass(input: BreakGlassOrder): Promise<Result> {
  return await secondLook(BreakGlassOrder.parse(input));
}
