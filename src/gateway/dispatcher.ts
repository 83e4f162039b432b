import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Incident } from '../contracts/index.ts';
import type { Batch, Inbox } from './inbox.ts';

const DEADLINE_MS = 2000;
const BACKOFF_MS = { first: 500, most: 5000 };
/** Batches of one incident are spaced by 0.25 s × their number, at most 30 s: a run never nears Temporal's limit of 10,000 signals. */
const SPACE_MS = { each: 250, most: 30_000 };

export interface Dispatcher {
  /** Something was stored: look at once. */
  wake(): void;
  stop(): Promise<void>;
  counts: { batches: number; late: number };
  /** The last failure to reach Temporal, while it lasts. */
  trouble(): string | undefined;
}

/** Takes batches from the inbox to Temporal, in order per incident, again and again until each has arrived. */
export function startDispatcher(of: {
  inbox: Inbox;
  client: () => Promise<Client>;
  taskQueue: string;
  log: (line: string) => void;
}): Dispatcher {
  const { inbox, taskQueue, log } = of;
  const spacing = new Map<string, { sent: number; notBefore: number }>();
  const counts = { batches: 0, late: 0 };
  let stopping = false;
  let trouble: string | undefined;
  let backoff = BACKOFF_MS.first;
  let wakeUp: () => void = () => undefined;

  const send = async ({ target, batch, opens }: Batch): Promise<void> => {
    const client = await of.client();
    const sample = batch.samples[0];
    await client.connection.withDeadline(Date.now() + DEADLINE_MS, async () => {
      if (batch.status === 'resolved' || !opens) {
        await client.workflow
          .getHandle(target.workflowId)
          .signal('addAlerts', batch)
          .catch((error: unknown) => {
            if (!(error instanceof WorkflowNotFoundError)) throw error;
            counts.late += 1; // a late resolve or repeat opens nothing
          });
        return;
      }
      const incident: Incident = {
        service: target.service,
        environment: target.environment,
        severity: sample?.severity ?? 'warning',
        summary: sample?.summary ?? 'alert',
        openedAt: new Date().toISOString(),
        openedBy: `alert:${sample?.source ?? 'gateway'}`,
      };
      await client.workflow.signalWithStart(target.type, {
        workflowId: target.workflowId,
        taskQueue,
        workflowTaskTimeout: '3 seconds',
        args: [incident],
        signal: 'addAlerts',
        signalArgs: [batch],
      });
    });
  };

  const due = (workflowId: string): boolean => (spacing.get(workflowId)?.notBefore ?? 0) <= Date.now();
  const dispatch = async (workflowId: string): Promise<void> => {
    const batch = inbox.cut(workflowId);
    if (batch === undefined) return;
    try {
      await send(batch);
    } catch (error) {
      if (!isPermanent(error)) throw error;
      inbox.putAside(batch.batch.batchId, error instanceof Error ? error.message : String(error));
      log(`gateway: a batch for ${workflowId} was put aside: ${String(error)}`);
      return;
    }
    inbox.sent(batch.batch.batchId);
    counts.batches += 1;
    const sent = (spacing.get(workflowId)?.sent ?? 0) + 1;
    spacing.set(workflowId, { sent, notBefore: Date.now() + Math.min(SPACE_MS.most, SPACE_MS.each * sent) });
  };

  const loop = async (): Promise<void> => {
    while (!stopping) {
      const pending = inbox.pending();
      const ready = pending.filter(due);
      try {
        await Promise.all(ready.map(dispatch));
        if (ready.length > 0) [trouble, backoff] = [undefined, BACKOFF_MS.first];
      } catch (error) {
        if (trouble === undefined) log(`gateway: Temporal cannot be reached, alerts are kept: ${String(error)}`);
        trouble = error instanceof Error ? error.message : String(error);
        await wait(backoff);
        backoff = Math.min(backoff * 2, BACKOFF_MS.most);
        continue;
      }
      const next = Math.min(...pending.map((id) => spacing.get(id)?.notBefore ?? 0), Number.POSITIVE_INFINITY);
      await wait(pending.length === 0 ? 5000 : Math.max(10, Math.min(next - Date.now(), 1000)), true);
    }
  };
  const wait = (ms: number, wakes = false): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      if (wakes || stopping)
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
    });

  const running = loop();
  return {
    wake: () => wakeUp(),
    async stop() {
      stopping = true;
      wakeUp();
      await running;
    },
    counts,
    trouble: () => trouble,
  };
}

/** gRPC INVALID_ARGUMENT: the same bytes would be refused again. */
const isPermanent = (error: unknown): boolean => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === 3;
};
