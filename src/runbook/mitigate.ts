import { CancellationScope, patched, proxyActivities, sleep } from '@temporalio/workflow';
import type { Approval, Attempt, ChangeReport, Policy, Result, Verdict } from '../contracts/index.ts';
import type { ChangeControl } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';
import type { Approvals } from './approval.ts';
import { noteOf } from './attempts.ts';
import { canonical } from './decisions.ts';
import { say, typeOf } from './failures.ts';
import { checkpoint, type Switchboard } from './interruption.ts';
import { inLightOf, inOrder, pastOf, resembles } from './learnings.ts';
import type { AnyRemedy } from './run.ts';
import type { Story } from './story.ts';

const ROUNDS = 8;
const BUSY_TRIES = 40;
const ASK_AGAIN_MS = 15_000;
const LONGEST_BUSY_MS = (BUSY_TRIES + 4) * ASK_AGAIN_MS;
const { requestChange, reportChange } = proxyActivities<ChangeControl>(delivery);

export interface Steps<E> {
  diagnose: () => Promise<E>;
  propose: (evidence: E) => (AnyRemedy | undefined)[];
  verify: () => Promise<Verdict>;
}
type Kit = { story: Story; board: Switchboard; policy: Policy; approvals: Approvals };
type Tried = { result: Result } | { next: 'try-another' | 'ask-again' };

/** The loop that every runbook shares; see `Run.mitigate`. */
export async function mitigate<E>(kit: Kit, steps: Steps<E>): Promise<Result> {
  const { story, board, policy } = kit;
  const tried = new Set<string>();
  for (let round = 1; round <= ROUNDS; round += 1) {
    await checkpoint(board);
    story.set({
      phase: 'diagnosing',
      findings: [],
      doing: 'Diagnosing: what is wrong, and since when?',
      next: 'Propose what the evidence supports.',
    });
    const evidence = await steps.diagnose();
    const past = await pastOf(story, policy);
    for (const one of round === 1 ? past.slice(0, 2) : []) story.tell('resembles', resembles(one));
    const supported = steps.propose(evidence).filter((one) => one !== undefined);
    const proposals = inLightOf(past, inOrder(supported, story.status.runbook, policy));
    const remedy = choose(story, proposals, tried);
    await checkpoint(board);
    if (policy.mode === 'observe')
      return { outcome: 'handed-over', note: 'this service is only observed; the findings are here' };
    if (remedy === undefined)
      return tried.size === 0
        ? {
            outcome: 'handed-over',
            note: 'nothing that Holdfast may do is supported by the evidence; everything gathered is here',
          }
        : { outcome: 'not-recovered', note: 'everything proposed was tried and undone; a person must go on' };
    if (policy.mode === 'propose')
      return {
        outcome: 'handed-over',
        note: `this service is in mode "propose"; it would have proposed: ${remedy.summary}`,
      };
    const end = await attempt(kit, remedy, steps.verify);
    if ('result' in end) return end.result;
    if (end.next === 'try-another') tried.add(canonical(remedy.action));
  }
  return { outcome: 'handed-over', note: `the world changed under ${ROUNDS} proposals in a row` };
}

/** The first that this run has not tried; what did not help the run before comes last, and says so. */
function choose(story: Story, proposed: AnyRemedy[], tried: ReadonlySet<string>): AnyRemedy | undefined {
  const left = proposed.filter(({ action }) => !tried.has(canonical(action)));
  const before = ({ summary }: AnyRemedy) =>
    story.status.last?.attempts.find((one) => one.summary === summary && one.result !== 'helped');
  const remedy = left.find((one) => before(one) === undefined) ?? left[0];
  const failed = remedy && before(remedy);
  return failed === undefined || remedy === undefined
    ? remedy
    : { ...remedy, why: [`tried before at ${failed.at}: it did not help`, ...remedy.why].slice(0, 20) };
}

async function attempt(kit: Kit, remedy: AnyRemedy, verify: () => Promise<Verdict>): Promise<Tried> {
  const { story, board } = kit;
  const { workflowId } = story.status;
  const decided = await kit.approvals.request(remedy);
  if (decided.verdict !== 'approved') return { result: { outcome: decided.verdict, note: decided.note } };
  await checkpoint(board);
  const { action, id: key, expiresAt } = decided.approval.proposal;
  const expired = (): boolean => Date.now() >= Date.parse(expiresAt);
  const askAgain = (): Tried => {
    story.tell('expired', `The approval has expired while the run waited: ${remedy.summary}`);
    return { next: 'ask-again' };
  };
  if (expired()) return askAgain();

  const of = { service: action.service, environment: action.environment, key };
  const fence = await grant(kit, { ...of, kind: action.kind, summary: remedy.summary });
  if (typeof fence === 'string')
    return { result: { outcome: 'handed-over', note: `approved, but not done: ${fence}` } };
  let open = true;
  let unfinished: ChangeReport['result'] = 'failed'; // nothing is done yet
  let running: string | undefined; // only what an act or its undo has confirmed
  const report = async (result: ChangeReport['result']): Promise<void> => {
    if (!open) return;
    open = false;
    const held =
      action.kind === 'roll-back' && result === 'verified'
        ? { held: { version: action.from, reason: `rolled back by ${workflowId}` } }
        : {};
    const serves = running === undefined ? {} : { running };
    await reportChange({ ...of, ...serves, ...held, result }).catch(() =>
      story.tell('control', 'the safety authority could not be told; the grant ends by itself'),
    );
  };
  const serves = (version: 'from' | 'to'): void => {
    if (action.kind === 'roll-back') running = action[version];
  };
  try {
    if ((board.ending !== undefined || board.paused || expired()) && patched('checked-under-grant')) {
      await checkpoint(board); // said while the grant was on its way
      if (expired()) return askAgain();
    }
    const approval = { ...decided.approval, fence } as Approval<never>;
    unfinished = 'unverified';
    return await actAndVerify(kit, remedy, approval, { verify, report, serves });
  } finally {
    await CancellationScope.nonCancellable(() => report(unfinished)); // stopped or broken in between
  }
}

/** What one remedy is done with, under its grant. */
interface Granted {
  verify: () => Promise<Verdict>;
  /** How the change has ended; told once. */
  report: (result: ChangeReport['result']) => Promise<void>;
  /** Which of its two releases has the traffic now, as its provider has confirmed. */
  serves: (version: 'from' | 'to') => void;
}

async function actAndVerify(
  kit: Kit,
  remedy: AnyRemedy,
  approval: Approval<never>,
  { verify, report, serves }: Granted,
): Promise<Tried> {
  const { story, board } = kit;
  const { summary } = remedy;
  story.set({
    phase: 'mitigating',
    doing: `Doing it: ${summary}.`,
    next: 'Verify that it helps; undo it if it does not.',
  });
  story.tell('acting', `Begun: ${summary}`, (approval as Approval).by.join(', '));
  const came = noteOf(story, remedy);
  try {
    const effect = await CancellationScope.nonCancellable(() => remedy.act(approval)); // a stop never leaves it half done
    serves('to');
    story.tell('acted', effect.summary);
    came('not-measurable');
  } catch (error) {
    const type = typeOf(error);
    story.tell('act-failed', say(error));
    if (type === 'StaleApproval') {
      await report('failed');
      return { next: 'ask-again' };
    }
    if (type === 'Fenced')
      return { result: { outcome: 'handed-over', note: `a later change has acted meanwhile: ${say(error)}` } };
    const failed = { report: () => report('failed'), came: (how: Attempt['undo']) => came('failed', how) };
    return await undo(kit, remedy, approval, { ...failed, serves });
  }

  await checkpoint(board);
  story.set({
    phase: 'verifying',
    doing: `Verifying that it helps: ${summary}.`,
    next: 'Close when it holds; undo it if it does not.',
  });
  const verdict = await verify();
  if (verdict === 'ok') {
    story.tell('verified', `It holds: ${summary}`);
    came('helped');
    await report('verified');
    return { result: { outcome: 'mitigated', note: summary } };
  }
  if (verdict === 'unknown')
    return {
      result: {
        outcome: 'handed-over',
        note: `done (${summary}), but whether it helped cannot be measured; it was left as it is`,
      },
    };
  story.tell('not-helped', `It did not help: ${summary}`);
  const useless = { report: () => report('undone'), came: (how: Attempt['undo']) => came('not-helped', how) };
  return await undo(kit, remedy, approval, { ...useless, serves });
}

async function undo(
  { story }: Kit,
  remedy: AnyRemedy,
  approval: Approval<never>,
  of: Pick<Granted, 'serves'> & { report: () => Promise<void>; came: (undo: Attempt['undo']) => void },
): Promise<Tried> {
  const { undoIt } = remedy;
  const { serves, report, came } = of;
  if (undoIt === undefined) {
    story.tell('not-undone', `It stays as it is: ${remedy.undo}`);
    came('none');
    await report();
    return { next: 'try-another' };
  }
  story.set({ phase: 'undoing', doing: `Undoing: ${remedy.undo}.`, next: 'Diagnose again and propose what is left.' });
  try {
    const effect = await CancellationScope.nonCancellable(() => undoIt(approval));
    serves('from');
    story.tell('undone', effect.summary);
    came('done');
  } catch (error) {
    story.tell('undo-failed', say(error));
    came('failed');
    return { result: { outcome: 'handed-over', note: `the undo failed, look at once: ${say(error)}` } };
  }
  await report();
  return { next: 'try-another' };
}

/** The fence of the grant, or the reason why there is none. While another change runs it asks again, for ten minutes. */
async function grant(
  { story, board }: Kit,
  of: { service: string; environment: string; key: string; kind: AnyRemedy['action']['kind']; summary: string },
): Promise<number | string> {
  const { workflowId, runId } = story.status;
  for (let tries = 1; ; tries += 1) {
    const answer = await requestChange({ ...of, holder: `${workflowId}/${runId}` }).catch((error: unknown) =>
      say(error),
    );
    if (typeof answer === 'string') return `the safety authority cannot be reached: ${answer}`;
    if (answer.granted) return answer.fence;
    if (tries === 1) {
      story.tell('refused', `Not now: ${answer.reason}`, 'control');
      const waitingUntil = new Date(Date.now() + LONGEST_BUSY_MS).toISOString();
      story.set({ phase: 'mitigating', doing: `Waiting to act: ${answer.reason}.`, waitingUntil }); // decided: nobody is asked
    }
    if (answer.because !== 'busy' || tries >= BUSY_TRIES) return answer.reason;
    await sleep(ASK_AGAIN_MS);
    await checkpoint(board);
  }
}
