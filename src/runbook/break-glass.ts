import { CancellationScope, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { BreakGlassOrder, Policy, Proposal, Result, SecondLook, SignedDecision } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { secondLookId } from './catalogue.ts';

/**
 * One person approves alone: begin the run that tells everybody and asks a second person to look, and which goes on when this one
 * has ended. Once for each proposal, whose digest names it.
 */
export function breakGlass(
  { digest, summary, risk, notBy, action: { service, environment } }: Proposal,
  { person, via, reason = '' }: SignedDecision,
  of: { workflowId: string; runId: string; policy: Policy | undefined },
): { look: SecondLook; begun: Promise<void> } {
  const { workflowId, runId, policy } = of;
  const rule = policy?.approval[risk].breakGlass;
  if (rule === undefined) throw failure('NotAllowed', `nobody may approve ${risk} risk alone`);
  const now = Date.now();
  const until = new Date(now + msToNumber(rule.secondPersonWithin)).toISOString();
  const order: BreakGlassOrder = {
    service,
    environment,
    of: { workflowId, runId },
    digest,
    summary,
    risk,
    by: person,
    via,
    reason,
    at: new Date(now).toISOString(),
    until,
    ...(notBy !== undefined && { notBy }),
  };
  const begun = begin(order);
  begun.catch(() => undefined); // it is awaited before anything is done
  return { look: { workflowId: secondLookId(order), reason, until }, begun };
}

const begin = (order: BreakGlassOrder): Promise<void> =>
  CancellationScope.nonCancellable(async () => {
    try {
      await startChild<(order: BreakGlassOrder) => Promise<Result>>('breakGlass', {
        workflowId: secondLookId(order),
        args: [order],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowTaskTimeout: '3 seconds', // a killed worker is noticed soon
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  });
