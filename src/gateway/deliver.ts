import { WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import { Severity, type Incident } from '../contracts/index.ts';
import type { Batch, Delivery } from './batches.ts';

const DEADLINE_MS = 2000;
const ADD_ALERTS = 'addAlerts';

/** Every call of Temporal ends within two seconds: without a deadline it blocks for 18 while the server is away. */
export const withinDeadline = <T>(client: Client, call: () => Promise<T>, ms = DEADLINE_MS): Promise<T> =>
  client.connection.withDeadline(Date.now() + ms, call);

/** `undefined` where there is no such workflow, or none that is open. */
const ifThere = (error: unknown): undefined => {
  if (error instanceof WorkflowNotFoundError) return undefined;
  throw error;
};

/**
 * Take a batch to its incident. New alerts join the open one or open one; a repeat or a resolve joins only, except that a
 * repeat of an alert long past opens anew. Sent again, a batch is known to an open incident by its id, and to one that it
 * opened and that has closed since by the memo.
 * @throws ServiceError when Temporal does not answer or refuses.
 */
export async function deliver(
  client: Client,
  { target, batch, reopens, tried }: Batch,
  taskQueue: string,
): Promise<Delivery> {
  const { workflowId, type, service, environment } = target;
  const handle = client.workflow.getHandle(workflowId);
  const joins = (): Promise<boolean> =>
    withinDeadline(client, () => handle.signal(ADD_ALERTS, batch)).then(
      () => true,
      (error: unknown) => ifThere(error) ?? false,
    );
  if (batch.status === 'resolved') return (await joins()) ? { how: 'reached' } : { how: 'late' };
  if (batch.distinct === 0 || tried) {
    if (await joins()) return { how: 'reached' };
    if (batch.distinct === 0 && reopens === 0) return { how: 'late' };
    if (tried && (await openedBy(client, handle)) === batch.batchId) return { how: 'reached' };
  }
  const first = batch.samples[0];
  const incident: Incident = {
    service,
    environment,
    severity: Severity.options.find((one) => batch.samples.some(({ severity }) => severity === one)) ?? 'warning',
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
