/** What past reviews say, from the memos that Temporal keeps of them. */
import { getClient } from '@temporalio/activity';
import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import { z } from 'zod';
import { Learned, type Resemblance, type Settings } from '../src/contracts/index.ts';
import type { Learnings } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { ALIKE, likeness } from '../src/likeness.ts';

const READ = 200;
const SHOWN = 5;

export const env = z.object({});

export function createActivities(_env: z.output<typeof env>, _settings: Settings) {
  /** Newest first; the slugs of `of` need no quoting. */
  const learned = async (query: string): Promise<Learned[]> => {
    const found = new Map<string, Learned>();
    const { workflow } = getClient();
    try {
      for await (const { memo } of workflow.list({
        query: `WorkflowType = 'postIncident' AND ${query}`,
        pageSize: READ,
      })) {
        const one = Learned.safeParse(memo?.['learned']).data;
        if (one !== undefined && !found.has(one.review)) found.set(one.review, one);
        if (found.size >= READ) break;
      }
    } catch (error) {
      if (isGrpcServiceError(error) || error instanceof ServiceError)
        throw failure('Unavailable', `Temporal: ${error.message}`);
      throw error;
    }
    return [...found.values()];
  };

  return {
    async resembling({ service, environment, runbook, fingerprint }): Promise<Resemblance[]> {
      const past = await learned(`HoldfastService = '${service}' AND HoldfastEnvironment = '${environment}'`);
      return past
        .filter((one) => one.runbook === runbook)
        .map((one) => ({ one, likeness: likeness(one.fingerprint, fingerprint) }))
        .filter((one) => one.likeness >= ALIKE)
        .slice(0, SHOWN)
        .map(({ one: { workflowId, times, outcome, causes, attempts }, likeness: share }) => ({
          workflowId,
          at: times.detectedAt,
          likeness: share,
          outcome,
          attempts,
          ...(causes[0] !== undefined && { cause: causes[0] }),
        }));
    },
    async learnedSince({ service, since }): Promise<Learned[]> {
      const past = await learned(`HoldfastService = '${service}'`);
      return past.filter(({ times, openItems }) => times.endedAt >= since || openItems.length > 0);
    },
  } satisfies Learnings;
}
