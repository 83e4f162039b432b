import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Alert } from '../contracts/index.ts';
import { createBatches, type Batch, type Delivery, type Unreadable } from './batches.ts';
import { createFlaps } from './flaps.ts';
import type { Target } from './routing.ts';
import { createSilences } from '../silences.ts';

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
  create table if not exists incidents (workflow_id text primary key, run_id text not null, opened_at text not null) strict;
  create table if not exists aside (id integer primary key, at text not null, reason text not null, what blob not null) strict;
  create table if not exists probe (id integer primary key, at text not null) strict;`;

interface Arrival {
  source: string;
  raw: Buffer;
  alerts: { alert: Alert; target: Target }[];
}

export interface Stored {
  repeats: number;
  silenced: number;
}

export interface Inbox {
  /**
   * Resolves when the bytes are on the disk, with how many of the alerts were known, and how many a silence holds: those are
   * kept and open or join nothing, until one comes again after the silence. Everything that arrives in one turn of the event
   * loop is one transaction.
   */
  store(arrival: Arrival): Promise<Stored>;
  /** Workflow ids with something to send, the longest waiting first. */
  waiting(): string[];
  /** Cut what waits for this incident into a batch, durably, or return the one that was cut and is not settled. */
  cut(workflowId: string, unreadable?: Unreadable): Batch | undefined;
  /** The batch reached an incident, or there was none for it to join. */
  settle(batchId: string, delivery: Delivery): void;
  /** Keep what can never be understood or sent, with the reason, where it blocks nothing. */
  putAside(reason: string, what: Buffer): void;
  putBatchAside(batchId: string, reason: string): void;
  backlog(): { waiting: number; oldestAgeMs: number; aside: number };
  /** @throws Error when the inbox cannot be written. */
  probe(): void;
  /** Forget what was settled or put aside before this time. */
  prune(before: Date): void;
  close(): void;
}

/**
 * The gateway's durable inbox: SQLite with a write-ahead log, every commit on the disk, `<stateDir>/inbox.sqlite`. One row per
 * natural key and status, with the raw bytes of its first arrival. A repeat opens an incident anew only `reopenMs` after the key last reached one.
 */
export function openInbox(stateDir: string, { reopenMs = HOUR_MS, lockMs = 1000 } = {}): Inbox {
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, 'inbox.sqlite');
  closeSync(openSync(file, 'a', 0o600)); // SQLite gives its other files the mode of this one
  const db = new DatabaseSync(file, { timeout: lockMs });
  db.exec(`pragma journal_mode = wal; pragma synchronous = full; ${SCHEMA}`);
  const flaps = createFlaps(db);
  const silences = createSilences(db);
  const batches = createBatches(db, reopenMs, flaps.count);
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
  /** A sender may use a key again: what has resolved, and fires with a later start than that, is new. */
  const FIRES_ANEW = `(alerts.status = 'firing' and exists (
    select 1 from alerts as ended where ended.source = alerts.source and ended.key = alerts.key
      and ended.status = 'resolved' and ended.last_at >= alerts.last_at
      and :startsAt > max(json_extract(ended.alert, '$.startsAt'), json_extract(alerts.alert, '$.startsAt'))))`;
  const upsert = db.prepare(`
    insert into alerts (source, key, status, workflow_id, target, alert, deliveries, taken, first_at, last_at, waiting_since)
    values (:source, :key, :status, :workflowId, :target, :alert, 1, :held, :at, :at, :at)
    on conflict do update set last_at = :at, workflow_id = :workflowId, target = :target,
      alert = iif(alerts.status = 'resolved' or ${FIRES_ANEW}, :alert, alert),
      waiting_since = iif(deliveries = taken, :at, waiting_since), body = iif(${FIRES_ANEW}, null, body),
      deliveries = iif(${FIRES_ANEW}, deliveries - taken + 1, deliveries + 1),
      taken = iif(${FIRES_ANEW}, :held, taken + :held)
    returning rowid, body is null as fresh`);
  const fired = db.prepare(`
    select workflow_id as workflowId, target, json_set(alert, '$.status', 'resolved', '$.startsAt', :startsAt) as alert from alerts
    where source = :source and key = :key and status = 'firing' and json_valid(alert)`);
  /** What has resolved belongs where it fired, whatever the routes say of it now; one that does not tell what it is, is what fired. */
  const asFired = (source: string, { key, status, startsAt, labels }: Alert) => {
    if (status === 'firing') return {};
    const { alert, ...where } = (fired.get({ source, key, startsAt }) ?? {}) as {
      workflowId?: string;
      target?: string;
      alert?: string;
    };
    return { ...where, ...(alert !== undefined && Object.keys(labels).length === 0 && { alert }) };
  };
  const nameOf = (alert: string): string => (JSON.parse(alert) as Pick<Alert, 'name'>).name;
  const insertBody = db.prepare('insert into bodies (at, source, raw) values (?, ?, ?)');
  const setBody = db.prepare('update alerts set body = ? where rowid = ?');

  const insert = ({ source, raw, alerts }: Arrival): Stored => {
    const at = now();
    let silenced = 0;
    const rows = alerts.map(({ alert, target }) => {
      const { key, status, startsAt } = alert;
      const own = { workflowId: target.workflowId, target: JSON.stringify(target), alert: JSON.stringify(alert) };
      const row = { ...own, ...asFired(source, alert) };
      if (status === 'resolved') flaps.note({ source, key, name: nameOf(row.alert) }, row.workflowId);
      const held = status === 'firing' && silences.holding(alert) !== undefined ? 1 : 0;
      silenced += held;
      return upsert.get({ source, key, status, ...row, startsAt, at, held }) as {
        rowid: number;
        fresh: number;
      };
    });
    const fresh = rows.filter((row) => row.fresh === 1);
    if (fresh.length > 0) {
      const body = insertBody.run(at, source, raw).lastInsertRowid;
      for (const { rowid } of fresh) setBody.run(body, rowid);
    }
    return { repeats: rows.length - fresh.length, silenced };
  };

  let arrivals: (Arrival & { resolve: (stored: Stored) => void; reject: (error: unknown) => void })[] = [];
  const flush = (): void => {
    const group = arrivals;
    arrivals = [];
    try {
      const stored = transaction(() => group.map(insert));
      group.forEach(({ resolve }, i) => resolve(stored[i] as Stored));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
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
    cut: (workflowId, unreadable) => transaction(() => batches.cut(workflowId, unreadable)),
    settle: (batchId, delivery) => transaction(() => batches.settle(batchId, delivery)),
    putAside: batches.putAside,
    putBatchAside: (batchId, reason) => transaction(() => batches.putBatchAside(batchId, reason)),
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
        const at = before.toISOString();
        db.prepare('delete from alerts where last_at < ? and deliveries = taken and batch is null').run(at);
        db.prepare('delete from aside where at < ?').run(at);
        flaps.prune();
        silences.prune(at);
        db.exec('delete from bodies where not exists (select 1 from alerts where alerts.body = bodies.id)');
      }),
    close: () => db.close(),
  };
}
