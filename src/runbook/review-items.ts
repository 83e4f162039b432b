/** What is left to be done after an incident: drafted from what happened, reminded of until it is done. */
import { msToNumber } from '@temporalio/common/lib/time.js';
import {
  DRILL,
  type ActionItem,
  type Policy,
  type Review,
  type ReviewSettings,
  type Status,
} from '../contracts/index.ts';

const DAY_MS = 86_400_000;
const SOON_MS = DAY_MS;
/** The item that stands for a person's word on the cause. */
export const CAUSE_ITEM = 'confirm-the-cause';

export interface Draft {
  id: string;
  title: string;
  why: string;
  setting?: string;
  /** Not the team's but the next level's. */
  lead?: boolean;
  /** It cannot wait as long as the rest. */
  soon?: boolean;
}

const FOLLOW_UP: Partial<Record<string, (target: string) => [id: string, title: string]>> = {
  'roll-back': (target) => ['mend-the-release', `Mend ${target} and release it again; until then it is held`],
  'switch-off-flag': (target) => ['flag-left-off', `Mend what ${target} switches on and set it again, or remove it`],
  scale: () => ['capacity', 'Decide how many instances it needs, and configure that'],
  'end-sessions': (target) => ['sessions', `Find out why ${target || 'these sessions'} held others up, and mend it`],
  'create-index': (target) => ['index-in-migrations', `Put the index on ${target} into the migrations of the service`],
  'resize-pool': (target) => ['pool-size', `Configure the size of the pool ${target} for good`],
  'reconnect-pool': (target) => ['stale-connections', `Find out why connections of ${target} went stale`],
  'resize-compute': () => ['compute', 'Decide on the size of the database, and what it costs'],
};
/** The same, and bad checks that nothing mends by itself; since reviews are told so (`leaves`). */
const LEFT_BY_ACTION: Partial<Record<string, (target: string) => [id: string, title: string]>> = {
  'restart-instances': () => ['leak', 'Find what leaks: a restart has only gained time'],
  'turn-on-caching': (target) => ['slow-route', `Make ${target} quick, or decide that it stays cached`],
};
const LEFT_BY_CHECK: Partial<Record<string, [id: string, title: string]>> = {
  bundle: ['smaller-bundle', 'Make the bundle smaller'],
  'action items': ['left-to-people', 'See to what the diagnosis leaves to people'],
};
const AFTER: Partial<Record<string, [id: string, title: string]>> = {
  failed: ['mend-the-automation', 'Mend the automation: it broke'],
  'handed-over': ['runbook-gap', 'Say in the runbook what is to be done in such a case'],
  'not-recovered': ['runbook-gap', 'Find out what would have helped, and let the runbook propose it'],
  unanswered: ['nobody-answered', 'Find out why nobody answered on any level of the ladder'],
  'taken-over': ['by-hand', 'Write down what was done by hand, and let the runbook do it'],
};

/** How what an action item is about is tried on past incidents, before it is changed. */
export const trialOf = (setting: string) => ({
  change: `change ${setting} in other.config.ts, a copy of the configuration`,
  command: 'npm run -s holdfast -- what-if --config other.config.ts',
});

/** Where what helped was not the first thing that was tried. */
function orderOf({ runbook, attempts = [] }: Status): Draft[] {
  const helped = attempts.find(({ result }) => result === 'helped');
  const inVain = attempts.find(({ result }) => result === 'not-helped');
  if (helped === undefined || inVain === undefined || helped.kind === inVain.kind) return [];
  return [
    {
      id: 'proposal-order',
      title: `Decide whether ${helped.kind} is to be proposed first`,
      why: `${inVain.summary}: it did not help; ${helped.summary}: it did`,
      setting: `proposals to { '${runbook}': ['${helped.kind}'] }`,
    },
  ];
}

function draftsOf(status: Status, review: Omit<Review, 'actionItems'>, policy: Policy, leaves: boolean): Draft[] {
  const { attempts = [], timeline, findings, proposal, note = '' } = status;
  const { times, outcome } = review;
  if (status.incident.openedBy === DRILL)
    return [{ id: 'drill-failed', title: `Mend ${review.runbook}, or what keeps it from being drilled`, why: note }];
  const wait = policy.ladder[0] === undefined ? 0 : msToNumber(policy.ladder[0].wait);
  const unacknowledgedMs = Date.parse(times.acknowledgedAt ?? times.endedAt) - Date.parse(times.detectedAt);
  const missed = timeline.some(({ kind }) => kind === 'paged') && unacknowledgedMs > wait;
  const after = AFTER[outcome];
  const open = proposal?.action.kind === 'create-index' && attempts.every(({ kind }) => kind !== 'create-index');
  return [
    ...(policy.review?.required.includes(review.severity) === true
      ? [{ id: CAUSE_ITEM, title: 'Confirm or correct the suspected cause', why: review.causes[0]?.what ?? note }]
      : []),
    ...timeline
      .filter(({ kind }) => kind === 'undo-failed')
      .map(({ what }) => ({
        id: 'undo-failed',
        title: 'Finish by hand what could not be undone',
        why: what,
        soon: true,
      })),
    ...attempts
      .filter(({ result, undo }) => result === 'helped' || undo === 'none' || result === 'not-measurable')
      .flatMap(({ kind, target, summary }) => {
        const [id, title] = (FOLLOW_UP[kind] ?? (leaves ? LEFT_BY_ACTION[kind] : undefined))?.(target) ?? [];
        return id === undefined || title === undefined ? [] : [{ id, title, why: summary }];
      }),
    ...findings.flatMap(({ check, verdict, summary }) => {
      const [id, title] = (leaves && verdict === 'bad' ? LEFT_BY_CHECK[check] : undefined) ?? [];
      return id === undefined || title === undefined ? [] : [{ id, title, why: summary }];
    }),
    ...orderOf(status),
    ...(open ? [{ id: 'missing-index', title: `Decide on the index: ${proposal.summary}`, why: proposal.undo }] : []),
    ...timeline
      .filter(({ kind }) => kind === 'step-skipped')
      .map(({ what }) => ({ id: 'step-skipped', title: 'Mend the step that was left out, and do it', why: what })),
    ...findings
      .filter(({ verdict }) => verdict === 'unknown')
      .map(({ check, summary }) => ({ id: 'unknown-check', title: `Let "${check}" be read again`, why: summary })),
    ...(missed
      ? [
          {
            id: 'slow-acknowledgement',
            title: 'Shorten the way to a person',
            why: `${times.acknowledgedAt === undefined ? 'nobody was heard of' : 'the first person was heard of later'} than the first level's ${policy.ladder[0]?.wait}`,
            setting: 'ladder[0].wait',
            lead: true,
          },
        ]
      : []),
    ...(status.incident.openedBy.startsWith('cli:') && status.steps === undefined
      ? [{ id: 'no-alert', title: 'Let an alert raise it', why: `it was opened by ${status.incident.openedBy}` }]
      : []),
    ...(after === undefined
      ? []
      : [{ id: after[0], title: after[1], why: note, ...(outcome === 'unanswered' && { setting: 'ladder' }) }]),
    ...(outcome === 'rolled-back'
      ? [{ id: 'mend-the-release', title: 'Mend the release and deploy it again', why: note }]
      : []),
  ];
}

/** The first of a level, or of the one before it. */
const personOf = ({ ladder }: Policy, level: number): string =>
  ladder[Math.min(level, ladder.length - 1)]?.people[0] ?? 'nobody';

/** Action items with owner and due date; ids are unique. */
export function itemsOf(
  status: Status,
  review: Omit<Review, 'actionItems'>,
  policy: Policy,
  { leaves }: { leaves: boolean },
): ActionItem[] {
  const dueMs = msToNumber(policy.review?.due ?? '7 days');
  const from = Date.parse(review.times.endedAt);
  const taken = new Map<string, number>();
  return draftsOf(status, review, policy, leaves)
    .slice(0, 30)
    .map(({ id, title, why, setting, lead, soon }) => {
      const number = (taken.get(id) ?? 0) + 1;
      taken.set(id, number);
      return {
        id: number === 1 ? id : `${id}-${number}`,
        title: title.slice(0, 300),
        why: why.slice(0, 600),
        ...(setting !== undefined && { setting }),
        owner: personOf(policy, lead === true ? 1 : 0),
        dueAt: new Date(from + (soon === true ? SOON_MS : dueMs)).toISOString(),
        state: 'open',
        reminded: 0,
      };
    });
}

export interface Reminder {
  at: number;
  says: string;
  /** Level of the ladder that hears of it beside the owner. */
  level?: number;
}

/** The next reminder of an open item: a day before it is due, when it is due, then again and again, each time to a higher level. */
export function reminderOf({ dueAt, reminded }: ActionItem, { escalateAfter }: ReviewSettings): Reminder {
  const due = Date.parse(dueAt);
  if (reminded === 0) return { at: due - DAY_MS, says: 'is due tomorrow' };
  if (reminded === 1) return { at: due, says: 'is due now' };
  const times = reminded - 1;
  return { at: due + times * msToNumber(escalateAfter), says: `is overdue since ${dueAt.slice(0, 10)}`, level: times };
}
