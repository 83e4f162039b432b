import { getClient } from '@temporalio/activity';
import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import { z } from 'zod';
import { LastRun } from '../src/contracts/index.ts';
import type { PastRuns } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

export const env = z.object({});

/** What a run leaves in its memo when it ends. */
const Left = LastRun.pick({ outcome: true, note: true, attempts: true }).partial();

/** Runs that are over, from Temporal's visibility, which follows within a second. */
export const createActivities = () =>
  ({
    /** @throws Unavailable (transient) when Temporal does not answer. */
    async newestRuns({ workflowIds }: { workflowIds: string[] }): Promise<Record<string, string>> {
      const found: Record<string, string> = {};
      await asked(async () => {
        for (const workflowId of workflowIds)
          for await (const { startTime } of newest(workflowId, 1)) {
            found[workflowId] = startTime.toISOString();
            break;
          }
      });
      return found;
    },
    /** A run that was ended from outside has no outcome. @throws Unavailable (transient) when Temporal does not answer. */
    async lastRun({ workflowId }: { workflowId: string }): Promise<LastRun | null> {
      return await asked(async () => {
        for await (const { runId, closeTime, memo } of newest(workflowId, 5)) {
          if (closeTime === undefined) continue;
          const { attempts = [], ...left } = Left.safeParse(memo ?? {}).data ?? {};
          return { runId, closedAt: closeTime.toISOString(), attempts, ...left };
        }
        return null;
      });
    },
  }) satisfies PastRuns;

const newest = (workflowId: string, pageSize: number) =>
  getClient().workflow.list({ query: `WorkflowId = '${workflowId.replaceAll("'", "''")}'`, pageSize });

async function asked<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (isGrpcServiceError(error) || error instanceof ServiceError)
      throw failure('Unavailable', `Temporal: ${error.message}`);
    throw error;
  }
}
