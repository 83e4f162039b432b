/**
 * Procedure: after the incident.
 * Trigger   an incident, or a deployment that went wrong, has ended; its run starts this one and leaves it behind.
 * Steps     measure what was lost; write the document and its chart into the repository of the reviews, and the review into the
 *           record; share it; wait for a person to say what the cause was; remind of each action item before and after it is due,
 *           and escalate it, until it is done. Open at least until its action items are due, for corrections.
 * Source    The user's operational runbook, "Post-Incident"; Google SRE Book, chapter 15, "Postmortem Culture".
 */
import { patched, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import { ReviewOrder, type Review } from '../src/contracts/index.ts';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const { policy: readPolicy } = proxyActivities<ports.Configuration>(kit.delivery);
type Reads = ports.Metrics & ports.ErrorTracker;
/** A local one that ends in the task in which a correction comes cannot be replayed: reviews that are older have them still. */
const measureLocally = proxyLocalActivities<Reads>(kit.diagnostic);
const measureApart = proxyActivities<Reads>(kit.diagnostic);
const write = proxyActivities<ports.ReviewDocuments & ports.ReviewKeeper>(kit.projection);

export async function postIncident(order: ReviewOrder): Promise<Review> {
  const leaves = patched('checks-leave-items'); // here: see `defineRunbook`
  const renewsForSignals = patched('renews-for-signals');
  const { status: given, policy, review: begun, published, recorded } = ReviewOrder.parse(order);
  const status = kit.bounded(given);
  const { service, environment } = status.incident;
  const scope = { service, environment };
  const review = begun ?? kit.reviewOf(status, await kit.withPeople(policy), undefined, { leaves });
  const renewPolicy = () => readPolicy(scope);
  const desk = kit.openDesk({ status, review, policy, renewPolicy, renewsForSignals, trackerClosesAll: !leaves });

  if (begun === undefined && review.drill === undefined) {
    const { beganAt, endedAt } = review.times;
    const windowSeconds = Math.max(1, Math.ceil((Date.parse(endedAt) - Date.parse(beganAt)) / 1000));
    const window = { ...scope, windowSeconds };
    const measure = patched('measures-apart') ? measureApart : measureLocally;
    const [ratio, users, patterns] = await Promise.all([
      kit.measured('failed requests', () => measure.errorRatio(window)),
      kit.measured('affected users', () => measure.affectedUsers(window)),
      kit.measured('first error', () => measure.errorPatterns({ ...window, ...kit.releaseOf(status) })),
    ]);
    desk.lost(kit.impactOf({ ratio, users, patterns, objective: policy.objectives.errorRatio }));
  }
  desk.keep('document', published, async (now) => {
    const markdown = kit.documentOf(now, status);
    desk.published(await write.publishReview({ review: now, markdown, message: kit.commitMessage(now) }));
  });
  desk.keep('record', recorded, (now) => write.recordReview(now));
  if (begun === undefined) await desk.share();
  await desk.untilDone((carried) => ({ status, ...carried }));
  return desk.review();
}
