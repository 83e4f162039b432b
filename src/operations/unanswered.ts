import { approvalAt } from '../approval-rules.ts';
import { deciderFor, type Settings, type Status } from '../contracts/index.ts';
import { peopleAt } from '../on-call.ts';

/** What comes of an open question: "If nobody answers", at this time, "lead (engineering lead) will be asked". */
export interface Unanswered {
  unless: string;
  at: string | undefined;
  follows: string;
}

/** What happens when nobody answers, by the ladder and the rule of the configuration. */
export function unanswered(status: Status, settings: Settings): Unanswered {
  const { waitingUntil, acknowledgedBy, proposal, incident } = status;
  if (proposal?.action.kind === 'confirm-break-glass')
    return {
      unless: 'If nobody looks',
      at: waitingUntil ?? proposal.expiresAt,
      follows: 'the ladder is climbed, again every day until somebody has',
    };
  const unless = `${acknowledgedBy === undefined ? '' : `${acknowledgedBy} looks at it. `}If nobody answers`;
  const rule = proposal && approvalAt(settings, incident)[proposal.risk];
  const expiresAt = proposal?.expiresAt;
  const expires =
    waitingUntil === undefined || (expiresAt !== undefined && Date.parse(expiresAt) <= Date.parse(waitingUntil));
  const next = expires ? undefined : nextAsked(status, settings);
  if (next !== undefined) return { unless, at: waitingUntil, follows: `${next}; nothing is changed` };
  const at = expires || rule?.expires !== undefined ? expiresAt : waitingUntil;
  if (proposal?.action.kind === 'go-on') return { unless, at, follows: 'it goes on as if rejected' };
  const taken = rule?.onExpiry === 'reject' ? 'that is taken for a no' : 'a person must go on by hand';
  return { unless, at, follows: `nothing is changed and ${taken}` };
}

/** Whom the ladder asks next; undefined at its end. */
function nextAsked(
  { waitingFor, acknowledgedBy }: Status,
  { ladder, schedules, people: known }: Settings,
): string | undefined {
  if (acknowledgedBy !== undefined) return `${waitingFor.join(', ')} will be asked again`;
  const at = Date.now();
  const levels = ladder.map((one) => ({
    level: one.level,
    people: [...new Set(peopleAt(one, schedules, at).map((name) => deciderFor(name, known, at)))],
  }));
  const now = levels.findIndex(
    ({ people }) => waitingFor.length > 0 && waitingFor.every((one) => people.includes(one)),
  );
  if (now < 0) return 'the ladder goes on'; // it was handed to somebody by name, or has not begun
  const next = levels[now + 1];
  return next && `${next.people.join(', ')} (${next.level.replaceAll('-', ' ')}) will be asked`;
}
