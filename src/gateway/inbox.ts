import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Alert, AlertBatch } from '../contracts/index.ts';
import type { Target } from './routing.ts';

const SAMPLES = 10;
const SCHEMA = `
  create table if not exists deliveries (id integer primary key, at text not null, source text not null, raw blob not null) strict;
  create table if not exists alerts (
    key text primary key, first_at text not null, last_at text not null, deliveries integer not null, taken integer not null, taken_at text not null,
    status text not null, target text not null, workflow_id text not null, alert text not null) strict;
  create index if not exists alerts_pending on alerts (workflow_id) where deliveries > taken;
  create table if not exists batches (id text primary key, at text not null, reopens integer not null, target text not null, batch text not null) strict;
  create table if not exists aside (id integer primary key, at text not null, reason text not null, what text not null) strict;`;

export interface Batch {
  target: Target;
  batch: AlertBatch;
  /** May it open an incident? Only what was not dispatched before, or long ago, may. */
  opens: boolean;
}

interface Stored {
  source: string;
  raw: Buffer;
  alerts: { alert: Alert; target: Target }[];
  done: (error?: Error) => void;
}

export interface Inbox {
  /** Resolves when the bytes are on the disk. Everything that arrives in one turn of the event loop is one transaction. */
  store(source: string, raw: Buffer, alerts: Stored['alerts']): Promise<void>;
  /** Workflow ids with something to send. */
  pending(): string[];
  /** Cut what waits for this incident into a batch, durably, or return the one that was cut and not yet sent. */
  cut(workflowId: string): Batch | undefined;
  sent(batchId: string): void;
  /** Put a batch aside that can never be sent, with the reason. */
  putAside(batchId: string, reason: string): void;
  backlog(): { waiting: number; aside: number };
  prune(before: Date): void;
  close(): void;
}

/** The gateway's own durable inbox: SQLite, write-ahead log, every commit on the disk. `reopenMs`: how long a repeat of a dispatched alert only joins. */
export function openInbox(stateDir: string, reopenMs = 60 * 60 * 1000): Inbox {
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, 'inbox.sqlite');
  const db = new DatabaseSync(file, { timeout: 5000 });
  chmodSync(file, 0o600);
  db.exec('pragma journal_mode = wal; pragma synchronous = full');
  db.exec(SCHEMA);
  const insertDelivery = db.prepare('insert into deliveries (at, source, raw) values (?, ?, ?)');
  const upsertAlert =
    db.prepare(`insert into alerts values (:key, :at, :at, 1, 0, '', :status, :target, :workflowId, :alert)
    on conflict (key) do update set deliveries = deliveries + 1, last_at = :at`);
  let waiting: Stored[] = [];

  const transaction = <T>(run: () => T): T => {
    db.exec('begin immediate');
    try {
      const result = run();
      db.exec('commit');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('rollback');
      throw error;
    }
  };
  const flush = (): void => {
    const stored = waiting;
    waiting = [];
    try {
      transaction(() => {
        const at = new Date().toISOString();
        for (const { source, raw, alerts } of stored) {
          insertDelivery.run(at, source, raw);
          for (const { alert, target } of alerts)
            upsertAlert.run({
              key: `${source}|${alert.key}`,
              at,
              status: alert.status,
              target: JSON.stringify(target),
              workflowId: target.workflowId,
              alert: JSON.stringify(alert),
            });
        }
      });
      for (const { done } of stored) done();
    } catch (error) {
      for (const { done } of stored) done(error instanceof Error ? error : new Error(String(error)));
    }
  };

  return {
    store: (source, raw, alerts) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({ source, raw, alerts, done: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
    pending: () =>
      (
        db
          .prepare(
            `select workflow_id as id from alerts where deliveries > taken union select json_extract(target, '$.workflowId') from batches`,
          )
          .all() as { id: string }[]
      ).map(({ id }) => id),
    cut: (workflowId) =>
      transaction(() => {
        const open = db
          .prepare(`select * from batches where json_extract(target, '$.workflowId') = ? order by at limit 1`)
          .get(workflowId);
        if (open !== undefined)
          return {
            target: JSON.parse(String(open['target'])) as Target,
            batch: JSON.parse(String(open['batch'])) as AlertBatch,
            opens: open['reopens'] === 1,
          };
        const first = db
          .prepare(
            'select status from alerts where workflow_id = ? and deliveries > taken order by last_at, status limit 1',
          )
          .get(workflowId);
        if (first === undefined) return undefined;
        const rows = db
          .prepare('select * from alerts where workflow_id = ? and status = ? and deliveries > taken order by first_at')
          .all(workflowId, first['status'] as string) as Record<string, string | number>[];
        const reopenBefore = new Date(Date.now() - reopenMs).toISOString();
        const opens = rows.some((row) => row['taken'] === 0 || String(row['taken_at']) < reopenBefore);
        const batch: AlertBatch = {
          batchId: randomUUID(),
          distinct: rows.filter((row) => row['taken'] === 0).length,
          deliveries: rows.reduce((sum, row) => sum + Number(row['deliveries']) - Number(row['taken']), 0),
          status: first['status'] as AlertBatch['status'],
          samples: rows.slice(0, SAMPLES).map((row) => JSON.parse(String(row['alert'])) as Alert),
        };
        const target = JSON.parse(String(rows[0]?.['target'])) as Target;
        db.prepare(
          'update alerts set taken = deliveries, taken_at = ? where workflow_id = ? and status = ? and deliveries > taken',
        ).run(new Date().toISOString(), workflowId, batch.status);
        db.prepare('insert into batches values (?, ?, ?, ?, ?)').run(
          batch.batchId,
          new Date().toISOString(),
          opens ? 1 : 0,
          JSON.stringify(target),
          JSON.stringify(batch),
        );
        return { target, batch, opens };
      }),
    sent: (batchId) => void db.prepare('delete from batches where id = ?').run(batchId),
    putAside: (batchId, reason) =>
      transaction(() => {
        db.prepare('insert into aside (at, reason, what) select ?, ?, batch from batches where id = ?').run(
          new Date().toISOString(),
          reason,
          batchId,
        );
        db.prepare('delete from batches where id = ?').run(batchId);
      }),
    backlog: () => ({
      waiting:
        Number(db.prepare('select coalesce(sum(deliveries - taken), 0) as n from alerts').get()?.['n']) +
        Number(db.prepare('select count(*) as n from batches').get()?.['n']),
      aside: Number(db.prepare('select count(*) as n from aside').get()?.['n']),
    }),
    prune: (before) =>
      transaction(() => {
        db.prepare('delete from deliveries where at < ?').run(before.toISOString());
        db.prepare('delete from alerts where last_at < ? and deliveries = taken').run(before.toISOString());
      }),
    close: () => db.close(),
  };
}
