/** Reviews of what has ended, as people read and answer them. */
import { Learned, type CauseWord, type ItemWord, Review } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import type { IncidentRecord } from '../record.ts';
import { learnedOf } from '../runbook/review.ts';
import { asked, type Access } from './temporal.ts';

const LISTED = 500;
const ANSWER_MS = 30_000;

/** Workflow id of what is reviewed, and the id of its run: together they name the review. */
export const REVIEWED = /^(incident|deployment|rollback|drill)\.[a-z0-9-]{1,40}\.[a-z0-9-]{1,60}(\.[a-z0-9-]{1,40})?$/;
export const REVIEWED_RUN = /^[\w-]{1,120}$/;

/** What was learned, newest first: of what Temporal has still, and of what only the record remembers where there is one. */
export async function pastReviews(
  { client }: Pick<Access, 'client'>,
  record?: IncidentRecord,
): Promise<{ learned: Learned[]; unknown?: string }> {
  const found = new Map<string, Learned>();
  await asked(client, async () => {
    for await (const { memo } of client.workflow.list({ query: "WorkflowType = 'postIncident'", pageSize: LISTED })) {
      const learned = Learned.safeParse(memo?.['learned']).data;
      if (learned !== undefined && !found.has(learned.review)) found.set(learned.review, learned);
      if (found.size >= LISTED) break;
    }
  });
  const recorded = await record?.recentReviews(LISTED).catch((error: unknown) => String(error));
  for (const review of Array.isArray(recorded) ? recorded : [])
    if (!found.has(review.id)) found.set(review.id, learnedOf(review));
  return {
    learned: [...found.values()].toSorted((a, b) => b.times.detectedAt.localeCompare(a.times.detectedAt)),
    ...(typeof recorded === 'string' && { unknown: `the record cannot be read: ${recorded}` }),
  };
}

/** Of these, those in which all of the words are, of a service, with open action items: as far as each is asked for. */
export function searched(
  learned: Learned[],
  of: { search?: string | undefined; service?: string | undefined; open?: boolean | undefined },
): Learned[] {
  const { search = '', service, open = false } = of;
  const words = search.toLowerCase().split(/\s+/);
  return learned.filter((one) => {
    const text = JSON.stringify(one).toLowerCase();
    const wanted = (!open || one.openItems.length > 0) && (service ?? one.service) === one.service;
    return wanted && words.every((word) => text.includes(word));
  });
}

/** One review, open or closed; of the record where Temporal has none any more. @throws NotFound, Unavailable. */
export async function reviewOf({ client }: Access, id: string, record?: IncidentRecord): Promise<Review> {
  try {
    return Review.parse(await asked(client, () => client.workflow.getHandle(id).query('review')));
  } catch (error) {
    const recorded = await record?.review(id).catch(() => undefined);
    if (recorded === undefined) throw error;
    return recorded;
  }
}

/** Say what the cause was, or change an action item. @throws what the review refuses with; NotFound once it is closed. */
export async function tellReview(
  { client }: Access,
  id: string,
  update: 'confirmCause' | 'closeItem' | 'changeItem',
  word: CauseWord | ItemWord,
): Promise<Review> {
  if (!id.startsWith('review.')) throw failure('NotFound', 'there is no such review');
  const tell = () =>
    client.workflow.getHandle(id).executeUpdate<Review, [CauseWord | ItemWord]>(update, { args: [word] });
  return await asked(client, tell, ANSWER_MS);
}
