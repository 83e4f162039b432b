import type { z } from 'zod';
import { Approval, type Action } from './contracts/index.ts';
import { failure } from './errors.ts';

/**
 * The action that was approved, if it is one of this kind.
 * @throws NotAllowed (permanent) when the approval is for another action or is no approval.
 */
export function approvedAction<S extends z.ZodType<Action>>(schema: S, approval: unknown): z.output<S> {
  const parsed = Approval.safeParse(approval);
  if (!parsed.success)
    throw failure('NotAllowed', 'this is not an approval', { issues: parsed.error.issues.slice(0, 3) });
  const action = schema.safeParse(parsed.data.proposal.action);
  if (!action.success)
    throw failure(
      'NotAllowed',
      `the approval ${parsed.data.id} is for "${parsed.data.proposal.action.kind}", not for this`,
    );
  return action.data;
}
