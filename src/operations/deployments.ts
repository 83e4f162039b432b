import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, type Client } from '@temporalio/client';
import { DeploymentOrder, heldByMode } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { environmentOf } from './control.ts';
import { asked, type Access } from './temporal.ts';

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

/** The last messages and the last write of a run that has ended get 15 s each, before Temporal takes another of its id. */
const CLOSING_MS = 40_000;

async function untilClosed(client: Client, { workflowId, runId }: Omit<StartedRun, 'joined'>): Promise<void> {
  const closed = () =>
    client.workflow
      .getHandle(workflowId, runId, { followRuns: false })
      .result()
      .catch((error: unknown) => {
        if (!(error instanceof WorkflowFailedError)) throw error; // failed or terminated: it is closed
      });
  await asked(client, closed, CLOSING_MS);
}

/**
 * Start a deployment by the procedure of its environment, or a rollback; the same order joins the one that runs. One that has
 * ended and is not closed yet is waited for.
 * @throws NotFound for an environment that is not configured, Refused in one that is not in mode `act` and while another order
 * runs, Unavailable.
 */
export async function startRun(
  access: Access,
  kind: 'deployment' | 'rollback',
  order: DeploymentOrder,
): Promise<StartedRun> {
  const { service, environment } = order;
  const { client, config } = access;
  const { mode, deployment } = environmentOf(access, order);
  const held = heldByMode(mode, order);
  if (held !== undefined) throw failure('Refused', held);
  const procedure = deployment.procedure === 'staging' ? 'stagingDeployment' : 'productionDeployment';
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
    if (memo?.['outcome'] !== undefined) {
      await untilClosed(client, { workflowId, runId });
      return await startRun(access, kind, order);
    }
    if (isSame(memo?.['order'], order)) return { workflowId, runId, joined: true };
    throw failure('Refused', `another ${kind} of ${service} in ${environment} runs: wait for it, or stop it`);
  }
}
