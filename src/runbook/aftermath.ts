import { ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { Policy, Status } from '../contracts/index.ts';
import { bounded, reviewId, wantsReview } from './review.ts';

/** What has ended is reviewed by a workflow of its own, which is left behind. */
export async function startReview(status: Status, policy: Policy | undefined): Promise<void> {
  if (policy?.review === undefined || !wantsReview(status)) return;
  await startChild('postIncident', {
    workflowId: reviewId(status),
    args: [{ status: bounded(status), policy }],
    parentClosePolicy: ParentClosePolicy.ABANDON,
  });
}
