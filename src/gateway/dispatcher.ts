import type { Client } from '@temporalio/client';
import type { Alert } from '../contracts/index.ts';
import { deliver, isPermanent } from './deliver.ts';
import type { Log } from '../log.ts';
import type { Tracing } from '../tracing.ts';
import type { Inbox } from './inbox.ts';
import { createHistogram, type Histogram } from './metrics.ts';
import type { TellAPerson } from './tell.ts';

const BACKOFF_MS = { first: 500, most: 5000 };
/** As often it looks for what another gateway has stored. */
const IDLE_MS = 500;
const AT_ONCE = 8;
const GRACE_MS = 500;
const PUT_ASIDE = 'AlertsPutAside';
const LAG_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

export interface Dispatcher {
  /** Something was stored: look at once. */
  wake: () => void;
  /** Resolves when nothing is under way; what Temporal does not answer in half a second stays in the inbox. */
  stop: () => Promise<void>;
  counts: Readonly<{ batches: number; late: number; lag: Histogram }>;
  /** What became of what was sent last; undefined where nothing waits that was tried. */
  sending: () => Sending | undefined;
}

/** Taken by Temporal, or not one of all batches since then, the last of them tried then. */
export type Sending = { taken: true } | { taken: false; since: number; triedAt: number; error: string };

/**
 * Batches of one run are spaced ever wider: at most 170 in its first hour, 30 an hour from the third on, 6 from the thousandth
 * on. A batch is four events, so that a day of flapping stays under 4,000 and no run nears Temporal's limits in weeks.
 */
export const spacingMs = (sent: number): number =>
  sent > 1000 ? 600_000 : sent > 240 ? 120_000 : Math.min(250 * sent, 60_000);
const backoffMs = (failures: number): number => Math.min(BACKOFF_MS.first * 2 ** (failures - 1), BACKOFF_MS.most);
const said = (error: unknown): string => {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return JSON.stringify(cause instanceof Error ? `${message}: ${cause.message}` : message);
};

/**
 * Takes batches from the inbox to Temporal, in order per incident, again and again until each has arrived: the first at once,
 * further ones of the same incident spaced. While Temporal is away it tries every five seconds; where another gateway leads it
 * sends nothing.
 */
export function startDispatcher(of: {
  inbox: Inbox;
  leads: () => boolean;
  client: Client;
  taskQueue: string;
  log: Log;
  tellAPerson: TellAPerson;
  tracing?: Pick<Tracing, 'note'>;
}): Dispatcher {
  const { inbox, leads, client, taskQueue, log, tellAPerson, tracing } = of;
  const pace = new Map<string, { runId?: string; sent: number; failures: number; notBefore: number }>();
  const counts = { batches: 0, late: 0, lag: createHistogram(LAG_SECONDS) };
  const underWay = new Set<AbortController>();
  let stopping = false;
  let endPause = (): void => undefined;
  let wake = (): void => undefined;
  let failedRounds = 0;
  let sending: Sending | undefined;

  const endable = async <T>(call: () => Promise<T>): Promise<T> => {
    const end = new AbortController();
    underWay.add(end);
    return await client.connection.withAbortSignal(end.signal, call).finally(() => underWay.delete(end));
  };

  const tellPutAside = async (workflowId: string, why: string, alerts: Alert[] = []): Promise<void> => {
    log(`gateway: alerts for ${workflowId} were put aside, they can never be sent: ${why}`, { incident: workflowId });
    const kept = `alerts for ${workflowId} can never be sent and lie in the gateway's inbox, look at their sources: ${why}`;
    const tells = alerts.length > 0 && alerts.every(({ name }) => name === PUT_ASIDE);
    if (!tells) await tellAPerson('gateway', PUT_ASIDE, kept); // of that itself nobody could be told
  };

  /** False when it must be tried again. */
  const dispatch = async (workflowId: string): Promise<boolean> => {
    const last = pace.get(workflowId) ?? { sent: 0, failures: 0, notBefore: 0 };
    try {
      const unreadable: string[] = [];
      const batch = inbox.cut(workflowId, (why) => void unreadable.push(why));
      if (unreadable[0] !== undefined) await tellPutAside(workflowId, JSON.stringify(unreadable[0]));
      if (batch === undefined) return true;
      const { batchId, samples } = batch.batch;
      const triedAt = Date.now();
      try {
        const delivery = await endable(() => deliver(client, batch, taskQueue)).catch((error: unknown) => {
          const since = sending?.taken === false ? sending.since : triedAt;
          if (!isPermanent(error)) sending = { taken: false, since, triedAt, error: said(error) };
          throw error;
        });
        inbox.settle(batchId, delivery);
        counts[delivery.how === 'late' ? 'late' : 'batches'] += 1;
        if (delivery.how === 'reached') counts.lag.observe((Date.now() - Date.parse(batch.since)) / 1000);
        const runId = delivery.how === 'reached' ? (delivery.runId ?? last.runId) : undefined;
        if (runId !== undefined)
          tracing?.note({
            runId,
            name: 'alert',
            opens: runId !== last.runId,
            from: Date.parse(batch.since),
            attributes: { 'holdfast.incident': workflowId, 'holdfast.deliveries': batch.batch.deliveries },
          });
        const sent = runId === last.runId ? last.sent + 1 : 1;
        const notBefore = Date.now() + spacingMs(sent);
        pace.set(workflowId, { ...(runId === undefined ? {} : { runId }), sent, failures: 0, notBefore });
      } catch (error) {
        if (!isPermanent(error)) throw error;
        await tellPutAside(workflowId, said(error), samples);
        inbox.putBatchAside(batchId, said(error));
      }
      return true;
    } catch (error) {
      const failures = last.failures + 1;
      pace.set(workflowId, { ...last, failures, notBefore: Date.now() + backoffMs(failures) });
      if (failures === 1 && !stopping)
        log(`gateway: alerts for ${workflowId} are kept, they cannot be sent yet: ${said(error)}`, {
          incident: workflowId,
        });
      return false;
    }
  };

  /** Ended early by `stop`, and by `wake` where there is nothing else to do. */
  const pause = (ms: number, { idle }: { idle: boolean }): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
      wake = idle ? endPause : () => undefined;
      if (stopping) endPause();
    });

  const round = async (): Promise<void> => {
    const led = leads();
    const waiting = led ? inbox.waiting() : [];
    if (waiting.length === 0) sending = undefined;
    if (!led) return await pause(IDLE_MS, { idle: false });
    const dueAt = (id: string): number => pace.get(id)?.notBefore ?? 0;
    const due = waiting.filter((id) => dueAt(id) <= Date.now()).slice(0, AT_ONCE);
    if (due.length === 0) {
      const next = Math.min(...waiting.map(dueAt), Date.now() + IDLE_MS);
      return await pause(Math.max(1, next - Date.now()), { idle: true });
    }
    const sent = await Promise.all(due.map(dispatch));
    if (sent.includes(true)) {
      if (failedRounds > 0) log('gateway: Temporal answers again');
      failedRounds = 0;
      sending = { taken: true };
    } else {
      failedRounds += 1;
      await pause(backoffMs(failedRounds), { idle: false });
    }
  };

  const running = (async () => {
    while (!stopping)
      await round().catch(async (error: unknown) => {
        log(`gateway: the inbox cannot be read: ${said(error)}`);
        await pause(BACKOFF_MS.most, { idle: false });
      });
  })();
  return {
    wake: () => wake(),
    async stop() {
      stopping = true;
      endPause();
      const impatience = setTimeout(() => underWay.forEach((one) => one.abort()), GRACE_MS);
      await running;
      clearTimeout(impatience);
    },
    counts,
    sending: () => sending,
  };
}
