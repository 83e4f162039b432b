import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Alert, AlertBatch } from '../contracts/index.ts';
import { boundedSamples } from './samples.ts';
import { Target } from './routing.ts';

const HOUR_MS = 60 * 60 * 1000;
/** `taken` of `deliveries` are in batches already; `reached_at` is when the last of those batches reached an incident. */
const SCHEMA = `
  create table if not exists bodies (id integer primary key, at text not null, source text not null, raw blob not null) strict;
  create table if not exists alerts (
    source text not null, key text not null, status text not null, workflow_id text not null, target text not null,
    alert text not null, body integer, deliveries integer not null, taken integer not null, first_at text not null,
    last_at text not null, waiting_since text not null, batch text, reached_at text,
    primary key (source, key, status)) strict;
  create index if not exists alerts_waiting on alerts (workflow_id) where deliveries > taken;
  create index if not exists alerts_batch on alerts (batch) where batch is not null;
  create index if not exists alerts_body on alerts (body);
  create table if not exists batches (
    id text primary key, at text not null, workflow_id text not null, target text not null, batch text not null,
    reopens integer not null) strict;
  create table if not exists aside (id integer primary key, at text not null, reason text not null, what blob not null) strict;
  create table if not exists probe (id integer primary key, at text not null) strict;`;

export interface Batch {
  target: Target;
  batch: AlertBatch;
  /** How many of its keys last reached an incident so long ago that they may open one anew. */
  reopens: number;
  /** It was cut before, and may have arrived. */
  tried: boolean;
}

interface Arrival {
  source: string;
  raw: Buffer;
  alerts: { alert: Alert; target: Target }[];
}

export interface Inbox {
  /**
   * Resolves when the bytes are on the disk, with how many of the alerts were known. Everything that arrives in one turn of
   * the event loop is one transaction.
   */
  store(arrival: Arrival): Promise<{ repeats: number }>;
  /** Workflow ids with something to send, the longest waiting first. */
  waiting(): string[];
  /** Cut what waits for this incident into a batch, durably, or return the one that was cut and is not settled. */
  cut(workflowId: string): Batch | undefined;
  /** The batch reached an incident, or there was none for it to join. */
  settle(batchId: string, how: 'reached' | 'late'): void;
  /** Keep what can never be understood or sent, with the reason, where it blocks nothing. */
  putAside(reason: string, what: Buffer): void;
  putBatchAside(batchId: string, reason: string): void;
  backlog(): { waiting: number; oldestAgeMs: number; aside: number };
  /** @throws Error when the inbox cannot be written. */
  probe(): void;
  /** Forget what was settled before this time. */
  prune(before: Date): void;
  close(): void;
}

/**
 * The gateway's durable inbox: SQLite with a write-ahead log, every commit on the disk, `<stateDir>/inbox.sqlite`. One row per
 * natural key and status. A repeat opens an incident anew only `reopenMs` after the key last reached one.
 */
export function openInbox(stateDir: string, { reopenMs = HOUR_MS, lockMs = 1000 } = {}): Inbox {
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, 'inbox.sqlite');
  closeSync(openSync(file, 'a', 0o600)); // SQLite gives its other files the mode of this one
  const db = new DatabaseSync(file, { timeout: lockMs });
  db.exec(`pragma journal_mode = wal; pragma synchronous = full; ${SCHEMA}`);
  const now = (): string => new Date().toISOString();

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
  const upsert = db.prepare(`
    insert into alerts (source, key, status, workflow_id, target, alert, deliveries, taken, first_at, last_at, waiting_since)
    values (:source, :key, :status, :workflowId, :target, :alert, 1, 0, :at, :at, :at)
    on conflict do update set deliveries = deliveries + 1, last_at = :at,
      waiting_since = iif(deliveries = taken, :at, waiting_since), workflow_id = :workflowId, target = :target
    returning rowid, deliveries`);
  const insertBody = db.prepare('insert into bodies (at, source, raw) values (?, ?, ?)');
  const setBody = db.prepare('update alerts set body = ? where rowid = ?');
  const insertAside = db.prepare('insert into aside (at, reason, what) values (?, ?, ?)');

  const insert = ({ source, raw, alerts }: Arrival): { repeats: number } => {
    const at = now();
    const rows = alerts.map(({ alert, target }) => {
      const { key, status } = alert;
      const { workflowId } = target;
      const texts = { target: JSON.stringify(target), alert: JSON.stringify(alert) };
      return upsert.get({ source, key, status, workflowId, ...texts, at }) as { rowid: number; deliveries: number };
    });
    const fresh = rows.filter(({ deliveries }) => deliveries === 1);
    if (fresh.length > 0) {
      const body = insertBody.run(at, source, raw).lastInsertRowid;
      for (const { rowid } of fresh) setBody.run(body, rowid);
    }
    return { repeats: rows.length - fresh.length };
  };

  let arrivals: (Arrival & { resolve: (stored: { repeats: number }) => void; reject: (error: unknown) => void })[] = [];
  const flush = (): void => {
    const group = arrivals;
    arrivals = [];
    try {
      const stored = transaction(() => group.map(insert));
      group.forEach(({ resolve }, i) => resolve(stored[i] as { repeats: number }));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  };

  /** Samples of the rows of a batch; what cannot be read goes aside. */
  const samplesOf = (workflowId: string, status: string): { target: Target; samples: Alert[] } | undefined => {
    const rows = db
      .prepare(
        `select rowid, source, key, target, alert from alerts
         where workflow_id = ? and status = ? and deliveries > taken order by taken, first_at limit 10`,
      )
      .all(workflowId, status) as { rowid: number; source: string; key: string; target: string; alert: string }[];
    const read = rows.map((row) => {
      try {
        return { target: Target.parse(JSON.parse(row.target)), alert: Alert.parse(JSON.parse(row.alert)) };
      } catch (error) {
        insertAside.run(now(), `not readable: ${String(error).slice(0, 500)}`, Buffer.from(JSON.stringify(row)));
        db.prepare('delete from alerts where rowid = ?').run(row.rowid);
        return undefined;
      }
    });
    const good = read.filter((row) => row !== undefined);
    if (good[0] !== undefined)
      return { target: good[0].target, samples: boundedSamples(good.map(({ alert }) => alert)) };
    return rows.length === 0 ? undefined : samplesOf(workflowId, status);
  };

  const cutNew = (workflowId: string): Batch | undefined => {
    // The status whose news is older goes first, so that the newest word stands at the end.
    const next = db
      .prepare(
        `select status from alerts where workflow_id = ? and deliveries > taken
         group by status order by max(last_at), status limit 1`,
      )
      .get(workflowId) as { status: 'firing' | 'resolved' } | undefined;
    if (next === undefined) return undefined;
    const { status } = next;
    const sampled = samplesOf(workflowId, status);
    if (sampled === undefined) return cutNew(workflowId);
    const mine = 'workflow_id = ? and status = ? and deliveries > taken';
    const count = db
      .prepare(
        `select sum(taken = 0) as fresh, sum(deliveries - taken) as deliveries,
           sum(reached_at is null or reached_at < ?) as reopens from alerts where ${mine}`,
      )
      .get(new Date(Date.now() - reopenMs).toISOString(), workflowId, status) as {
      fresh: number;
      deliveries: number;
      reopens: number;
    };
    const { fresh: distinct, deliveries, reopens } = count;
    const { target, samples } = sampled;
    const batch: AlertBatch = { batchId: randomUUID(), distinct, deliveries, status, samples };
    db.prepare(`update alerts set taken = deliveries, batch = ? where ${mine}`).run(batch.batchId, workflowId, status);
    db.prepare('insert into batches (id, at, workflow_id, target, batch, reopens) values (?, ?, ?, ?, ?, ?)').run(
      batch.batchId,
      now(),
      workflowId,
      JSON.stringify(target),
      JSON.stringify(batch),
      reopens,
    );
    return { target, batch, reopens, tried: false };
  };

  const cut = (workflowId: string): Batch | undefined => {
    const open = db.prepare('select * from batches where workflow_id = ? order by at limit 1').get(workflowId);
    if (open === undefined) return cutNew(workflowId);
    try {
      const target = Target.parse(JSON.parse(String(open['target'])));
      const batch = AlertBatch.parse(JSON.parse(String(open['batch'])));
      return { target, batch, reopens: Number(open['reopens']), tried: true };
    } catch (error) {
      batchAside(String(open['id']), `not readable: ${String(error).slice(0, 500)}`);
      return cut(workflowId);
    }
  };
  const forget = (batchId: string): void => {
    db.prepare('delete from batches where id = ?').run(batchId);
    db.prepare('update alerts set batch = null where batch = ?').run(batchId);
  };
  const batchAside = (batchId: string, reason: string): void => {
    db.prepare('insert into aside (at, reason, what) select ?, ?, cast(batch as blob) from batches where id = ?').run(
      now(),
      reason,
      batchId,
    );
    forget(batchId);
  };

  return {
    store: (arrival) =>
      new Promise((resolve, reject) => {
        if (arrivals.length === 0) setImmediate(flush);
        arrivals.push({ ...arrival, resolve, reject });
      }),
    waiting: () =>
      db
        .prepare(
          `select workflow_id as id, min(since) as since from (
             select workflow_id, waiting_since as since from alerts where deliveries > taken
             union all select workflow_id, at from batches) group by id order by since`,
        )
        .all()
        .map(({ id }) => String(id)),
    cut: (workflowId) => transaction(() => cut(workflowId)),
    settle: (batchId, how) =>
      transaction(() => {
        if (how === 'reached') db.prepare('update alerts set reached_at = ? where batch = ?').run(now(), batchId);
        forget(batchId);
      }),
    putAside: (reason, what) => void insertAside.run(now(), reason, what),
    putBatchAside: (batchId, reason) => transaction(() => batchAside(batchId, reason)),
    backlog: () => {
      const { waiting, since, aside } = db
        .prepare(
          `select coalesce(sum(n), 0) as waiting, min(since) as since, (select count(*) from aside) as aside from (
             select deliveries - taken as n, waiting_since as since from alerts where deliveries > taken
             union all select json_extract(batch, '$.deliveries'), at from batches where json_valid(batch))`,
        )
        .get() as { waiting: number; since: string | null; aside: number };
      return { waiting, oldestAgeMs: since === null ? 0 : Math.max(0, Date.now() - Date.parse(since)), aside };
    },
    probe: () =>
      void db.prepare('insert into probe values (1, ?) on conflict do update set at = excluded.at').run(now()),
    prune: (before) =>
      transaction(() => {
        db.prepare('delete from alerts where last_at < ? and deliveries = taken and batch is null').run(
          before.toISOString(),
        );
        db.exec('delete from bodies where not exists (select 1 from alerts where alerts.body = bodies.id)');
      }),
    close: () => db.close(),
  };
}
