import { condition, proxyLocalActivities, setHandler } from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import {
  CodedDecision,
  SignedDecision,
  type Action,
  type Approval,
  type Ballot,
  type Policy,
  type Proposal,
} from '../contracts/index.ts';
import type { Codes } from '../contracts/ports.ts';
import { diagnostic } from './activity-options.ts';
import { assertMayDecide, digestOf, whichNot, whyNot } from './decisions.ts';
import { failure } from '../errors.ts';
import { checkpoint, type Switchboard } from './interruption.ts';
import { approve, decide, reject } from './messages.ts';
import { reach } from './paging.ts';
import type { Story } from './story.ts';

const WRONG_TRIES = 5;
const { checkCode } = proxyLocalActivities<Codes>(diagnostic);

/** A proposal before it has an id, a digest and a deadline. */
export type Draft<A extends Action = Action> = Pick<
  Proposal<A>,
  'summary' | 'why' | 'undo' | 'risk' | 'action' | 'options' | 'notBy'
>;

export type Decided<A extends Action> =
  | { verdict: 'approved'; approval: Omit<Approval<A>, 'fence'>; option?: string; reason?: string }
  | { verdict: 'declined' | 'unanswered' | 'resolved'; note: string };

interface Chosen {
  option?: string | undefined;
  reason?: string | undefined;
}

interface OpenBallot {
  proposal: Proposal;
  approvals: Map<string, string>;
  declined?: { by: string; via: string };
  /** What the first who approved has chosen, and why. */
  chosen?: Chosen;
  wrongTries: Map<string, number>;
}

export interface Approvals {
  request<A extends Action>(draft: Draft<A>): Promise<Decided<A>>;
}

/**
 * Decisions of people for one run: the handlers of `approve`, `reject` and `decide`, and the wait for an answer.
 * A proposal is open from its request until it is decided, expires, or a person stops the run.
 */
export function createApprovals(of: {
  story: Story;
  board: Switchboard;
  policy: () => Policy | undefined;
  /**
   * Before each proposal, by an activity that is not a local one: a task of Temporal's ends there, and what is signed has a time
   * that a replay sees too. After local activities it sees another.
   */
  renewPolicy: () => Promise<void>;
}): Approvals {
  const { story, board } = of;
  const { workflowId, runId, incident } = story.status;
  let open: OpenBallot | undefined;
  let number = 0;

  const standing = (ballot: OpenBallot): Ballot => {
    const needed = of.policy()?.approval[ballot.proposal.risk].quorum ?? 1;
    const verdict = ballot.declined !== undefined ? 'declined' : ballot.approvals.size >= needed ? 'approved' : 'open';
    return { verdict, approvedBy: [...ballot.approvals.keys()], needed };
  };
  const isOpen = (ballot: OpenBallot): boolean => open === ballot && standing(ballot).verdict === 'open';
  const count = (
    ballot: OpenBallot,
    person: string,
    verdict: 'approved' | 'declined',
    via: string,
    { option, reason }: Chosen,
  ): void => {
    if (verdict === 'approved') ballot.approvals.set(person, via);
    if (verdict === 'approved') ballot.chosen ??= { option: option ?? ballot.proposal.options?.[0], reason };
    else ballot.declined = { by: person, via };
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
    const now = Date.now();
    const policy = of.policy();
    if (ballot === undefined || policy === undefined || !isOpen(ballot))
      return refuse(`no proposal is open (said to be ${by})`);
    const why = whyNot(by, ballot.proposal, policy) ?? whichNot(parsed.data, ballot.proposal);
    if (why !== undefined) return refuse(why);
    if ((ballot.wrongTries.get(by) ?? 0) >= WRONG_TRIES)
      return refuse(`${by} is locked for this proposal after ${WRONG_TRIES} wrong codes`);
    ballot.wrongTries.set(by, (ballot.wrongTries.get(by) ?? 0) + 1); // before the check: parallel tries count too
    const valid = await checkCode({ workflowId, runId, digest: ballot.proposal.digest, person: by, code }).catch(
      () => undefined,
    );
    if (valid !== false) ballot.wrongTries.set(by, (ballot.wrongTries.get(by) ?? 1) - 1);
    if (valid === undefined) return refuse('the code could not be checked, send the signal again');
    if (!valid)
      return refuse(
        `the code is not one for ${by} and this proposal (try ${ballot.wrongTries.get(by)} of ${WRONG_TRIES})`,
      );
    if (!isOpen(ballot) || now >= Date.parse(ballot.proposal.expiresAt))
      return refuse('the proposal is no longer open');
    if (ballot.approvals.has(by)) return refuse(`${by} is counted already: a code is used once`);
    count(ballot, by, verdict, 'temporal-ui', parsed.data);
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
      count(open, decision.person, decision.verdict, decision.via, decision);
      return standing(open);
    },
    {
      description: 'Approve or decline the open proposal with a signed decision (CLI, console)',
      validator: (input) => {
        const policy = of.policy();
        const decision = SignedDecision.safeParse(input);
        if (!decision.success) throw failure('NotAllowed', 'this is not a signed decision');
        if (open === undefined || policy === undefined || !isOpen(open))
          throw failure('NotAllowed', 'no proposal is open');
        assertMayDecide(decision.data, { proposal: open.proposal, workflowId, runId, now: Date.now() }, policy);
        if (open.approvals.has(decision.data.person))
          throw failure('NotAllowed', `${decision.data.person} has decided already`);
      },
    },
  );

  const climb = async (ballot: OpenBallot, policy: Policy): Promise<'decided' | 'unanswered' | 'resolved'> => {
    const { proposal } = ballot;
    const decided = () => !isOpen(ballot) || board.ending !== undefined;
    for (const { level, people: all, wait } of policy.ladder) {
      const people = all.filter((person) => proposal.notBy?.includes(person) !== true);
      if (people.length === 0) continue; // whoever asked is not asked
      story.set({ waitingFor: people, waitingUntil: new Date(Date.now() + msToNumber(wait)).toISOString() });
      story.tell('paged', `Asked the ${level.replaceAll('-', ' ')} (${people.join(', ')}) to decide within ${wait}`);
      for (const person of people)
        void reach(
          {
            service: incident.service,
            environment: incident.environment,
            severity: incident.severity,
            key: `${proposal.id}:${level}:${person}`,
            person,
            level,
            workflowId,
            runId,
            subject: proposal.summary.slice(0, 200),
            text: [...proposal.why, `Undo: ${proposal.undo}`].join('\n').slice(0, 4000),
            asks: { digest: proposal.digest, expiresAt: proposal.expiresAt },
          },
          policy,
        ).catch(() => story.tell('page-failed', `${person} could not be paged`)); // a decision does not wait for it
      board.acknowledged = false;
      let answered = await condition(decided, wait);
      const held = (): boolean => board.acknowledged; // an acknowledgement holds the ladder for one more wait, then it is stale
      if (!answered && held()) {
        story.tell('held', `Somebody is looking: the ladder waits ${wait} more`);
        answered = await condition(decided, wait);
      }
      if (answered) return 'decided';
      if (story.status.alerts.resolved) return 'resolved';
    }
    return 'unanswered';
  };

  return {
    async request<A extends Action>(draft: Draft<A>): Promise<Decided<A>> {
      await of.renewPolicy();
      const policy = of.policy();
      if (policy === undefined) throw failure('NotConfigured', 'the approval policy is not known');
      number += 1;
      const id = `${workflowId}/${runId}#${number}`;
      const expiresAt = new Date(
        Date.now() + policy.ladder.reduce((ms, { wait }) => ms + 2 * msToNumber(wait), 0),
      ).toISOString();
      const proposal: Proposal<A> = { ...draft, id, expiresAt, digest: digestOf(id, draft.action, expiresAt) };
      const approved = (by: string[], via: string): Decided<A> => {
        const at = new Date().toISOString();
        story.set({ decision: { verdict: 'approved', by, via, at } });
        return { verdict: 'approved', approval: { id, proposal, by, via, at } };
      };
      story.set({ phase: 'proposing', proposal });
      story.tell('proposed', `Proposed: ${draft.summary}`);
      if (policy.approval[draft.risk].byPolicy && draft.action.kind !== 'go-on') {
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
      const end = await climb(ballot, policy);
      open = undefined;
      story.set({ waitingFor: [] });
      await checkpoint(board);
      if (ballot.declined !== undefined) {
        const { by, via } = ballot.declined;
        story.set({ decision: { verdict: 'declined', by: [by], via, at: new Date().toISOString() } });
        return { verdict: 'declined', note: `${by} declined: ${draft.summary}` };
      }
      if (end === 'decided') {
        const { option, reason } = ballot.chosen ?? {};
        const decided = approved([...ballot.approvals.keys()], [...new Set(ballot.approvals.values())].join(','));
        return { ...decided, ...(option !== undefined && { option }), ...(reason !== undefined && { reason }) };
      }
      if (end === 'resolved')
        return { verdict: 'resolved', note: 'the alert resolved before anyone decided; nothing was changed' };
      const { approvedBy, needed } = standing(ballot);
      const who = approvedBy.length === 0 ? 'nobody' : `only ${approvedBy.join(', ')} (of ${needed} needed)`;
      return { verdict: 'unanswered', note: `${who} answered on any level of the ladder: ${draft.summary}` };
    },
  };
}
