import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  patched,
  setHandler,
} from '@temporalio/workflow';
import {
  DeploymentOrder,
  heldByMode,
  type Effect,
  type LedgerRelease,
  type Policy,
  type Result,
  type ShownRelease,
  type Verdict,
} from '../contracts/index.ts';
import type { Draft } from './approval.ts';
import { noteOf } from './attempts.ts';
import { conduct, type Kit } from './conduct.ts';
import { holds } from './holds.ts';
import { createGrant, type Change, type Look } from './grant.ts';
import { checkpoint, endWith, interruptionOf } from './interruption.ts';
import { supersede, wake } from './messages.ts';
import { say, typeOf } from './failures.ts';
import { peopleOf, reach } from './paging.ts';
import { judged, type Judgement } from './run.ts';
import { askerOf } from './release-evidence.ts';
import { createShowing } from './shown.ts';
import { createSteps, type StepPlan } from './steps.ts';

/** How often what has traffic is looked at while people are waited for: each look is some six events of a history that holds 51,200. */
const LOOK_MS = 30_000;

export interface ProcedureRun {
  readonly order: DeploymentOrder;
  readonly policy: Policy;
  /** Prefix of the idempotency keys of this run. */
  readonly key: string;
  /** The release that it deploys: a code-hosting service shows how it goes, where one is configured. */
  about(release: ShownRelease): void;
  /** Show all steps beforehand, with what taking each back means. */
  plan(steps: StepPlan[]): void;
  /**
   * Do one step. What fails after its retries is asked about: try again, leave it out (where it may be), or roll back. Undefined
   * when it was left out. `undo` must do nothing where nothing was done. What comes `last` takes nothing back, when it fails (it is
   * left out then) or is stopped: what came before may not be able to go on after it.
   */
  step<T>(
    name: string,
    act: () => Promise<T>,
    of: { tell: (done: T) => string; undo?: () => Promise<Effect>; required?: boolean; last?: boolean },
  ): Promise<T | undefined>;
  /** Ask for approval. Ends the run when it is not given. */
  approve(draft: Draft): Promise<void>;
  /**
   * The fence of this run's grant, when its window is open and nothing is frozen; waits for that for as long as it takes, and
   * says until when. Ends the run when a later change has taken over, or when the kill switch is on.
   */
  mayAct(change: Change): Promise<number>;
  /** What is looked at while it waits for people, for a window or paused; what is bad does not wait for them, it is rolled back. */
  watch(look: Look | undefined): void;
  holds<T>(read: () => Promise<T>, judge: (value: T) => Judgement): Promise<Verdict>;
  /** Waits while paused. @throws when a person has stopped it */
  checkpoint(): Promise<void>;
  /** Waits until it is woken from elsewhere, but no longer than this. @throws as `checkpoint` */
  woken(within: string): Promise<void>;
  /** Something to be done to a release; what it came to is told as it becomes known, and stays in the status. */
  attempt(of: Parameters<typeof noteOf>[1]): ReturnType<typeof noteOf>;
  /** This version has all of the traffic now. */
  serves(version: string): void;
  /**
   * The release is verified good; the ledger keeps it, and holds the version that proved bad. Not where a step was left out.
   * Says which of the two.
   */
  verified(release: LedgerRelease, bad?: string): Promise<string>;
  /** Tell the first level of the ladder; says who was told. */
  notify(text: string): Promise<string>;
  /** End: a rule forbids it, nothing was done. */
  refuse(note: string): never;
  /** End: take back what was done. */
  rollBack(note: string): never;
}

export type Procedure = ((order: DeploymentOrder) => Promise<Result>) & { title: string };

/**
 * Make a procedure of its steps; the result is the workflow function, of the same name. What was done is taken back in reverse
 * order when a step fails, when a person stops it, and when it is cancelled; not when a person takes over or a later change did.
 */
export function defineProcedure(
  meta: { title: string; summary: (order: DeploymentOrder) => string },
  steps: (run: ProcedureRun) => Promise<Result>,
): Procedure {
  const { name } = steps;
  const workflow = async (input: DeploymentOrder): Promise<Result> => {
    const order = DeploymentOrder.parse(input);
    const settles = patched('settled-at-the-last'); // here: see `defineRunbook`
    const heedsMode = patched('mode-heeded');
    const { service, environment, orderedBy: openedBy } = order;
    const severity = 'info' as const;
    const openedAt = new Date().toISOString();
    const incident = { service, environment, severity, summary: meta.summary(order), openedAt, openedBy };
    const howToStop =
      'send the signal `stop` (what was done is taken back), `takeOver` (it stays as it is) or `pause` with {"by":"your-name"}';
    const { result } = await conduct({ name, title: meta.title, incident, howToStop, opened: 'Begun' }, async (kit) => {
      const run = createProcedure(kit, order, settles);
      try {
        const held = heedsMode ? heldByMode(kit.policy.mode, order) : undefined;
        return run.told(await (held === undefined ? steps(run) : run.refuse(held)));
      } catch (error) {
        return run.told(await run.end(error));
      } finally {
        await CancellationScope.nonCancellable(() => run.showing.stop());
      }
    });
    await condition(allHandlersFinished);
    return result;
  };
  Object.defineProperty(workflow, 'name', { value: name });
  return Object.assign(workflow, { title: meta.title });
}

interface Conducted extends ProcedureRun {
  showing: ReturnType<typeof createShowing>;
  /** With the release that it was about, where that was known. */
  told(result: Result): Result;
  end(error: unknown): Promise<Result>;
}

function createProcedure(kit: Kit, order: DeploymentOrder, settles: boolean): Conducted {
  const { story, board, approvals, policy } = kit;
  const { service, environment } = order;
  const { workflowId, runId } = story.status;
  const holder = `${workflowId}/${runId}`;
  const list = createSteps(story);
  const asker = askerOf(order);
  let look: Look | undefined;
  const showing = createShowing(story);
  const grant = createGrant(kit, order, {
    holder,
    look: () => look,
    onGranted: () => showing.show('in-progress'),
  });
  let subject: string | undefined;
  let came: ReturnType<typeof noteOf> | undefined;
  let serving: string | undefined;
  let awake = false;
  setHandler(wake, () => void (awake = true), {
    description: 'From the gateway: something that it may wait for has changed elsewhere; it looks at once',
  });
  setHandler(
    supersede,
    ({ by }) => {
      board.ending ??= { outcome: 'superseded', note: `${by} has taken over` };
    },
    { description: 'From the safety authority: another change has taken this environment over' },
  );

  /** Wait for people, and look meanwhile at what has traffic. */
  const watched = async <T>(waiting: Promise<T>): Promise<T> => {
    let over = false;
    const settled = waiting.finally(() => (over = true));
    settled.catch(() => undefined); // it is awaited below
    while (look !== undefined && !(await condition(() => over, LOOK_MS))) {
      const why = await look(Date.now());
      if (why !== undefined) board.ending ??= { outcome: 'rolled-back', note: why };
    }
    return await settled;
  };
  const resumed = (): Promise<void> => (board.paused ? watched(checkpoint(board)) : checkpoint(board));
  const choose = async (step: string, failed: string, { required = false, last = false }): Promise<string> => {
    const rejecting = last ? 'leaves it out' : 'takes back what was done';
    const asking = approvals.request({
      summary: `${step} has failed. Try it again${required ? '' : ', or leave it out'}? Rejecting ${rejecting}`,
      why: [failed],
      undo: last ? 'what was done before stays' : list.undoing(),
      risk: 'medium',
      action: { kind: 'go-on', service, environment, step, failed: failed.slice(0, 500) },
      options: required ? ['retry'] : ['retry', 'skip'],
      ...(asker !== undefined && policy.approval.medium.fourEyes && { notBy: [asker] }),
    });
    const decided = await watched(asking);
    return decided.verdict === 'approved' ? (decided.option ?? 'retry') : last ? 'skip' : 'roll-back';
  };
  return {
    order,
    policy,
    key: holder,
    showing,
    told: (result) => (subject === undefined ? result : { ...result, version: subject }),
    about(release) {
      subject = release.version;
      if (policy.deployment.shown !== true) return;
      story.set({ release });
      showing.show('waiting');
    },
    plan: list.plan,
    refuse: (note) => endWith({ outcome: 'refused', note }),
    rollBack: (note) => endWith({ outcome: 'rolled-back', note }),
    holds: (read, judge) => holds({ ...kit, read: () => judged(read, judge) }),
    async step(name, act, { tell, undo, ...when }) {
      if (undo !== undefined) list.undoable(name, undo);
      if (when.last === true && settles) list.settle();
      for (;;) {
        await resumed();
        list.begin(name);
        try {
          const done = await act();
          list.done(name, tell(done));
          return done;
        } catch (error) {
          if (interruptionOf(error) ?? isCancellation(error)) throw error;
          list.failed(name, say(error));
          if (typeOf(error) === 'Fenced') return endWith({ outcome: 'superseded', note: say(error) });
          const way = await choose(name, say(error), when);
          if (way === 'roll-back') return endWith({ outcome: 'rolled-back', note: `${name}: ${say(error)}` });
          if (way !== 'skip') continue;
          list.skipped(name, { counts: when.last !== true });
          return undefined;
        }
      }
    },
    async approve(draft) {
      const decided = await approvals.request(draft);
      if (decided.verdict !== 'approved') return endWith({ outcome: decided.verdict, note: decided.note });
    },
    mayAct: (change) => grant.mayAct(change),
    watch: (at) => void (look = at),
    checkpoint: resumed,
    async woken(within) {
      await condition(() => awake || board.ending !== undefined, within);
      awake = false;
      await resumed();
    },
    attempt: (of) => (came = noteOf(story, of)),
    serves: (version) => void (serving = version),
    async verified(release, bad) {
      const held = bad === undefined ? {} : { held: { version: bad, reason: `rolled back by ${workflowId}` } };
      const leftOut = list.leftOut();
      const result = leftOut.length === 0 ? 'verified' : 'unverified';
      const { release: shown } = story.status;
      if (shown !== undefined && result === 'verified' && policy.deployment.procedure === 'production')
        story.set({ release: { ...shown, publish: true } });
      await grant.report(result, { running: release.version, ...(leftOut.length === 0 && { release }), ...held });
      await checkpoint(board); // a change that has taken over is told of by now
      return leftOut.length === 0 ? 'verified good' : `not verified, for what was left out: ${leftOut.join(', ')}`;
    },
    async notify(text) {
      const [first] = policy.ladder;
      if (first === undefined) return 'nobody: there is no ladder';
      const people = await peopleOf(first);
      const { level } = first;
      const { severity } = story.status.incident;
      const of = { service, environment, severity, level, workflowId, runId, subject: text.slice(0, 200), text };
      const keyOf = (person: string): string => `${holder}:notify:${person}`;
      const paged = Object.fromEntries(people.map((person) => [keyOf(person), { person, times: 1 }]));
      story.set({ paged: { ...story.status.paged, ...paged } });
      await Promise.all(people.map((person) => reach({ ...of, key: keyOf(person), person }, policy)));
      return `told ${people.join(', ')}`;
    },
    async end(error) {
      const ordered = interruptionOf(error);
      const end = ordered ?? {
        outcome: isCancellation(error) ? ('stopped' as const) : ('failed' as const),
        note: isCancellation(error) ? 'the workflow was cancelled in Temporal' : say(error),
      };
      if (end.outcome === 'rolled-back' && serving !== undefined) came?.('not-helped');
      if (end.outcome === 'superseded' || end.outcome === 'taken-over') {
        await CancellationScope.nonCancellable(() =>
          grant.report('unverified', serving === undefined ? {} : { running: serving }),
        );
        return { ...end, ...(serving !== undefined && { tookTraffic: true }) };
      }
      return await CancellationScope.nonCancellable(async () => {
        const { running, version, digest } = grant.granted() ?? {};
        const { undone, failed } = await list.undoAll();
        const blamed = end.outcome === 'rolled-back' || end.outcome === 'failed';
        const held =
          blamed && undone > 0 && version !== undefined
            ? { held: { version, reason: end.note.slice(0, 300), ...(digest !== undefined && { digest }) } }
            : {};
        const serves = undone > 0 ? running : serving;
        await grant.report(undone > 0 ? 'undone' : 'failed', {
          ...(serves !== undefined && { running: serves }),
          ...held,
        });
        if (failed !== undefined) return { outcome: 'handed-over', note: `${end.note}; ${failed}`, tookTraffic: true };
        const taken = undone > 0 || serving !== undefined ? { tookTraffic: true } : {};
        if (undone > 0) return { ...end, note: `${end.note}; what was done was taken back`, ...taken };
        const traffic = serving === undefined ? 'the traffic was not touched' : `${serving} has the traffic`;
        const note = end.outcome === 'rolled-back' || serving !== undefined ? `${end.note}; ${traffic}` : end.note;
        return { outcome: end.outcome === 'rolled-back' ? 'failed' : end.outcome, note, ...taken };
      });
    },
  };
}
