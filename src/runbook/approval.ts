import {
  condition,
  metricMeter,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
} from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import {
  CodedDecision,
  type Action,
  type Approval,
  type Policy,
  type Proposal,
  type SignedDecision,
} from '../contracts/index.ts';
import type { Codes } from '../contracts/ports.ts';
import { delivery, diagnostic } from './activity-options.ts';
import { untilResolved } from './alerts.ts';
import { standing, type Chosen, type OpenBallot } from './ballot.ts';
import { breakGlass } from './break-glass.ts';
import type { Callouts } from './callout.ts';
import { assertMayDecide, digestOf, whichNot, whyNot, wonBy } from './decisions.ts';
import { failure } from '../errors.ts';
import { checkpoint, type Switchboard } from './interruption.ts';
import { approve, decide, reject } from './messages.ts';
import { tellingRefusals } from './refusals.ts';
import type { Story } from './story.ts';

const WRONG_TRIES = 5;
/** A local one that ends in the task in which a decision comes cannot be replayed: runs that are older have it still. */
const { checkCode: checkLocally } = proxyLocalActivities<Codes>(diagnostic);
/** Tried as what is sent to people is: a worker that ends in the midst of it must not lose what somebody has decided. */
const { checkCode: checkApart } = proxyActivities<Codes>(delivery);

/** A proposal before it has an id, a digest and a deadline. */
export type Draft<A extends Action = Action> = Pick<
  Proposal<A>,
  'summary' | 'why' | 'undo' | 'risk' | 'action' | 'options' | 'notBy'
>;

export type Decided<A extends Action> =
  | { verdict: 'approved'; approval: Omit<Approval<A>, 'fence'>; option?: string; reason?: string }
  | { verdict: 'declined' | 'unanswered' | 'resolved'; note: string };

/** What only people answer, whatever the rule says of policy and of silence. */
const BY_PEOPLE: readonly Action['kind'][] = ['go-on', 'confirm-break-glass'];

/** Of a long text its beginning and its end: what failed is said last. */
const shortened = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most / 2)} … ${text.slice(3 - most / 2)}` : text;
const wordsOf = ({ summary, why, undo }: Draft) => ({
  summary: shortened(summary, 500),
  why: why.slice(0, 20).map((line) => shortened(line, 2000)),
  undo: shortened(undo, 500),
});

/** How a question is asked, where not as its rule says: until when, and whom, instead of climbing the ladder. */
export interface Asking {
  until?: string;
  ask?: Callouts['ask'];
}

export interface Approvals {
  request<A extends Action>(draft: Draft<A>, asking?: Asking): Promise<Decided<A>>;
}

/**
 * Decisions of people for one run: the handlers of `approve`, `reject` and `decide`, and the wait for an answer.
 * A proposal is open from its request until it is decided, expires, or a person stops the run.
 */
export function createApprovals(of: {
  story: Story;
  board: Switchboard;
  callouts: Callouts;
  policy: () => Policy | undefined;
  /**
   * Before each proposal, by an activity that is not a local one: a task of Temporal's ends there, and what is signed has a time
   * that a replay sees too. After local activities it sees another.
   */
  renewPolicy: () => Promise<void>;
}): Approvals {
  const { story, board } = of;
  const { workflowId, runId } = story.status;
  let open: OpenBallot | undefined;
  let number = 0;
  /** By its digest, how each proposal was decided: whoever comes too late is told. */
  const settled = new Map<string, string>();
  const whyClosed = (digest = [...settled.keys()].at(-1) ?? ''): string => settled.get(digest) ?? 'no proposal is open';

  const stands = (ballot: OpenBallot) => standing(ballot, of.policy());
  const isOpen = (ballot: OpenBallot): boolean => open === ballot && stands(ballot).verdict === 'open';
  const count = (
    ballot: OpenBallot,
    person: string,
    verdict: 'approved' | 'declined',
    via: string,
    { option, reason }: Chosen,
  ): void => {
    if (verdict === 'approved') ballot.approvals.set(person, via);
    if (verdict === 'approved') ballot.chosen ??= { option: option ?? ballot.proposal.options?.[0], reason };
    else ballot.declined = { by: person, via, reason };
    const { verdict: now, approvedBy } = stands(ballot);
    if (now !== 'open') {
      const [by, ways] = now === 'declined' ? [[person], [via]] : [approvedBy, ballot.approvals.values()];
      settled.set(ballot.proposal.digest, wonBy({ verdict: now, by, via: [...new Set(ways)].join(',') }));
    }
    story.tell(
      verdict,
      `${verdict === 'approved' ? 'Approved' : 'Declined'}${option === undefined ? '' : ` (${option})`}: ${ballot.proposal.summary}${reason === undefined ? '' : `: ${reason}`}`,
      `${person} via ${via}`,
    );
  };

  const coded = async (input: unknown, verdict: 'approved' | 'declined'): Promise<void> => {
    const ballot = open;
    const parsed = CodedDecision.safeParse(input);
    const refuse = (why: string): void =>
      story.tell('refused', `A request to ${verdict === 'approved' ? 'approve' : 'reject'} changed nothing: ${why}`);
    if (!parsed.success) return refuse('the input must be {"by":"<name>","code":"XXXX-XXXX"}');
    const { by, code } = parsed.data;
    if (parsed.data.breakGlass !== undefined)
      return refuse('break-glass is not by a code: use the console, or approve --break-glass on the command line');
    const now = Date.now();
    const policy = of.policy();
    if (ballot === undefined || policy === undefined || !isOpen(ballot))
      return refuse(`${whyClosed()} (said to be ${by})`);
    const chosen = ballot.chosen !== undefined && patched('one-way') ? ballot.chosen.option : undefined;
    const why =
      whyNot(by, ballot.proposal, policy, now) ?? whichNot({ ...parsed.data, verdict }, ballot.proposal, chosen);
    if (why !== undefined) return refuse(why);
    if ((ballot.wrongTries.get(by) ?? 0) >= WRONG_TRIES)
      return refuse(`${by} is locked for this proposal after ${WRONG_TRIES} wrong codes`);
    ballot.wrongTries.set(by, (ballot.wrongTries.get(by) ?? 0) + 1); // before the check: parallel tries count too
    const checkCode = patched('codes-apart') ? checkApart : checkLocally;
    const valid = await checkCode({ workflowId, runId, digest: ballot.proposal.digest, person: by, code }).catch(
      () => undefined,
    );
    if (valid !== false) ballot.wrongTries.set(by, (ballot.wrongTries.get(by) ?? 1) - 1);
    if (valid === undefined) return refuse('the code could not be checked, send the signal again');
    if (!valid)
      return refuse(
        `the code is not one for ${by} and this proposal (try ${ballot.wrongTries.get(by)} of ${WRONG_TRIES})`,
      );
    if (!isOpen(ballot) || board.ending !== undefined || now >= Date.parse(ballot.proposal.expiresAt))
      return refuse(`${whyClosed(ballot.proposal.digest)} (said to be ${by})`);
    if (ballot.approvals.has(by)) return refuse(`${by} is counted already: a code is used once`);
    count(ballot, by, verdict, 'temporal-ui', parsed.data);
  };

  const assertCounts = (decision: SignedDecision | undefined): void => {
    const policy = of.policy();
    if (decision === undefined) throw failure('NotAllowed', 'this is not a signed decision');
    const won = settled.get(decision.digest);
    if (won !== undefined) throw failure('NotAllowed', won);
    if (open === undefined || policy === undefined || !isOpen(open) || board.ending !== undefined)
      throw failure('NotAllowed', board.ending?.note ?? whyClosed(decision.digest));
    const { approvedBy } = stands(open);
    const { proposal, chosen: { option: chosen } = {} } = open;
    assertMayDecide(decision, { proposal, workflowId, runId, approvedBy, chosen, now: Date.now() }, policy);
  };

  setHandler(approve, (input) => coded(input, 'approved'), {
    description: 'Approve the open proposal: {"by":"<name>","code":"XXXX-XXXX"}, with the code sent to you',
  });
  setHandler(reject, (input) => coded(input, 'declined'), {
    description: 'Decline the open proposal: {"by":"<name>","code":"XXXX-XXXX"}',
  });
  setHandler(
    decide,
    (decision) => {
      if (open === undefined) throw failure('NotAllowed', 'no proposal is open');
      const { person, verdict, via } = decision;
      if (decision.breakGlass) {
        open.alone = breakGlass(open.proposal, decision, { workflowId, runId, policy: of.policy() });
        const { workflowId: look, until, reason } = open.alone.look;
        const what = `Break-glass: ${person} approves alone, a second person must look by ${until} (${look}): ${reason}`;
        story.tell('break-glass', what, person);
      }
      count(open, person, verdict, via, decision);
      return stands(open);
    },
    {
      description: 'Approve or decline the open proposal with a signed decision (CLI, console)',
      validator: tellingRefusals(assertCounts),
    },
  );

  /** The ladder is climbed meanwhile, and its end is that of the question unless that has its `ownEnd`; an alert that resolves, and stays so, takes the question back. */
  const decision = async (
    ballot: OpenBallot,
    { ownEnd, ask }: { ownEnd: boolean; ask: Callouts['ask'] },
  ): Promise<'decided' | 'unanswered' | 'resolved'> => {
    const { id, digest, expiresAt, summary, why, undo, notBy } = ballot.proposal;
    const callout = ask(id, {
      subject: summary.slice(0, 200),
      text: [...why, `Undo: ${undo}`].join('\n').slice(0, 4000),
      asks: { digest, expiresAt },
      ...(notBy !== undefined && { notBy }),
    });
    const resolved = untilResolved(story);
    const asked = Date.now();
    const decided = (): boolean => !isOpen(ballot) || board.ending !== undefined;
    const left = Math.max(1, Date.parse(expiresAt) - Date.now());
    await condition(() => decided() || (!ownEnd && callout.over()) || resolved.is(), left);
    callout.withdraw();
    resolved.stop();
    const ending = decided() ? 'decided' : resolved.is() ? 'resolved' : 'unanswered';
    metricMeter
      .createHistogram('holdfast_approval_wait_seconds', 'float')
      .record((Date.now() - asked) / 1000, { ending });
    return ending;
  };

  return {
    async request<A extends Action>(draft: Draft<A>, asking: Asking = {}): Promise<Decided<A>> {
      await of.renewPolicy();
      const policy = of.policy();
      if (policy === undefined) throw failure('NotConfigured', 'the approval policy is not known');
      number += 1;
      const id = `${workflowId}/${runId}#${number}`;
      const { expires, onExpiry, byPolicy } = policy.approval[draft.risk];
      const { until, ask = of.callouts.ask } = asking;
      const opened = expires
        ? msToNumber(expires)
        : policy.ladder.reduce((ms, { wait }) => ms + 2 * msToNumber(wait), 0);
      const expiresAt = until ?? new Date(Date.now() + opened).toISOString();
      const proposal: Proposal<A> = {
        ...draft,
        ...wordsOf(draft),
        id,
        expiresAt,
        digest: digestOf(id, draft.action, expiresAt),
      };
      const approved = (by: string[], via: string, alone?: OpenBallot['alone']): Decided<A> => {
        const at = new Date().toISOString();
        story.set({ decision: { verdict: 'approved', by, via, at, ...(alone && { breakGlass: alone.look }) } });
        return { verdict: 'approved', approval: { id, proposal, by, via, at } };
      };
      story.set({ phase: 'proposing', proposal });
      story.tell('proposed', `Proposed: ${draft.summary}`);
      if (byPolicy && !BY_PEOPLE.includes(draft.action.kind)) {
        story.tell(
          'approved',
          `Approved by policy: ${draft.risk} risk needs no person here`,
          `policy:${draft.risk}-risk`,
        );
        return approved([`policy:${draft.risk}-risk`], 'policy');
      }
      const ballot: OpenBallot = { proposal, approvals: new Map(), wrongTries: new Map() };
      open = ballot;
      story.set({
        phase: 'waiting',
        doing: `Waiting for a decision: ${draft.summary}.`,
        next: 'Act if approved; climb the ladder if nobody answers.',
      });
      const end = await decision(ballot, { ownEnd: (until ?? expires) !== undefined, ask });
      open = undefined;
      story.set({ waitingFor: [], acknowledgedBy: undefined });
      if (ballot.alone !== undefined) await ballot.alone.begun;
      await checkpoint(board);
      if (ballot.declined !== undefined) {
        const { by, via, reason } = ballot.declined;
        story.set({ decision: { verdict: 'declined', by: [by], via, at: new Date().toISOString() } });
        const why = reason === undefined ? '' : `: ${reason}`;
        return { verdict: 'declined', note: `${by} declined: ${draft.summary}${why}` };
      }
      if (end === 'decided') {
        const { option, reason } = ballot.chosen ?? {};
        const ways = [...new Set(ballot.approvals.values())].join(',');
        const decided = approved([...ballot.approvals.keys()], ways, ballot.alone);
        return { ...decided, ...(option !== undefined && { option }), ...(reason !== undefined && { reason }) };
      }
      if (end === 'resolved')
        return {
          verdict: 'resolved',
          note: 'the alert resolved before anyone decided; the proposal is withdrawn, nothing was changed',
        };
      const { approvedBy, needed } = stands(ballot);
      const who = approvedBy.length === 0 ? 'nobody' : `only ${approvedBy.join(', ')} (of ${needed} needed)`;
      if (onExpiry === 'reject' && draft.action.kind !== 'confirm-break-glass') {
        const silence = { verdict: 'declined' as const, by: [`policy:${draft.risk}-risk`], via: 'policy' };
        settled.set(proposal.digest, wonBy(silence));
        story.set({ decision: { ...silence, at: new Date().toISOString() } });
        const note = `${who} answered in time, which the rule for ${draft.risk} risk takes for a no: ${draft.summary}`;
        story.tell('declined', note, silence.by[0]);
        return { verdict: 'declined', note };
      }
      return { verdict: 'unanswered', note: `${who} answered on any level of the ladder: ${draft.summary}` };
    },
  };
}
