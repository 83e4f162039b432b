import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Alert, Heartbeat, Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import type { Inbox } from './inbox.ts';
import { route } from './routing.ts';
import { alertOf, labelsOf } from './source.ts';

const LOOK_MS = 5000;

export interface Heartbeats {
  /** Note a sign of life, durably. False when none of this name is expected. */
  beat(name: string): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * The dead-man's switch: a heartbeat that stays away for `every` and `grace` is an alert, again every `every` under the same
 * key, until it comes back; then it is resolved. One that has never come counts from when it was first expected. While no
 * gateway looked nobody could beat: so much later it is due, and no later for a restart. Any gateway notes a sign of life; the
 * one that leads misses it.
 */
export function watchHeartbeats(of: {
  stateDir: string;
  settings: Settings;
  runbooks: CatalogueEntry[];
  inbox: Inbox;
  leads: () => boolean;
  /** Told when an alert was stored. */
  stored: () => void;
  log: (line: string) => void;
  lookMs?: number;
}): Heartbeats {
  const { settings, runbooks, inbox, leads, log } = of;
  const names = settings.heartbeats.map(({ name }) => name);
  const lookMs = Math.max(
    50,
    Math.min(of.lookMs ?? LOOK_MS, ...settings.heartbeats.map(({ every }) => msToNumber(every))),
  );
  const db = new DatabaseSync(join(of.stateDir, 'inbox.sqlite'), { timeout: 1000 });
  db.exec(
    `create table if not exists heartbeats (name text primary key, seen_at integer, missed_at integer, told_at integer) strict;
     create table if not exists heartbeat_looks (
       name text primary key, expected_at integer not null, looked_at integer not null, away_ms integer not null) strict`,
  );
  const read = db.prepare(
    'select seen_at as seen, missed_at as missed, told_at as told from heartbeats where name = ?',
  );
  const write = db.prepare('insert or replace into heartbeats values (?, ?, ?, ?)');
  const stateOf = (name: string) =>
    (read.get(name) ?? { seen: null, missed: null, told: null }) as Record<'seen' | 'missed' | 'told', number | null>;
  const noteLook = db.prepare(`
    insert into heartbeat_looks select value, :now, :now, 0 from json_each(:names) where true
    on conflict do update set away_ms = away_ms + max(0, :now - looked_at - :lookMs), looked_at = :now`);
  const noteBeat = db.prepare(`
    insert into heartbeat_looks values (:name, :now, :now, 0) on conflict do update set looked_at = :now, away_ms = 0`);
  /** `away` is for how long nobody looked since it came last. */
  const looks = db.prepare('select expected_at as expected, away_ms as away from heartbeat_looks where name = ?');

  const store = async ({ name, every, ...about }: Heartbeat, status: Alert['status'], since: number): Promise<void> => {
    const alert = alertOf({
      source: 'heartbeat',
      key: name,
      name: 'HeartbeatMissed',
      resolved: status === 'resolved',
      severity: about.severity,
      service: about.service,
      environment: about.environment,
      summary: status === 'resolved' ? `${name} is back` : `${name} should come every ${every} and does not`,
      startsAt: new Date(since).toISOString(),
      labels: labelsOf({ alertname: 'HeartbeatMissed', heartbeat: name }),
    });
    const raw = Buffer.from(JSON.stringify(alert));
    await inbox.store({ source: 'heartbeat', raw, alerts: [{ alert, target: route(alert, settings, runbooks) }] });
    of.stored();
  };
  const look = async (heartbeat: Heartbeat): Promise<void> => {
    const { name } = heartbeat;
    const [everyMs, graceMs] = [msToNumber(heartbeat.every), msToNumber(heartbeat.grace)];
    const { seen, missed, told } = stateOf(name);
    const { expected, away } = looks.get(name) as Record<'expected' | 'away', number>;
    const due = Math.max(seen ?? 0, expected) + away + everyMs + graceMs;
    if (Date.now() < Math.max(due, (told ?? 0) + everyMs)) return;
    await store(heartbeat, 'firing', missed ?? due);
    if (stateOf(name).seen === seen) write.run(name, seen, missed ?? due, Date.now());
    else await store(heartbeat, 'resolved', missed ?? due); // it came at this very moment
  };
  let looking = Promise.resolve();
  const lookAll = async (): Promise<void> => {
    noteLook.run({ names: JSON.stringify(names), now: Date.now(), lookMs });
    for (const heartbeat of settings.heartbeats)
      await look(heartbeat).catch((error: unknown) =>
        log(`gateway: the heartbeat ${heartbeat.name} cannot be looked at: ${String(error)}`),
      );
  };
  const next = (): void => {
    if (!leads()) return;
    looking = looking
      .then(lookAll)
      .catch((error: unknown) => log(`gateway: the heartbeats cannot be looked at: ${String(error)}`));
  };
  const timer = names.length === 0 ? undefined : setInterval(next, lookMs);
  return {
    async beat(name) {
      const heartbeat = settings.heartbeats.find((one) => one.name === name);
      if (heartbeat === undefined) return false;
      const { missed } = stateOf(name);
      if (missed !== null) await store(heartbeat, 'resolved', missed);
      const now = Date.now();
      write.run(name, now, null, null);
      noteBeat.run({ name, now });
      return true;
    },
    async stop() {
      clearInterval(timer);
      await looking;
      db.close();
    },
  };
}
