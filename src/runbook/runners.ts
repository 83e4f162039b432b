/** Has what reaches into an environment done by the environment's own runner, where the policy of the run names one. */
import { scheduleActivity, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { Runners, runnerOf } from '../contracts/index.ts';

/**
 * The policy that a run is given or reads is in its history, so that a replay sends each activity where it went. Where it names
 * no runner nothing is other than without this.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let runners: Runners = {};
  const heed = (policy: unknown): void => {
    const named = policy !== null && typeof policy === 'object' && 'runners' in policy ? policy.runners : undefined;
    runners = Runners.safeParse(named).data ?? runners;
  };
  /** Not awaited here: what the run does with the answer comes when it always came. */
  const heeded = (activity: string, answer: Promise<unknown>): Promise<unknown> => {
    if (activity === 'policy') void answer.then(heed, () => undefined);
    return answer;
  };
  return {
    inbound: [
      {
        execute(input, next) {
          const [order] = input.args;
          if (order !== null && typeof order === 'object' && 'policy' in order) heed(order.policy);
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity(input, next) {
          const { activityType, args, options } = input;
          const taskQueue = runnerOf(runners, activityType, args[0]);
          const sent = taskQueue === undefined ? input : { ...input, options: { ...options, taskQueue } };
          return heeded(activityType, next(sent));
        },
        scheduleLocalActivity(input, next) {
          const { activityType, args, options } = input;
          const taskQueue = runnerOf(runners, activityType, args[0]);
          if (taskQueue === undefined) return heeded(activityType, next(input));
          return scheduleActivity(activityType, args, { ...options, taskQueue });
        },
      },
    ],
  };
};
