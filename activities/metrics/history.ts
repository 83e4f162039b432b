/**
 * What instances said of themselves when they were scraped, kept on this machine: answers by route in slots of two seconds for an
 * hour, then of a minute for a day and an hour; samples of memory for an hour. Several workers may write.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Scope } from '../../src/contracts/index.ts';
import type { MemorySample } from './memory-trend.ts';
import type { Series } from './series.ts';

const SLOT_MS = 2000;
const MINUTE_MS = 60_000;
const FINE_MS = 60 * MINUTE_MS;
const KEPT_MS = 25 * 60 * MINUTE_MS;

/** The counters of one instance: how often a route took up to `le` seconds, since the instance began. */
export interface RouteCount {
  route: string;
  le: string;
  value: number;
}

export interface History {
  /** Note a sample of one instance. What its counters rose by since the last one is counted; a first sample counts nothing. */
  add(
    of: Scope,
    sample: { instance: string; at: number; counts: RouteCount[]; memory: Omit<MemorySample, 'at'> },
  ): void;
  /** When the first sample of the time span was taken; undefined where there is none. */
  first(of: Scope, from: number): number | undefined;
  routes(of: Scope, span: { from: number; to: number }): Map<string, Series[]>;
  memory(of: Scope): Map<string, MemorySample[]>;
}

export function openHistory(stateDir: string): History {
  mkdirSync(stateDir, { recursive: true });
  const db = new DatabaseSync(join(stateDir, 'instance-metrics.sqlite'), { timeout: 5000 });
  db.exec(`
    pragma journal_mode = wal;
    pragma synchronous = normal;
    create table if not exists counters (
      service text, environment text, instance text, route text, le text, value real not null,
      primary key (service, environment, instance, route, le)) without rowid;
    create table if not exists answers (
      service text, environment text, slot integer, route text, le text, count real not null,
      primary key (service, environment, slot, route, le)) without rowid;
    create table if not exists process_memory (
      service text, environment text, instance text, at integer, resident real, heap real, collections real, started real,
      primary key (service, environment, instance, at)) without rowid;`);
  const known = db.prepare(
    'select count(*) as n from process_memory where service = ? and environment = ? and instance = ?',
  );
  const before = db.prepare(
    'select value from counters where service = ? and environment = ? and instance = ? and route = ? and le = ?',
  );
  const keep = db.prepare('insert or replace into counters values (?, ?, ?, ?, ?, ?)');
  const count = db.prepare(
    'insert into answers values (?, ?, ?, ?, ?, ?) on conflict do update set count = count + excluded.count',
  );
  const remember = db.prepare('insert or replace into process_memory values (?, ?, ?, ?, ?, ?, ?, ?)');
  const begin = db.prepare(
    'select min(at) as at from process_memory where service = ? and environment = ? and at >= ?',
  );
  const sums = db.prepare(
    'select route, le, sum(count) as value from answers where service = ? and environment = ? and slot > ? and slot <= ? group by route, le',
  );
  const samples = db.prepare(
    'select instance, at, resident, heap, collections, started from process_memory where service = ? and environment = ? order by instance, at',
  );
  let prunedAt = 0;

  function prune(now: number): void {
    if (now - prunedAt < MINUTE_MS) return;
    prunedAt = now;
    const fine = Math.floor((now - FINE_MS) / MINUTE_MS) * MINUTE_MS;
    db.exec(`
      insert into answers
        select service, environment, slot / ${MINUTE_MS} * ${MINUTE_MS} + ${MINUTE_MS}, route, le, sum(count) from answers
        where slot <= ${fine} and slot % ${MINUTE_MS} <> 0 group by 1, 2, 3, 4, 5
        on conflict do update set count = count + excluded.count;
      delete from answers where (slot <= ${fine} and slot % ${MINUTE_MS} <> 0) or slot < ${now - KEPT_MS};
      delete from process_memory where at < ${now - FINE_MS};
      delete from counters where not exists (select 1 from process_memory as m where m.service = counters.service
        and m.environment = counters.environment and m.instance = counters.instance);`);
  }

  return {
    add({ service, environment }, { instance, at, counts, memory }) {
      const slot = Math.ceil(at / SLOT_MS) * SLOT_MS;
      db.exec('begin immediate');
      try {
        const isNew = known.get(service, environment, instance)?.['n'] === 0;
        for (const { route, le, value } of counts) {
          const was = Number(before.get(service, environment, instance, route, le)?.['value'] ?? 0);
          const rise = value >= was ? value - was : value;
          keep.run(service, environment, instance, route, le, value);
          if (!isNew && rise > 0) count.run(service, environment, slot, route, le, rise);
        }
        const { residentBytes, heapBytes, collections, startedAt } = memory;
        remember.run(service, environment, instance, at, residentBytes, heapBytes, collections, startedAt);
        prune(at);
        db.exec('commit');
      } catch (error) {
        db.exec('rollback');
        throw error;
      }
    },
    first({ service, environment }, from) {
      const at = begin.get(service, environment, from)?.['at'];
      return typeof at === 'number' ? at : undefined;
    },
    routes({ service, environment }, { from, to }) {
      const byRoute = new Map<string, Series[]>();
      for (const { route, le, value } of sums.all(service, environment, from, to)) {
        const series = { name: '', labels: { le: String(le) }, value: Number(value) };
        byRoute.set(String(route), [...(byRoute.get(String(route)) ?? []), series]);
      }
      return byRoute;
    },
    memory({ service, environment }) {
      const all = samples.all(service, environment).map((row) => ({
        instance: String(row['instance']),
        at: Number(row['at']),
        residentBytes: Number(row['resident']),
        heapBytes: Number(row['heap']),
        collections: Number(row['collections']),
        startedAt: Number(row['started']),
      }));
      return Map.groupBy(all, ({ instance }) => instance);
    },
  };
}
