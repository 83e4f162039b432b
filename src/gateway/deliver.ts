import { WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import { worst, type Incident } from '../contracts/index.ts';
import { ladderOf } from '../runbook/catalogue.ts';
import { say } from '../operations/say.ts';
import type { Batch, Delivery } from './batches.ts';
import type { Acknowledged } from './source.ts';

const DEADLINE_MS = 2000;
const ADD_ALERTS = 'addAlerts';

/** Every call of Temporal ends within two seconds: without a deadline it blocks for 18 while the server is away. */
export const withinDeadline = <T>(client: Client, call: () => Promise<T>, ms = DEADLINE_MS): Promise<T> =>
  client.connection.withDeadline(Date.now() + ms, call);

/** Tell a run, or the ladder that it has left, that somebody looks at it. @throws WorkflowNotFoundError where neither is open. */
export const acknowledge = (client: Client, { workflowId, runId, by }: Acknowledged): Promise<string> =>
  withinDeadline(client, () => say(client, { workflowId, runId }, 'acknowledge', { by }));

/** `undefined` where there is no such workflow, or none that is open. */
export const ifThere = (error: unknown): undefined => {
  if (error instanceof WorkflowNotFoundError) return undefined;
  throw error;
};

/**
 * Take a batch to its incident. New alerts join the open one, or the ladder that a fresh one has left behind, or open one; a
 * repeat or a resolve joins only, except that a repeat of an alert long past opens anew, and a resolve reaches every ladder. Sent again, a
 * batch is known to an open incident by its id, and to one that it opened and that has closed since by the memo.
 * @throws ServiceError when Temporal does not answer or refuses.
 */
export async function deliver(
  client: Client,
  { target, batch, reopens, tried, fresh }: Batch,
  taskQueue: string,
): Promise<Delivery> {
  const { workflowId, type, service, environment } = target;
  const handle = client.workflow.getHandle(workflowId);
  const ladder = client.workflow.getHandle(ladderOf(workflowId));
  const joins = (run = handle): Promise<boolean> =>
    withinDeadline(client, () => run.signal(ADD_ALERTS, batch)).then(
      () => true,
      (error: unknown) => ifThere(error) ?? false,
    );
  if (batch.status === 'resolved') {
    const reached = (await joins()) || (await joins(ladder));
    return { how: reached ? 'reached' : 'late' };
  }
  if (batch.distinct === 0 || tried || fresh) {
    if (await joins()) return { how: 'reached' };
    if (batch.distinct === 0 && reopens === 0) return { how: 'late' };
    if (tried && (await openedBy(client, handle)) === batch.batchId) return { how: 'reached' };
  }
  if (batch.distinct > 0 && fresh && (await joins(ladder))) return { how: 'reached' };
  const first = batch.samples[0];
  const incident: Incident = {
    service,
    environment,
    severity: worst(batch.samples.map(({ severity }) => severity)) ?? 'warning',
    summary: first?.summary ?? 'alert',
    openedAt: new Date().toISOString(),
    openedBy: `alert:${first?.source ?? 'gateway'}`,
  };
  const opened = await withinDeadline(client, () =>
    client.workflow.signalWithStart(type, {
      workflowId,
      taskQueue,
      workflowTaskTimeout: '3 seconds',
      args: [incident],
      memo: { openedByBatch: batch.batchId },
      signal: ADD_ALERTS,
      signalArgs: [{ ...batch, distinct: batch.distinct || reopens }],
    }),
  );
  return { how: 'reached', runId: opened.signaledRunId };
}

const openedBy = (client: Client, handle: WorkflowHandle): Promise<unknown> =>
  withinDeadline(client, () => handle.describe()).then(({ memo }) => memo?.['openedByBatch'], ifThere);

/** gRPC INVALID_ARGUMENT: the same bytes would be refused again. */
export function isPermanent(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === 3;
}
