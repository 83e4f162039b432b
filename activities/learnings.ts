/** What past reviews say: those that Temporal has still, by their memos, and those that only the record remembers. */
import { getClient } from '@temporalio/activity';
import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import { z } from 'zod';
import { Learned, learnedOf, type Resemblances, type Settings } from '../src/contracts/index.ts';
import type { Learnings } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { ALIKE, likeness } from '../src/likeness.ts';
import { recordOf } from '../src/record.ts';

const READ = 200;
const SHOWN = 5;
/** An incident is open: what the record has not answered by then is unknown. */
const RECORD_MS = 3000;

export const env = z.object({
  RECORD_SUPABASE_URL: z.url().optional(),
  RECORD_SUPABASE_SECRET_KEY: z.string().min(1).optional(),
});

const saying = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 200);

export function createActivities(configured: z.output<typeof env>, _settings: Settings) {
  const record = recordOf(configured, RECORD_MS);

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
    /** Of what only one of the two can tell, with why the other cannot. @throws Unavailable (transient) when neither can. */
    async resembling({ service, environment, runbook, fingerprint }): Promise<Resemblances> {
      const [kept, recorded] = await Promise.allSettled([
        learned(`HoldfastService = '${service}' AND HoldfastEnvironment = '${environment}'`),
        record === undefined ? [] : record.reviewsOf({ service, environment, runbook, limit: READ }),
      ]);
      const unread = [kept, recorded].flatMap((one) => (one.status === 'rejected' ? [saying(one.reason)] : []));
      const unknown = unread.join('; ');
      if (kept.status === 'rejected' && (record === undefined || recorded.status === 'rejected'))
        throw failure('Unavailable', unknown);
      const known = [
        ...(recorded.status === 'fulfilled' ? recorded.value.map(learnedOf) : []),
        ...(kept.status === 'fulfilled' ? kept.value : []), // last: the record may lag behind
      ];
      const past = [...new Map(known.map((one) => [one.review, one])).values()]
        .filter((one) => one.runbook === runbook)
        .map((one) => ({ one, likeness: likeness(one.fingerprint, fingerprint) }))
        .filter((one) => one.likeness >= ALIKE)
        .toSorted((a, b) => b.one.times.detectedAt.localeCompare(a.one.times.detectedAt))
        .slice(0, SHOWN)
        .map(({ one: { workflowId, times, outcome, causes, attempts }, likeness: share }) => ({
          workflowId,
          at: times.detectedAt,
          likeness: share,
          outcome,
          attempts,
          ...(causes[0] !== undefined && { cause: causes[0] }),
        }));
      return { past, ...(unread.length > 0 && { unknown }) };
    },
    async learnedSince({ service, since }): Promise<Learned[]> {
      const past = await learned(`HoldfastService = '${service}'`);
      return past.filter(({ times, openItems }) => times.endedAt >= since || openItems.length > 0);
    },
  } satisfies Learnings;
}
