/** Inside the workflow sandbox: counts how runs end, and tells the worker of one that failed, so that it reaches Sentry. */
import {
  metricMeter,
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptorsFactory,
} from '@temporalio/workflow';

export interface FailureSinks extends Sinks {
  failures: { workflowFailed(failed: { workflowId: string; type: string; message: string }): void };
}

const { failures } = proxySinks<FailureSinks>();
const countEnded = (outcome: string): void => metricMeter.createCounter('holdfast_runs_ended').add(1, { outcome });

export const interceptors: WorkflowInterceptorsFactory = () => ({
  inbound: [
    {
      async execute(input, next) {
        const { workflowId, workflowType: type } = workflowInfo();
        const tell = (message: string): void => failures.workflowFailed({ workflowId, type, message });
        try {
          const result: unknown = await next(input);
          if (result === null || typeof result !== 'object' || !('outcome' in result)) return result;
          countEnded(String(result.outcome));
          if (result.outcome === 'failed') tell('note' in result ? String(result.note) : 'failed');
          return result;
        } catch (error) {
          if (error instanceof Error && error.name === 'ContinueAsNew') throw error;
          countEnded('failed');
          tell(error instanceof Error ? error.message : String(error));
          throw error;
        }
      },
    },
  ],
});
