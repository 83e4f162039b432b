import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import type { Alert } from './contracts/index.ts';
import { failure } from './errors.ts';

const LONGEST_MS = 366 * 24 * 60 * 60 * 1000;

/** What an alert is matched by: its labels, and what it says of itself. */
export const matchable = ({ name: alertname, service, environment, source, labels }: Alert) =>
  ({ service, environment, ...labels, alertname, source }) as Record<string, string | undefined>;

/** Alerts with all of these labels open and join nothing until then. */
export const Silence = z.object({
  id: z.string(),
  match: z.record(z.string(), z.string()),
  until: z.string(),
  reason: z.string(),
  by: z.string(),
  at: z.string(),
});
export type Silence = z.output<typeof Silence>;

/** When a silence ends that begins now. @throws Refused for one of no time, or of more than a year. */
export function silencedUntil(lasting: string): string {
  const ms = msToNumber(lasting);
  if (!(ms > 0 && ms <= LONGEST_MS)) throw failure('Refused', 'a silence lasts for a while, and for a year at most');
  return new Date(Date.now() + ms).toISOString();
}

/** The silences in the gateway's inbox. An alert is looked at when it arrives: what waits already is sent. */
export function createSilences(db: DatabaseSync) {
  db.exec(
    `create table if not exists silences (
       id text primary key, match text not null, until text not null, reason text not null, by text not null, at text not null) strict`,
  );
  const current = db.prepare('select * from silences where until > ? order by until');
  const list = (): Silence[] =>
    current
      .all(new Date().toISOString())
      .map((row) => Silence.parse({ ...row, match: JSON.parse(String(row['match'])) }));
  return {
    list,
    /** The silence that holds an alert now. */
    holding(alert: Alert): Silence | undefined {
      const labels = matchable(alert);
      return list().find(({ match }) => Object.entries(match).every(([label, value]) => labels[label] === value));
    },
    add(of: Omit<Silence, 'id' | 'at'>): Silence {
      const silence = { ...of, id: randomUUID().slice(0, 8), at: new Date().toISOString() };
      db.prepare('insert into silences (id, match, until, reason, by, at) values (?, ?, ?, ?, ?, ?)').run(
        silence.id,
        JSON.stringify(silence.match),
        silence.until,
        silence.reason,
        silence.by,
        silence.at,
      );
      return silence;
    },
    /** False when there is none of this id. */
    remove: (id: string): boolean => Number(db.prepare('delete from silences where id = ?').run(id).changes) > 0,
    prune: (before: string): void => void db.prepare('delete from silences where until < ?').run(before),
  };
}

/** The silences of a state folder, for another process than the gateway. */
export function openSilences(stateDir: string) {
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, 'inbox.sqlite');
  closeSync(openSync(file, 'a', 0o600)); // SQLite gives its other files the mode of this one
  const db = new DatabaseSync(file, { timeout: 5000 });
  db.exec('pragma journal_mode = wal');
  return { ...createSilences(db), [Symbol.dispose]: () => db.close() };
}
