/** Where a review lies while it is open: the messages of people, the copies elsewhere, the reminders. */
import {
  allHandlersFinished,
  condition,
  proxyActivities,
  setCurrentDetails,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import {
  ReviewSettings,
  type ActionItem,
  type Impact,
  type Policy,
  type Review,
  type Status,
} from '../contracts/index.ts';
import type { IssueTracker, Notifier } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';
import { continueOn, dueToContinue } from './entity.ts';
import { createFollower, type Follower } from './follower.ts';
import { peopleOf, reach } from './paging.ts';
import { learnedOf, withImpact, withItemDone } from './review.ts';
import { reviewDetails, sharedText } from './review-document.ts';
import { CAUSE_ITEM, reminderOf } from './review-items.ts';
import { answerPeople } from './review-words.ts';
import { ENVIRONMENT, PHASE, SERVICE, SEVERITY, WAITING_FOR } from './story.ts';

const DAY_MS = 86_400_000;
const MOST_EVENTS = 1500;
const { announce } = proxyActivities<Notifier>(delivery);
const { fileIssue, issueClosed } = proxyActivities<IssueTracker>(delivery);

type Copy = 'document' | 'record';
const COPIES: Copy[] = ['document', 'record'];
/** How far the copies of a review are, for the next run. */
export type Carried = { review: Review; policy: Policy; published: number; recorded: number };

export interface Desk {
  review(): Review;
  /** What was lost is known now. */
  lost(impact: Impact): void;
  /** Keep a copy up to date; `written` is the revision that it has. */
  keep(copy: Copy, written: number, write: (now: Review) => Promise<void>): void;
  published(document: NonNullable<Review['document']>): void;
  /** Tell everybody, and the owners of the action items what is theirs. */
  share(): Promise<void>;
  /** Answer people and remind them until all is done; goes on in a new run where this one has grown long. */
  untilDone(order: (carried: Carried) => object): Promise<void>;
}

export function openDesk(of: {
  status: Status;
  review: Review;
  policy: Policy;
  renewPolicy: () => Promise<Policy>;
  /** As `answerPeople` has it. */
  renewsForSignals: boolean;
  /** The tracker closes whatever it has, also the item that asks for a person's word. */
  trackerClosesAll: boolean;
}): Desk {
  let { review, policy } = of;
  const followers = new Map<Copy, Follower>();
  const wanted: Record<Copy, number> = { document: review.revision, record: review.revision };
  const settings = (): ReviewSettings => policy.review ?? ReviewSettings.parse({});
  const openItems = (): ActionItem[] => review.actionItems.filter(({ state }) => state === 'open');

  const show = (): void => {
    const waitingFor = [...new Set(openItems().map(({ owner }) => owner))];
    setCurrentDetails(reviewDetails(review));
    upsertMemo({ learned: learnedOf(review) });
    upsertSearchAttributes([
      { key: PHASE, value: review.state === 'open' ? 'reviewing' : 'closed' },
      { key: WAITING_FOR, value: waitingFor.length === 0 ? null : waitingFor },
    ]);
  };
  const change = (next: Review, copies: Copy[] = COPIES): void => {
    review = { ...next, revision: review.revision + 1 };
    for (const copy of copies) {
      wanted[copy] = review.revision;
      followers.get(copy)?.changed();
    }
    show();
  };
  upsertSearchAttributes([
    { key: SERVICE, value: review.service },
    { key: ENVIRONMENT, value: review.environment },
    { key: SEVERITY, value: review.severity },
  ]);
  show();
  let renewing: Promise<void> | undefined;
  /** One read for all who ask meanwhile; where it fails the policy stays as it is. */
  const renew = (): Promise<void> =>
    (renewing ??= of
      .renewPolicy()
      .then(
        (now) => void (policy = now),
        () => undefined,
      )
      .finally(() => (renewing = undefined)));
  const { renewsForSignals } = of;
  answerPeople({ review: () => review, policy: () => policy, change, renew, renewsForSignals });

  const send = async (person: string, level: string, key: string, subject: string, text: string): Promise<void> => {
    const { service, environment, id: workflowId } = review;
    const { runId } = workflowInfo();
    const page = { service, environment, severity: 'info' as const, key, person, level, workflowId, runId };
    await reach({ ...page, subject: subject.slice(0, 200), text: text.slice(0, 4000) }, policy).catch(() => []);
  };

  /** Of each open item the newest reminder whose time has come; what was missed while nothing ran is not made up for. */
  async function remind(now: number): Promise<void> {
    for (const { id } of openItems()) {
      let due;
      for (;;) {
        const item = openItems().find((one) => one.id === id);
        const reminder = item && reminderOf(item, settings());
        if (item === undefined || reminder === undefined || reminder.at > now) break;
        due = { item, reminder, number: item.reminded };
        const counted = { ...item, reminded: item.reminded + 1 };
        change({ ...review, actionItems: review.actionItems.map((one) => (one.id === id ? counted : one)) }, [
          'record',
        ]);
      }
      if (due === undefined) continue;
      policy = await of.renewPolicy().catch(() => policy);
      const { item, reminder, number } = due;
      const level = policy.ladder[Math.min(reminder.level ?? 0, policy.ladder.length - 1)];
      const people = [
        item.owner,
        ...(reminder.level === undefined || level === undefined ? [] : await peopleOf(level)),
      ];
      const subject = `Action item ${reminder.says}: ${item.title}`;
      const text = `${item.why}\nAfter ${review.title} on ${review.service}, ${review.times.detectedAt.slice(0, 10)}\nWhen it is done: action-item close ${review.id} ${item.id}`;
      await Promise.all(
        [...new Set(people)].map((person) =>
          send(person, level?.level ?? 'none', `${review.id}:${id}:${item.dueAt}:${number}:${person}`, subject, text),
        ),
      );
    }
  }

  /** File what has no issue yet; close what the tracker has closed. A tracker that is away is asked again tomorrow. */
  async function lookAtIssues(): Promise<void> {
    const { service, environment } = review;
    for (const { id, issue } of openItems()) {
      const item = openItems().find((one) => one.id === id);
      if (item === undefined) continue;
      if (issue === undefined) {
        const filed = await fileIssue({ service, environment, key: `${review.id}:${id}`, item }).catch(() => undefined);
        const actionItems = review.actionItems.map((one) => (one.id === id ? { ...one, issue: filed?.url } : one));
        if (filed !== undefined) change({ ...review, actionItems: actionItems as ActionItem[] });
      } else if (id === CAUSE_ITEM && !of.trackerClosesAll) continue;
      else if (await issueClosed({ service, environment, url: issue }).catch(() => false))
        change(withItemDone(review, id, { by: 'tracker', at: new Date().toISOString(), note: issue }));
    }
  }

  return {
    review: () => review,
    lost: (impact) => change(withImpact(review, of.status, impact)),
    keep(copy, written, write) {
      const follower = createFollower({ revision: () => wanted[copy], written, write: () => write(review) });
      followers.set(copy, follower);
      follower.changed();
    },
    published(document) {
      if (document.commit !== review.document?.commit) change({ ...review, document }, ['record']);
    },
    async share() {
      await condition(() => review.document !== undefined, '2 minutes');
      const { service, environment, severity, id: workflowId, runId } = review;
      const text = sharedText(review);
      const subject = `Review of ${review.title} on ${service}: ${review.outcome}`.slice(0, 200);
      const at = new Date().toISOString();
      const announcement = { service, environment, severity, workflowId, runId, at, state: 'closed' as const };
      const owners = [...new Set(openItems().map(({ owner }) => owner))];
      await Promise.all([
        ...policy.announce.map((channel) =>
          announce({ channel, announcement: { ...announcement, subject, text } }).catch(() => undefined),
        ),
        ...owners.map((owner) => {
          const own = openItems().filter((item) => item.owner === owner);
          const mine = own.map((item) => `${item.title} (${item.id}, due ${item.dueAt.slice(0, 10)})`).join('\n');
          return send(
            owner,
            'none',
            `${review.id}:owned:${owner}`,
            `Yours after ${review.title}: ${own.length} action items`,
            `${mine}\n\n${text}`,
          );
        }),
      ]);
    },
    async untilDone(order) {
      const openUntil = Date.parse(review.times.endedAt) + msToNumber(settings().due);
      let lookAt = Date.now();
      const due = dueToContinue();
      for (;;) {
        const now = Date.now();
        if (settings().issues && now >= lookAt) {
          lookAt = now + DAY_MS;
          await lookAtIssues();
        }
        await remind(now);
        if (openItems().length === 0 && now >= openUntil) break;
        if (due() || workflowInfo().historyLength > MOST_EVENTS) await goOn(order);
        const times = openItems().map((item) => reminderOf(item, settings()).at);
        const next = Math.min(
          ...times,
          ...(openItems().length === 0 ? [openUntil] : []),
          ...(settings().issues ? [lookAt] : []),
        );
        const seen = review.revision;
        await condition(() => review.revision !== seen || due(), Math.max(1000, next - now));
      }
      change({ ...review, state: review.skipped === undefined ? 'closed' : 'skipped' });
      await condition(() => [...followers.values()].every((follower) => follower.isLevel()));
      await condition(allHandlersFinished);
    },
  };

  async function goOn(order: (carried: Carried) => object): Promise<never> {
    await condition(allHandlersFinished);
    await Promise.all([...followers.values()].map((follower) => follower.leave()));
    await condition(allHandlersFinished); // somebody may have spoken meanwhile
    const reached = (copy: Copy): number => (followers.get(copy)?.written() === wanted[copy] ? review.revision : 0);
    return await continueOn(order({ review, policy, published: reached('document'), recorded: reached('record') }));
  }
}
