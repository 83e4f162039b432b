import { WithStartWorkflowOperation, type Client, type Workflow } from '@temporalio/client';
import type { Ledger } from '../contracts/index.ts';
import type { Control } from '../../workflows/index.ts';
import { answered } from './context.ts';

/** Order something of the safety authority of a service, which the first one to ask starts. */
export async function askControl<A>(
  client: Client,
  taskQueue: string,
  service: string,
  update: 'setKillSwitch' | 'setFreeze',
  argument: A,
): Promise<void> {
  const startWorkflowOperation = new WithStartWorkflowOperation('serviceControl', {
    workflowId: `control.${service}`,
    taskQueue,
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [{ service, fence: 0, killSwitch: { on: false, by: '', reason: '' }, ledgers: {} }],
  });
  await answered(client, () =>
    client.workflow.executeUpdateWithStart<Workflow, void, [A]>(update, { startWorkflowOperation, args: [argument] }),
  );
}

/** What the safety authority knows of the environments of a service; nothing where none was asked yet. */
export async function ledgersOf(client: Client, service: string): Promise<Ledger[]> {
  const control = client.workflow.getHandle(`control.${service}`);
  try {
    return Object.values((await answered(client, () => control.query<Control>('control'))).ledgers);
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return [];
    throw error;
  }
}
