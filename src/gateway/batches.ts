import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { Alert, AlertBatch } from '../contracts/index.ts';
import { Target } from './routing.ts';
import { boundedSamples } from './samples.ts';

export interface Batch {
  target: Target;
  batch: AlertBatch;
  /** When the oldest of it came, or was cut where it is tried again. */
  since: string;
  /** How many of its keys last reached an incident so long ago that they may open one anew. */
  reopens: number;
  /** It was cut before, and may have arrived. */
  tried: boolean;
  /** The incident was opened so lately that, if it has handed over since, its ladder speaks for it. */
  fresh: boolean;
}

/** Told of what cannot be read and was put aside. */
export type Unreadable = (why: string) => void;

/** Whether a batch joined or opened an incident (`runId`, where known), or came too late to do either. */
export type Delivery = { how: 'reached'; runId?: string } | { how: 'late' };

/** A diagnosis of so short a time ago still holds for further alerts of the incident. */
const FRESH_MS = 10 * 60 * 1000;
const now = (): string => new Date().toISOString();
/** Of an alert that fires: it has reached the incident that was opened last. */
export const REACHED =
  "reached_at >= coalesce((select opened_at from incidents where incidents.workflow_id = :workflowId), '')";
const WAITS = 'workflow_id = :workflowId and status = :status and deliveries > taken';

/** The outbox: what waits in the inbox is cut into batches, which stay until they are settled. Each call belongs into a transaction. */
export function createBatches(db: DatabaseSync, reopenMs: number, flapsOf: (workflowId: string) => number) {
  const putAside = (reason: string, what: Buffer): void =>
    void db.prepare('insert into aside (at, reason, what) values (?, ?, ?)').run(now(), reason, what);
  const notReadable = (error: unknown): string => `not readable: ${String(error).slice(0, 500)}`;

  /** Samples of the rows of a batch; a row that cannot be read goes aside. */
  const sample = (
    workflowId: string,
    status: string,
    unreadable: Unreadable,
  ): { target: Target; samples: Alert[] } | undefined => {
    const rows = db
      .prepare(
        `select rowid, source, key, target, alert from alerts where ${WAITS} order by taken > 0, first_at limit 10`,
      )
      .all({ workflowId, status });
    const read = rows.flatMap((row) => {
      try {
        const target = Target.parse(JSON.parse(String(row['target'])));
        return [{ target, alert: Alert.parse(JSON.parse(String(row['alert']))) }];
      } catch (error) {
        putAside(notReadable(error), Buffer.from(JSON.stringify(row)));
        unreadable(notReadable(error));
        db.prepare('delete from alerts where rowid = ?').run(Number(row['rowid']));
        return [];
      }
    });
    const first = read[0];
    if (first === undefined) return rows.length === 0 ? undefined : sample(workflowId, status, unreadable);
    return { target: first.target, samples: boundedSamples(read.map(({ alert }) => alert)) };
  };

  const take = (workflowId: string, status: string, batchId: string | null): void =>
    void db
      .prepare(`update alerts set taken = deliveries, batch = :batchId where ${WAITS}`)
      .run({ workflowId, status, batchId });

  /** Does an alert of the open incident fire that has not resolved since? */
  const stillFires = (workflowId: string): boolean =>
    db
      .prepare(
        `select 1 from alerts as fires where workflow_id = :workflowId and status = 'firing'
           and (deliveries > taken or batch is not null or ${REACHED})
           and not exists (select 1 from alerts as ended where ended.source = fires.source and ended.key = fires.key
             and ended.status = 'resolved' and ended.last_at >= fires.last_at) limit 1`,
      )
      .get({ workflowId }) !== undefined;

  const isFresh = (workflowId: string): boolean =>
    db
      .prepare('select 1 from incidents where workflow_id = ? and opened_at > ?')
      .get(workflowId, new Date(Date.now() - FRESH_MS).toISOString()) !== undefined;

  const cutNew = (workflowId: string, unreadable: Unreadable): Batch | undefined => {
    // The status whose news is older goes first, so that the newest word stands at the end.
    const next = db
      .prepare(
        `select status from alerts where workflow_id = ? and deliveries > taken
         group by status order by max(last_at), status limit 1`,
      )
      .get(workflowId) as { status: AlertBatch['status'] } | undefined;
    if (next === undefined) return undefined;
    const { status } = next;
    if (status === 'resolved' && stillFires(workflowId)) {
      take(workflowId, status, null); // an incident is resolved when the last of its alerts is
      return cutNew(workflowId, unreadable);
    }
    const sampled = sample(workflowId, status, unreadable);
    if (sampled === undefined) return cutNew(workflowId, unreadable);
    const { target, samples } = sampled;
    const { distinct, deliveries, reopens, since } = db
      .prepare(
        `select sum(taken = 0) as "distinct", sum(deliveries - taken) as deliveries, min(waiting_since) as since,
           sum(reached_at is null or reached_at < :reopenBefore) as reopens from alerts where ${WAITS}`,
      )
      .get({ workflowId, status, reopenBefore: new Date(Date.now() - reopenMs).toISOString() }) as {
      distinct: number;
      deliveries: number;
      reopens: number;
      since: string;
    };
    const flaps = flapsOf(workflowId);
    const batch: AlertBatch = {
      batchId: randomUUID(),
      distinct,
      deliveries,
      status,
      samples,
      ...(flaps > 0 && { flaps }),
    };
    take(workflowId, status, batch.batchId);
    db.prepare('insert into batches (id, at, workflow_id, target, batch, reopens) values (?, ?, ?, ?, ?, ?)').run(
      batch.batchId,
      now(),
      workflowId,
      JSON.stringify(target),
      JSON.stringify(batch),
      reopens,
    );
    return { target, batch, since, reopens, tried: false, fresh: isFresh(workflowId) };
  };

  const forget = (batchId: string): void => {
    db.prepare('delete from batches where id = ?').run(batchId);
    db.prepare('update alerts set batch = null where batch = ?').run(batchId);
  };
  const putBatchAside = (batchId: string, reason: string): void => {
    db.prepare('insert into aside (at, reason, what) select ?, ?, cast(batch as blob) from batches where id = ?').run(
      now(),
      reason,
      batchId,
    );
    forget(batchId);
  };

  const cut = (workflowId: string, unreadable: Unreadable = () => undefined): Batch | undefined => {
    const open = db.prepare('select * from batches where workflow_id = ? order by at limit 1').get(workflowId);
    if (open === undefined) return cutNew(workflowId, unreadable);
    try {
      const target = Target.parse(JSON.parse(String(open['target'])));
      const batch = AlertBatch.parse(JSON.parse(String(open['batch'])));
      const [since, reopens] = [String(open['at']), Number(open['reopens'])];
      return { target, batch, since, reopens, tried: true, fresh: isFresh(workflowId) };
    } catch (error) {
      putBatchAside(String(open['id']), notReadable(error));
      unreadable(notReadable(error));
      return cut(workflowId, unreadable);
    }
  };

  const settle = (batchId: string, delivery: Delivery): void => {
    if (delivery.how === 'reached') {
      db.prepare('update alerts set reached_at = ? where batch = ?').run(now(), batchId);
      if (delivery.runId !== undefined)
        db.prepare(
          `insert into incidents select workflow_id, ?, at from batches where id = ?
           on conflict do update set run_id = excluded.run_id, opened_at = excluded.opened_at
           where run_id <> excluded.run_id`,
        ).run(delivery.runId, batchId);
    }
    forget(batchId);
  };
  return { cut, settle, putAside, putBatchAside };
}
