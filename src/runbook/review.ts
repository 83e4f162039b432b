/** The review of a run, made of its last status and nothing else: equal input, equal review. */
import {
  DRILL,
  type CauseWord,
  type Impact,
  type Learned,
  type Policy,
  type Review,
  type ReviewTimes,
  type Status,
  type TimelineEntry,
} from '../contracts/index.ts';
import { BREAK_GLASS } from './catalogue.ts';
import { factorsOf, gapsOf, suspectsOf } from './review-causes.ts';
import { CAUSE_ITEM, itemsOf } from './review-items.ts';
import { fingerprintOf } from './learnings.ts';

const DAY_MS = 86_400_000;
/** A timeline line is cut to this, and as many lines kept at each end, where there are more: a review is carried for weeks. */
const LINE = 300;
const LINES_AT_END = 100;
/** Lines by which a person is first heard of. */
const BY_PEOPLE = ['acknowledged', 'approved', 'declined', 'note', 'paused', 'resumed', 'stopped', 'taken-over'];
/** Lines by which the automation tells that it did a step. */
const STEPS = ['checked', 'paged', 'acted', 'verified', 'undone', 'step-done'];
const NEVER = ['released', 'refused', 'superseded'];
const OF_PROCEDURES = ['rolled-back', 'failed', 'handed-over'];

/** Whether what has ended so is reviewed: every incident, a deployment that went wrong, and a rollback that took the traffic. */
export const wantsReview = ({ runbook, outcome, steps, attempts = [] }: Status): boolean => {
  if (outcome === undefined || runbook === BREAK_GLASS) return false;
  if (steps === undefined) return !NEVER.includes(outcome);
  return OF_PROCEDURES.includes(outcome) || attempts.length > 0;
};

export const reviewId = ({ workflowId, runId }: Pick<Status, 'workflowId' | 'runId'>): string =>
  `review.${workflowId}.${runId}`;

/** A status whose size has a bound, whatever its timeline has. */
export function bounded(status: Status): Status {
  const { timeline } = status;
  const over = timeline.length - 2 * LINES_AT_END;
  const kept = over > 0 ? [...timeline.slice(0, LINES_AT_END), ...timeline.slice(-LINES_AT_END)] : timeline;
  const leftOut = (status.leftOut ?? 0) + Math.max(0, over);
  return {
    ...status,
    findings: status.findings.slice(0, 40),
    timeline: kept.map((line) => ({ ...line, what: line.what.slice(0, LINE) })),
    ...(leftOut > 0 && { leftOut }),
  };
}

/** Neither the configuration, nor an agent with a token, nor the run that asks for a second look. */
const isByPerson = ({ kind, who = '' }: TimelineEntry): boolean =>
  BY_PEOPLE.includes(kind) && !/^(policy|token):/.test(who) && who !== BREAK_GLASS;

/** When the first proposal was decided: by the last of those whom it took. */
function decisionOf(timeline: TimelineEntry[]): string | undefined {
  const asked = timeline.findIndex(({ kind }) => kind === 'proposed');
  const again = timeline.findIndex(({ kind }, i) => i > asked && kind === 'proposed');
  const first = asked < 0 ? [] : timeline.slice(asked, again < 0 ? undefined : again);
  return first.findLast((line) => ['approved', 'declined'].includes(line.kind) && isByPerson(line))?.at;
}

export function timesOf(
  { timeline, alerts, incident, steps, attempts = [] }: Status,
  { firstErrorAt }: Pick<Impact, 'firstErrorAt'>,
) {
  const detectedAt = timeline[0]?.at ?? incident.openedAt;
  const endedAt = timeline.findLast(({ kind }) => kind === 'closed')?.at ?? timeline.at(-1)?.at ?? detectedAt;
  const recent = (at: string | undefined): at is string =>
    at !== undefined && at <= detectedAt && Date.parse(detectedAt) - Date.parse(at) < DAY_MS;
  const beganAt = [firstErrorAt, alerts.since].filter(recent).toSorted()[0] ?? detectedAt;
  const acknowledgedAt = timeline.find(isByPerson)?.at;
  const proposedAt = timeline.find(({ kind }) => kind === 'proposed')?.at;
  const decidedAt = decisionOf(timeline);
  const verified = timeline.findLastIndex(({ kind }) => kind === 'verified');
  const acted = timeline.slice(0, verified + 1).findLast(({ kind }) => kind === 'acted')?.at;
  const mitigatedAt = acted ?? (steps && attempts.find(({ result }) => result === 'helped')?.at);
  return {
    beganAt,
    detectedAt,
    ...(acknowledgedAt !== undefined && { acknowledgedAt }),
    ...(proposedAt !== undefined && { proposedAt }),
    ...(decidedAt !== undefined && { decidedAt }),
    ...(mitigatedAt !== undefined && { mitigatedAt }),
    endedAt,
  } satisfies ReviewTimes;
}

/** Lines left out of the middle of a long timeline are not counted. */
const toilOf = ({ timeline }: Status) => ({
  alone: timeline.filter(({ kind }) => STEPS.includes(kind)).length,
  byPeople: timeline.filter(isByPerson).length,
});

/** One that began before checks left items keeps those that it has: `leaves` is false for it. */
export function reviewOf(
  status: Status,
  policy: Policy,
  impact: Impact = { unknown: [] },
  { leaves = true } = {},
): Review {
  const { workflowId, runId, runbook, title, incident, outcome = 'failed', note = '', attempts = [] } = status;
  const { service, environment, severity, summary } = incident;
  const times = timesOf(status, impact);
  const draft = {
    id: reviewId(status),
    service,
    environment,
    workflowId,
    runId,
    runbook,
    title,
    severity,
    summary,
    outcome,
    note,
    times,
    impact,
    toil: toilOf(status),
    attempts,
    causes: suspectsOf(status),
    decisions: [],
    factors: factorsOf(status),
    gaps: gapsOf(status, times, impact),
    ...(status.bundle !== undefined && { bundle: status.bundle }),
    fingerprint: fingerprintOf(status.findings),
    ...(status.incident.openedBy === DRILL && { drill: true as const }),
    state: 'open' as const,
    revision: 1,
  };
  return { ...draft, actionItems: itemsOf(status, draft, policy, { leaves }) };
}

/** With what was lost, once that was measured. */
export function withImpact(review: Review, status: Status, impact: Impact): Review {
  const times = timesOf(status, impact);
  return { ...review, impact, times, gaps: gapsOf(status, times, impact) };
}

/** The suspected cause that a person means: by its id, its number in the document, or its words. */
const meant = ({ causes }: Review, word: string) =>
  causes.find(({ id, what }, i) => id === word || what === word || String(i + 1) === word);

/** What a person says of the cause: one of the suspected, or another. What was suspected before is kept. */
export function withCause(review: Review, { by, cause, reason }: CauseWord, at: string): Review {
  const known = meant(review, cause);
  const what = known?.what ?? cause;
  const own = known ?? { id: `person:${by}`, what, evidence: [`said by ${by}`], state: 'suspected' as const };
  const others = review.causes.filter(({ id }) => id !== own.id);
  const before = review.causes.filter(({ state }) => state !== 'ruled-out').map((one) => `${one.what} (${one.state})`);
  return {
    ...review,
    causes: [
      { ...own, state: 'confirmed' as const },
      ...others.map((one) => ({ ...one, state: 'ruled-out' as const })),
    ].slice(0, 12),
    decisions: [...review.decisions, { at, by, cause: what, before, ...(reason !== undefined && { reason }) }].slice(
      -20,
    ),
    actionItems: withItemDone(review, CAUSE_ITEM, { by, at, note: what }).actionItems,
  };
}

export const withItemDone = (
  review: Review,
  id: string,
  { by, at, note }: { by: string; at: string; note?: string | undefined },
): Review => ({
  ...review,
  actionItems: review.actionItems.map((item) =>
    item.id !== id || item.state === 'done'
      ? item
      : { ...item, state: 'done', closedAt: at, closedBy: by, ...(note !== undefined && { note: note.slice(0, 500) }) },
  ),
});

/** What the next incident, the digest and the index need of it. */
export function learnedOf(review: Review): Learned {
  const { id, service, environment, workflowId, runId, runbook, title, severity, outcome, times, state } = review;
  return {
    service,
    environment,
    workflowId,
    runId,
    runbook,
    title,
    severity,
    outcome,
    times,
    state,
    review: id,
    summary: review.summary.slice(0, 300),
    ...(review.impact.budgetSpent !== undefined && { budgetSpent: review.impact.budgetSpent }),
    fingerprint: review.fingerprint,
    ...(review.toil !== undefined && { toil: review.toil }),
    ...(review.drill === true && { drill: true as const }),
    attempts: review.attempts.map(({ kind, target, result, at, endedAt }) => ({
      kind,
      target,
      result,
      ...(result === 'helped' && { tookMs: Date.parse(endedAt) - Date.parse(at) }),
    })),
    causes: review.causes
      .filter((cause) => cause.state !== 'ruled-out')
      .slice(0, 3)
      .map(({ what, state: how }) => ({ what, state: how })),
    openItems: review.actionItems
      .filter((item) => item.state === 'open')
      .map(({ id: item, title: says, setting, owner, dueAt }) => ({
        id: item,
        title: says,
        ...(setting !== undefined && { setting }),
        owner,
        dueAt,
      })),
    ...(review.document !== undefined && { document: review.document.path }),
  };
}
