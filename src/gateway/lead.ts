import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const LEASE_MS = 3000;

export interface Lead {
  /** False as soon as the lease is over, also for who was stopped (SIGSTOP) and goes on. */
  leads: () => boolean;
  /** Another one may lead at once. */
  stop: () => void;
}

/**
 * Which of the gateways on one state folder sends, watches and pages: whoever holds the lease in `<stateDir>/inbox.sqlite`. Each
 * takes alerts and answers people. When the holder dies another leads within `leaseMs`; what both do in that moment has one key
 * and is done once.
 */
export function createLead(of: { stateDir: string; log: (line: string) => void; leaseMs?: number }): Lead {
  const { stateDir, log, leaseMs = LEASE_MS } = of;
  const db = new DatabaseSync(join(stateDir, 'inbox.sqlite'), { timeout: 1000 });
  db.exec(`pragma synchronous = normal;
    create table if not exists lead (one integer primary key check (one = 1), holder text not null, until integer not null) strict`);
  const take = db.prepare(`
    insert into lead values (1, :me, :until) on conflict do update set holder = :me, until = :until
    where holder = :me or until < :now`);
  const leave = db.prepare('delete from lead where holder = ?');
  const me = randomUUID();
  let [until, led] = [0, true];
  const leads = (): boolean => Date.now() < until;

  const renew = (): void => {
    const now = Date.now();
    const taken = take.run({ me, until: now + leaseMs, now }).changes === 1;
    until = taken ? now + leaseMs : 0;
    if (taken !== led) log(`gateway: ${taken ? 'this one leads now' : 'another one leads, this one stands by'}`);
    led = taken;
  };
  renew();
  const renewing = setInterval(() => {
    try {
      renew();
    } catch (error) {
      log(`gateway: whether it leads is not known: ${String(error)}`);
    }
  }, leaseMs / 3);
  return {
    leads,
    stop() {
      clearInterval(renewing);
      try {
        leave.run(me);
      } catch (error) {
        log(`gateway: the lead could not be left, it ends with its lease: ${String(error)}`);
      }
      db.close();
    },
  };
}
