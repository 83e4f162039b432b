import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Settings } from '../contracts/index.ts';
import type { Log } from '../log.ts';
import { withinDeadline } from './deliver.ts';

/**
 * Wakes the deployments whose pipeline is a workflow of a repository. It only wakes them: how the workflow has ended they read
 * themselves, and look now and then anyway, so nothing is kept of a wake that does not arrive.
 */
export function deploymentWaker(of: { client: Client; settings: Settings; log: Log }) {
  const { client, settings, log } = of;
  const waiting = settings.services.flatMap(({ name, environments }) =>
    Object.entries(environments).flatMap(([environment, { deployment, releases }]) => {
      if (deployment.pipeline?.workflow === undefined || releases === undefined) return [];
      const repository = (releases.github ?? releases.repository.replace(/(\.git)?\/?$/, '')).toLowerCase();
      return [{ workflowId: `deployment.${name}.${environment}`, repository }];
    }),
  );
  return (repository: string): void => {
    for (const one of waiting.filter((each) => each.repository.endsWith(repository.toLowerCase())))
      void withinDeadline(client, () => client.workflow.getHandle(one.workflowId).signal('wake')).catch(
        (error: unknown) => {
          if (!(error instanceof WorkflowNotFoundError))
            log(`gateway: ${one.workflowId} was not woken: ${String(error)}`, { incident: one.workflowId });
        },
      );
  };
}
