import { WithStartWorkflowOperation, type Client, type Workflow } from '@temporalio/client';
import type { KillSwitch } from '../../workflows/index.ts';
import { answered } from './context.ts';

/** Forbid or allow every change by Holdfast to a service. */
export async function setKillSwitch(
  client: Client,
  taskQueue: string,
  service: string,
  change: KillSwitch,
): Promise<void> {
  const startWorkflowOperation = new WithStartWorkflowOperation('serviceControl', {
    workflowId: `control.${service}`,
    taskQueue,
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [{ service, fence: 0, killSwitch: change, ledgers: {} }],
  });
  await answered(client, () =>
    client.workflow.executeUpdateWithStart<Workflow, void, [KillSwitch]>('setKillSwitch', {
      startWorkflowOperation,
      args: [change],
    }),
  );
}
