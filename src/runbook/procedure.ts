import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
} from '@temporalio/workflow';
import {
  DeploymentOrder,
  type Effect,
  type LedgerRelease,
  type Policy,
  type Result,
  type Verdict,
} from '../contracts/index.ts';
import type { ChangeControl, DeploymentWindows } from '../contracts/ports.ts';
import { delivery, diagnostic } from './activity-options.ts';
import type { Draft } from './approval.ts';
import { conduct, type Kit } from './conduct.ts';
import { holds } from './holds.ts';
import { checkpoint, interruptionOf } from './interruption.ts';
import { supersede } from './messages.ts';
import { say, typeOf } from './failures.ts';
import { reach } from './paging.ts';
import { judged, type Judgement } from './run.ts';
import { askerOf } from './release-evidence.ts';
import { createSteps, type StepPlan } from './steps.ts';

const BUSY_TRIES = 40;
const ASK_AGAIN_MS = 15_000;
/** A closed window or a freeze is asked about this often: each asking is ten events of a history that holds 51,200. */
const LOOK_AGAIN_MS = 60_000;
const MOST_ASKED = 3000;
const LONGEST_WAIT_MS = 60 * 60 * 1000;
const ENDED = Symbol('ended');
const { requestChange, reportChange } = proxyActivities<ChangeControl>(delivery);
const { deploymentWindow } = proxyLocalActivities<DeploymentWindows>(diagnostic);

/** A change of an environment's release, asked of `serviceControl`: `running` serves now and serves again when it is undone. */
export interface Change {
  kind: 'deploy' | 'roll-back';
  version: string;
  digest?: string | undefined;
  running?: string | undefined;
  summary: string;
}

export interface ProcedureRun {
  readonly order: DeploymentOrder;
  readonly policy: Policy;
  /** Prefix of the idempotency keys of this run. */
  readonly key: string;
  /** Show all steps beforehand, with what taking each back means. */
  plan(steps: StepPlan[]): void;
  /**
   * Do one step. What fails after its retries is asked about: try again, leave it out (where it may be), or roll back. Undefined
   * when it was left out. `undo` must do nothing where nothing was done.
   */
  step<T>(
    name: string,
    act: () => Promise<T>,
    of: { tell: (done: T) => string; undo?: () => Promise<Effect>; required?: boolean },
  ): Promise<T | undefined>;
  /** Ask for approval. Ends the run when it is not given. */
  approve(draft: Draft): Promise<void>;
  /**
   * The fence of this run's grant, when its window is open and nothing is frozen; waits for that for as long as it takes, and
   * says until when. Ends the run when a later change has taken over, or when the kill switch is on.
   */
  mayAct(change: Change, meanwhile?: () => Promise<void>): Promise<number>;
  holds<T>(read: () => Promise<T>, judge: (value: T) => Judgement): Promise<Verdict>;
  /** Waits while paused. @throws when a person has stopped it */
  checkpoint(): Promise<void>;
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

const ended = (result: Result): never => {
  throw Object.assign(new Error(result.note), { [ENDED]: result });
};
const endOf = (error: unknown): Result | undefined =>
  error instanceof Error && ENDED in error ? (error[ENDED] as Result) : undefined;

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
    const { service, environment, orderedBy } = order;
    const incident = {
      service,
      environment,
      severity: 'info' as const,
      summary: meta.summary(order),
      openedAt: new Date().toISOString(),
      openedBy: orderedBy,
    };
    const howToStop =
      'send the signal `stop` (what was done is taken back), `takeOver` (it stays as it is) or `pause` with {"by":"your-name"}';
    const { result } = await conduct({ name, title: meta.title, incident, howToStop, opened: 'Begun' }, async (kit) => {
      const run = createProcedure(kit, order);
      try {
        return await steps(run);
      } catch (error) {
        return await run.end(error);
      }
    });
    await condition(allHandlersFinished);
    return result;
  };
  Object.defineProperty(workflow, 'name', { value: name });
  return Object.assign(workflow, { title: meta.title });
}

function createProcedure(kit: Kit, order: DeploymentOrder): ProcedureRun & { end(error: unknown): Promise<Result> } {
  const { story, board, approvals, policy } = kit;
  const { service, environment } = order;
  const { workflowId, runId } = story.status;
  const holder = `${workflowId}/${runId}`;
  const of = { service, environment, key: `${holder}:change` };
  const list = createSteps(story);
  const asker = askerOf(order);
  let granted: Change | undefined;
  let serving: string | undefined;
  let told = '';
  setHandler(
    supersede,
    ({ by }) => {
      board.ending ??= { outcome: 'superseded', note: `${by} has taken over` };
    },
    { description: 'From the safety authority: another change has taken this environment over' },
  );

  const wait = (reason: string, until?: string): void => {
    if (reason !== told) story.tell('waiting', `Waiting: ${reason}`);
    told = reason;
    story.set({ doing: `Waiting: ${reason}.`, ...(until !== undefined && { waitingUntil: until }) });
  };
  const choose = async (step: string, failed: string, required: boolean): Promise<string> => {
    const decided = await approvals.request({
      summary: `${step} has failed. Try it again${required ? '' : ', or leave it out'}? Rejecting takes back what was done`,
      why: [failed],
      undo: list.undoing(),
      risk: 'medium',
      action: { kind: 'go-on', service, environment, step, failed: failed.slice(0, 500) },
      options: required ? ['retry'] : ['retry', 'skip'],
      ...(asker !== undefined && policy.approval.medium.fourEyes && { notBy: [asker] }),
    });
    return decided.verdict === 'approved' ? (decided.option ?? 'retry') : 'roll-back';
  };
  const report = async (result: 'verified' | 'undone' | 'failed' | 'unverified', more: object = {}): Promise<void> => {
    if (granted === undefined) return;
    await reportChange({ ...of, result, ...more }).catch(() =>
      story.tell('control', 'the safety authority could not be told; the grant ends by itself'),
    );
    granted = undefined;
  };

  return {
    order,
    policy,
    key: holder,
    plan: list.plan,
    refuse: (note) => ended({ outcome: 'refused', note }),
    rollBack: (note) => ended({ outcome: 'rolled-back', note }),
    holds: (read, judge) => holds({ ...kit, read: () => judged(read, judge) }),
    async step(name, act, { tell, undo, required = false }) {
      if (undo !== undefined) list.undoable(name, undo);
      for (;;) {
        await checkpoint(board);
        list.begin(name);
        try {
          const done = await act();
          list.done(name, tell(done));
          return done;
        } catch (error) {
          if (endOf(error) ?? interruptionOf(error) ?? isCancellation(error)) throw error;
          list.failed(name, say(error));
          if (typeOf(error) === 'Fenced') return ended({ outcome: 'superseded', note: say(error) });
          const way = await choose(name, say(error), required);
          if (way === 'roll-back') return ended({ outcome: 'rolled-back', note: `${name}: ${say(error)}` });
          if (way !== 'skip') continue;
          list.skipped(name);
          return undefined;
        }
      }
    },
    async approve(draft) {
      const decided = await approvals.request(draft);
      if (decided.verdict !== 'approved') return ended({ outcome: decided.verdict, note: decided.note });
    },
    async mayAct(change, meanwhile) {
      const override = order.override !== undefined;
      let busy = 0;
      for (let asked = 1; ; asked += 1) {
        await checkpoint(board);
        const at = new Date().toISOString();
        const window =
          change.kind === 'roll-back' || override
            ? { open: true, reason: '', until: undefined }
            : await deploymentWindow({ service, environment, at });
        let { reason, until } = window;
        if (window.open) {
          const { kind, summary } = change;
          const grant = await requestChange({
            ...of,
            holder,
            kind,
            summary,
            override: override || kind === 'roll-back',
          });
          if (grant.granted) {
            granted = change;
            told = '';
            return grant.fence;
          }
          if (grant.because === 'superseded') return ended({ outcome: 'superseded', note: grant.reason });
          if (grant.because === 'busy') busy += 1;
          if (grant.because === 'kill-switch' || busy > BUSY_TRIES || asked > MOST_ASKED)
            return ended({ outcome: granted === undefined ? 'refused' : 'rolled-back', note: grant.reason });
          ({ reason, until } = { until: undefined, ...grant });
        }
        wait(reason, until);
        await meanwhile?.();
        const longest =
          meanwhile !== undefined || (window.open && until === undefined) ? LOOK_AGAIN_MS : LONGEST_WAIT_MS;
        const again = busy > 0 ? Math.min(ASK_AGAIN_MS, 1000 * 2 ** busy) : longest;
        const left = until === undefined ? LONGEST_WAIT_MS : Math.max(1000, Date.parse(until) - Date.parse(at));
        await condition(() => board.ending !== undefined, Math.min(left, again));
      }
    },
    checkpoint: () => checkpoint(board),
    serves: (version) => void (serving = version),
    async verified(release, bad) {
      const held = bad === undefined ? {} : { held: { version: bad, reason: `rolled back by ${workflowId}` } };
      const leftOut = list.leftOut();
      const result = leftOut.length === 0 ? 'verified' : 'unverified';
      await report(result, { running: release.version, ...(leftOut.length === 0 && { release }), ...held });
      await checkpoint(board); // a change that has taken over is told of by now
      return leftOut.length === 0 ? 'verified good' : `not verified, for what was left out: ${leftOut.join(', ')}`;
    },
    async notify(text) {
      const { level = 'none', people = [] } = policy.ladder[0] ?? {};
      const { severity } = story.status.incident;
      const of = { service, environment, severity, level, workflowId, runId, subject: text.slice(0, 200), text };
      await Promise.all(people.map((person) => reach({ ...of, key: `${holder}:notify:${person}`, person }, policy)));
      return `told ${people.join(', ')}`;
    },
    async end(error) {
      const ordered = interruptionOf(error);
      const end = endOf(error) ??
        ordered ?? {
          outcome: isCancellation(error) ? ('stopped' as const) : ('failed' as const),
          note: isCancellation(error) ? 'the workflow was cancelled in Temporal' : say(error),
        };
      if (end.outcome === 'superseded' || end.outcome === 'taken-over') {
        await CancellationScope.nonCancellable(() =>
          report('unverified', serving === undefined ? {} : { running: serving }),
        );
        return end;
      }
      return await CancellationScope.nonCancellable(async () => {
        const { running, version, digest } = granted ?? {};
        const { undone, failed } = await list.undoAll();
        const blamed = end.outcome === 'rolled-back' || end.outcome === 'failed';
        const held =
          blamed && undone > 0 && version !== undefined
            ? { held: { version, reason: end.note.slice(0, 300), ...(digest !== undefined && { digest }) } }
            : {};
        const serves = undone > 0 ? running : serving;
        await report(undone > 0 ? 'undone' : 'failed', { ...(serves !== undefined && { running: serves }), ...held });
        if (failed !== undefined) return { outcome: 'handed-over', note: `${end.note}; ${failed}` };
        if (undone > 0) return { ...end, note: `${end.note}; what was done was taken back` };
        const traffic = serving === undefined ? 'the traffic was not touched' : `${serving} has the traffic`;
        return end.outcome === 'rolled-back' ? { outcome: 'failed', note: `${end.note}; ${traffic}` } : end;
      });
    },
  };
}
