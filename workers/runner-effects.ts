/**
 * Inside the workflow sandbox: tells the worker of each effect that it has had a runner do, as the run's history has it. A runner
 * has an audit trail of its own and no key of the record; so the control plane's trail has what was done there, too.
 */
import { isCancellation, proxySinks, workflowInfo } from '@temporalio/workflow';
import type { Sinks, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { say } from '../src/runbook/failures.ts';
import { calledAs, effectOf, summaryOf } from './effects.ts';

export interface RunnerEffect {
  runner: string;
  /** Those who decided it, where that was somebody. */
  by?: string[] | undefined;
  what: string;
  result: 'done' | 'failed';
  detail?: string | undefined;
}
export interface RunnerSinks extends Sinks {
  runners: { effectEnded(effect: RunnerEffect): void };
}

const { runners } = proxySinks<RunnerSinks>();

/** Comes after the one that chooses the runner. */
export const interceptors: WorkflowInterceptorsFactory = () => ({
  outbound: [
    {
      scheduleActivity(input, next) {
        const answer = next(input);
        const { activityType, args, options } = input;
        const { taskQueue: runner = workflowInfo().taskQueue } = options;
        const effect = runner === workflowInfo().taskQueue ? undefined : effectOf(activityType, args);
        if (effect === undefined) return answer;
        const told = { runner, by: effect.by, what: calledAs(activityType, effect.kind) };
        void answer.then(
          (found) => runners.effectEnded({ ...told, result: 'done', detail: summaryOf(found) }),
          (error: unknown) =>
            runners.effectEnded({
              ...told,
              result: 'failed',
              detail: isCancellation(error) ? `called back: ${say(error)}` : say(error),
            }),
        );
        return answer; // not awaited here: what the run does with it comes when it always came
      },
    },
  ],
});
