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
 * key, until it comes back; then it is resolved. One that has never come counts from the gateway's start. Any gateway notes a
 * sign of life; the one that leads misses it.
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
}): Heartbeats {
  const { settings, runbooks, inbox, leads, log } = of;
  const db = new DatabaseSync(join(of.stateDir, 'inbox.sqlite'), { timeout: 1000 });
  db.exec(
    `create table if not exists heartbeats (name text primary key, seen_at integer, missed_at integer, told_at integer) strict`,
  );
  const read = db.prepare(
    'select seen_at as seen, missed_at as missed, told_at as told from heartbeats where name = ?',
  );
  const write = db.prepare('insert or replace into heartbeats values (?, ?, ?, ?)');
  const stateOf = (name: string) =>
    (read.get(name) ?? { seen: null, missed: null, told: null }) as Record<'seen' | 'missed' | 'told', number | null>;
  const started = Date.now();

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
    const due = Math.max(seen ?? 0, started) + everyMs + graceMs; // while the gateway was away nobody could beat
    if (Date.now() < due || (told !== null && Date.now() < told + everyMs)) return;
    await store(heartbeat, 'firing', missed ?? due);
    if (stateOf(name).seen === seen) write.run(name, seen, missed ?? due, Date.now());
    else await store(heartbeat, 'resolved', missed ?? due); // it came at this very moment
  };
  let looking = Promise.resolve();
  const lookAll = (): void => {
    if (!leads()) return;
    looking = looking.then(async () => {
      for (const heartbeat of settings.heartbeats)
        await look(heartbeat).catch((error: unknown) =>
          log(`gateway: the heartbeat ${heartbeat.name} cannot be looked at: ${String(error)}`),
        );
    });
  };
  const shortest = Math.min(LOOK_MS, ...settings.heartbeats.map(({ every }) => msToNumber(every)));
  const timer = settings.heartbeats.length === 0 ? undefined : setInterval(lookAll, Math.max(50, shortest));
  return {
    async beat(name) {
      const heartbeat = settings.heartbeats.find((one) => one.name === name);
      if (heartbeat === undefined) return false;
      const { missed } = stateOf(name);
      if (missed !== null) await store(heartbeat, 'resolved', missed);
      write.run(name, Date.now(), null, null);
      return true;
    },
    async stop() {
      clearInterval(timer);
      await looking;
      db.close();
    },
  };
}
