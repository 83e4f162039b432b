import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Said } from '../contracts/index.ts';
import { ladderOf } from '../runbook/catalogue.ts';

/** What a ladder answers as an incident does. */
const OF_LADDERS = ['acknowledge', 'takeOver', 'stop', 'note'];

/**
 * Send what a person says to a run. Where that has ended and left a ladder behind, which pages until somebody takes over, it
 * goes there. Says where it went.
 */
export async function say(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId?: string | undefined },
  signal: string,
  said: Partial<Said>,
): Promise<string> {
  try {
    await client.workflow.getHandle(workflowId, runId).signal(signal, said);
    return workflowId;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError) || !OF_LADDERS.includes(signal)) throw error;
    const ladder = ladderOf(workflowId);
    await client.workflow.getHandle(ladder).signal(signal, said);
    return ladder;
  }
}
