/** What may have brought an incident about, what made it worse, and what kept it from being seen. */
import type { Action, Attempt, Cause, Impact, ReviewTimes, Status } from '../contracts/index.ts';
import { targetOf } from './attempts.ts';

/** How long an alert may take to come after what it is about. */
const DETECTION_MS = 60_000;
/** Checks that measure what users meet, and what is left to people: evidence, never a cause. */
const SYMPTOMS =
  /affected users|error ratio|failed requests|error patterns|stack traces|response times|application health|web vitals|action items/i;
const WORSE: Record<string, string> = {
  'page-failed': 'somebody could not be reached',
  expired: 'an approval expired',
  'act-failed': 'what was approved failed',
  'undo-failed': 'an undo failed',
  'not-undone': 'something could not be undone',
  'not-helped': 'something was tried in vain',
  'step-failed': 'a step failed',
  'step-skipped': 'a step was left out',
  waiting: 'it had to wait',
  record: 'the record was away',
};

interface Suspect {
  id: string;
  what: string;
  evidence: string[];
  weight: number;
}

/** In words: what it would be if this remedy is the right one. */
function behind(kind: Action['kind'], target: string, summary: string): string {
  switch (kind) {
    case 'roll-back':
    case 'deploy':
      return `the release ${target}`;
    case 'switch-off-flag':
      return `what the flag ${target} switches on`;
    case 'create-index':
      return `an index that is missing: ${target}`;
    case 'end-sessions':
      return `sessions that hold others up${target === '' ? '' : `, of ${target}`}`;
    case 'reconnect-pool':
      return `connections of the pool ${target} that no longer work`;
    case 'resize-pool':
      return `a pool that is too small: ${target}`;
    case 'scale':
      return 'more load than the instances carry';
    case 'resize-compute':
      return 'more load than the database carries';
    default:
      return `what this would have mended: ${summary}`;
  }
}
const RESULTS: Record<Attempt['result'], [says: string, weight: number]> = {
  helped: ['it helped', 100],
  'not-measurable': ['whether it helped could not be measured', 40],
  failed: ['it could not be done', 30],
  'not-helped': ['it did not help', -50],
};

/**
 * Suspects, most suspected first: what helped, what was proposed, commits that touch what fails, what a check found bad that is no
 * symptom; last what was tried in vain, and the commits of a release that was rolled back in vain. All are `suspected` until a
 * person says more.
 */
export function suspectsOf({ attempts = [], proposal, findings, timeline, steps, commits = [] }: Status): Cause[] {
  const suspects = new Map<string, Suspect>();
  const suspect = (id: string, what: string, evidence: string[], weight: number): void => {
    const known = suspects.get(id) ?? { id, what, evidence: [], weight: 0 };
    suspects.set(id, { ...known, evidence: [...known.evidence, ...evidence], weight: known.weight + weight });
  };
  for (const { kind, target, summary, result } of attempts) {
    const [says, weight] = RESULTS[result];
    suspect(`${kind}:${target}`, behind(kind, target, summary), [`${summary}: ${says}`], weight);
  }
  if (proposal !== undefined && proposal.action.kind !== 'go-on') {
    const { action, summary, why } = proposal;
    const target = targetOf(action);
    suspect(`${action.kind}:${target}`, behind(action.kind, target, summary), why, steps === undefined ? 30 : 10);
  }
  const inVain = attempts.some(({ kind, result }) => kind === 'roll-back' && result === 'not-helped');
  for (const { id, what, touches } of commits)
    suspect(`commit:${id}`, `the commit ${what}`, [`it has to do with ${touches.join(', ')}`], inVain ? -40 : 20);
  for (const { kind, what } of timeline)
    if (kind === 'step-failed') suspect(`step:${what.slice(0, 60)}`, what.slice(0, 300), [], 20);
  for (const { check, verdict, summary } of findings)
    if (verdict === 'bad' && !SYMPTOMS.test(check)) suspect(`check:${check}`, `${check}: ${summary}`, [summary], 10);
  return [...suspects.values()]
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, 12)
    .map(({ id, what, evidence }) => ({
      id: id.slice(0, 120),
      what: what.slice(0, 300),
      evidence: [...new Set(evidence)].slice(0, 8).map((one) => one.slice(0, 600)),
      state: 'suspected',
    }));
}

/** What made it worse or longer, as the timeline tells it. */
export function factorsOf({ timeline, alerts }: Status): string[] {
  const asked = timeline.filter(({ kind }) => kind === 'paged').length;
  const answered = timeline.filter(({ kind }) => kind === 'approved' || kind === 'declined').length;
  return [
    ...(asked > Math.max(1, answered) ? [`${asked} levels of the ladder were asked for ${answered} decisions`] : []),
    ...(alerts.deliveries > 100 ? [`${alerts.deliveries} deliveries of its alerts`] : []),
    ...new Set(
      timeline.flatMap(({ kind, what, who }) => {
        const worse = kind === 'refused' && who === 'control' ? 'it was not granted' : WORSE[kind];
        return worse === undefined ? [] : [`${worse}: ${what}`];
      }),
    ),
  ].slice(0, 20);
}

/** What was seen late, or not at all. */
export function gapsOf({ findings, incident }: Status, times: ReviewTimes, impact: Impact): string[] {
  const lateMs = Date.parse(times.detectedAt) - Date.parse(times.beganAt);
  const [opener, by] = incident.openedBy.split(':');
  const first = impact.firstErrorAt === times.beganAt ? 'the first error' : 'its alert began to fire';
  return [
    ...(opener === 'cli' ? [`no alert raised it: ${by ?? 'a person'} did`] : []),
    ...(lateMs > DETECTION_MS ? [`it was opened ${spanOf(lateMs)} after ${first}`] : []),
    ...findings
      .filter(({ verdict }) => verdict === 'unknown')
      .map(({ check, summary }) => `${check}: ${summary}`.slice(0, 300)),
    ...impact.unknown,
  ].slice(0, 20);
}

/** A span for people: `40 seconds`, `4 minutes`, `3.5 hours`, `2 days`. */
export function spanOf(ms: number): string {
  const units = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ] as const;
  const [unit, size] = units.find(([, unitMs]) => ms >= unitMs) ?? (['second', 1000] as const);
  const count = Number((ms / size).toFixed(ms / size < 10 && size > 60_000 ? 1 : 0));
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
