/** Inside the workflow sandbox: tells the worker of a run that failed, so that it reaches Sentry. */
import { proxySinks, workflowInfo, type Sinks, type WorkflowInterceptorsFactory } from '@temporalio/workflow';

export interface FailureSinks extends Sinks {
  failures: { workflowFailed(failed: { workflowId: string; type: string; message: string }): void };
}

const { failures } = proxySinks<FailureSinks>();

export const interceptors: WorkflowInterceptorsFactory = () => ({
  inbound: [
    {
      async execute(input, next) {
        const { workflowId, workflowType: type } = workflowInfo();
        const tell = (message: string): void => failures.workflowFailed({ workflowId, type, message });
        try {
          const result: unknown = await next(input);
          if (result !== null && typeof result === 'object' && 'outcome' in result && result.outcome === 'failed')
            tell('note' in result ? String(result.note) : 'failed');
          return result;
        } catch (error) {
          if (!(error instanceof Error) || error.name !== 'ContinueAsNew')
            tell(error instanceof Error ? error.message : String(error));
          throw error;
        }
      },
    },
  ],
});
