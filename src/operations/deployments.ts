import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { DeploymentOrder, type Ledger } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { asked, type Access } from './temporal.ts';
import type { Control, KillSwitch } from '../../workflows/index.ts';

export interface StartedRun {
  workflowId: string;
  runId: string;
  /** Whether the same order ran already. */
  joined: boolean;
}

/** Whether two orders want the same, whoever wants it. */
const isSame = (one: unknown, { ref, version, override, overrides }: DeploymentOrder): boolean => {
  const running = DeploymentOrder.safeParse(one).data;
  const wanted = running?.ref === ref && running?.version === version;
  return wanted && running?.override === override && running?.overrides === overrides;
};

/**
 * Start a deployment by the procedure of its environment, or a rollback; the same order joins the one that runs.
 * @throws NotFound for an environment that is not configured, Refused while another order runs.
 */
export async function startRun(
  { client, settings, config }: Access,
  kind: 'deployment' | 'rollback',
  order: DeploymentOrder,
): Promise<StartedRun> {
  const { service, environment } = order;
  const of = settings.services.find(({ name }) => name === service)?.environments[environment];
  if (of === undefined) throw failure('NotFound', `there is no ${service} in ${environment}`);
  const procedure = of.deployment.procedure === 'staging' ? 'stagingDeployment' : 'productionDeployment';
  const workflowId = `${kind}.${service}.${environment}`;
  const { HOLDFAST_TASK_QUEUE: taskQueue } = config;
  const start = () =>
    client.workflow.start(kind === 'rollback' ? 'rollback' : procedure, {
      workflowId,
      taskQueue,
      args: [order],
      memo: { order },
    });
  try {
    const { firstExecutionRunId: runId } = await asked(client, start);
    return { workflowId, runId, joined: false };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { runId, memo } = await asked(client, () => client.workflow.getHandle(workflowId).describe());
    if (isSame(memo?.['order'], order)) return { workflowId, runId, joined: true };
    throw failure('Refused', `another ${kind} of ${service} in ${environment} runs: wait for it, or stop it`);
  }
}

/** What the safety authority of a service knows: its kill switch and the ledgers of its environments; `undefined` where it was never asked. */
export async function controlOf(
  { client }: Access,
  service: string,
): Promise<{ killSwitch: KillSwitch; ledgers: Record<string, Ledger> } | undefined> {
  try {
    return await asked(client, () => client.workflow.getHandle(`control.${service}`).query<Control>('control'));
  } catch (error) {
    if (error instanceof Error && 'type' in error && error.type === 'NotFound') return undefined;
    throw error;
  }
}
