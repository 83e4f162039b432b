import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseSync } from 'node:sqlite';
import { worst } from '../contracts/index.ts';
import { openPages } from '../pages.ts';
import type { Delivery } from './channel.ts';

/** So many pages of a minute reach one person over one channel singly; what comes beyond is held for this long and goes as one. */
const SINGLY = { atMost: 5, withinMs: 60_000 };
const HELD_MS = 5000;
const LISTED = 20;
const KEPT_MS = 24 * 60 * 60 * 1000;
const TABLE = `create table if not exists deliveries (
  key text not null, channel text not null, person text not null, at integer not null, due integer, page text not null,
  delivered integer not null default 0, primary key (key, channel, person)) strict;
create table if not exists claims (what text primary key, until integer not null) strict`;
/** A process that has died with a group in its hands holds it for so long: longer than a channel has for one page. */
const CLAIM_MS = 60_000;
const CLAIM_POLL_MS = 250;

interface Row {
  due: number | null;
  delivered: number;
}

/** Several pages as one, without codes and without a single run to answer: the console lists them all. */
function together(pages: Delivery[], key: string): Delivery {
  const [first] = pages as [Delivery, ...Delivery[]];
  const { asks: _asks, code: _code, link, ...of } = first;
  const lines = pages.slice(0, LISTED).map(({ subject, workflowId }) => `${subject} (${workflowId})`);
  const more = pages.length > LISTED ? [`and ${pages.length - LISTED} more`] : [];
  return {
    ...of,
    key,
    grouped: pages.length,
    severity: worst(pages.map(({ severity }) => severity)) ?? first.severity,
    subject: `${pages.length} more need you at once`,
    text: [...lines, ...more].join('\n').slice(0, 4000),
    ...(link !== undefined && { link: `${new URL(link).origin}/` }),
  };
}

/**
 * A storm of incidents is a few messages: remembers in `<stateDir>/pages.sqlite` what went to whom over which channel, and sends
 * what is too much for one minute together. A key that was delivered is not delivered again, also by another process of this machine.
 */
export function groupDeliveries(stateDir: string) {
  const underWay = new Map<string, Promise<void>>();
  const withFile = <T>(use: (db: DatabaseSync) => T): T => {
    const db = openPages(stateDir);
    try {
      db.exec(TABLE);
      return use(db);
    } finally {
      db.close();
    }
  };

  /** Is it delivered, and if not, until when it is held. */
  const enter = (channel: string, { key, person, ...page }: Delivery): Row =>
    withFile((db) => {
      db.exec('begin immediate');
      const known = db
        .prepare('select due, delivered from deliveries where key = ? and channel = ? and person = ?')
        .get(key, channel, person) as Row | undefined;
      const now = Date.now();
      const { n } = db
        .prepare('select count(*) as n from deliveries where channel = ? and person = ? and due is null and at > ?')
        .get(channel, person, now - SINGLY.withinMs) as { n: number };
      const due = n < SINGLY.atMost ? null : (Math.floor(now / HELD_MS) + 1) * HELD_MS;
      if (known === undefined) {
        db.prepare('insert into deliveries (key, channel, person, at, due, page) values (?, ?, ?, ?, ?, ?)').run(
          key,
          channel,
          person,
          now,
          due,
          JSON.stringify({ key, person, ...page }),
        );
        db.prepare('delete from deliveries where at < ?').run(now - KEPT_MS);
      }
      db.exec('commit');
      return known ?? { due, delivered: 0 };
    });
  const note = (channel: string, pages: Delivery[]): void =>
    withFile((db) => {
      const done = db.prepare('update deliveries set delivered = 1 where key = ? and channel = ? and person = ?');
      for (const { key, person } of pages) done.run(key, channel, person);
    });
  /** One process sends a group; false while another does. */
  const claim = (what: string): boolean =>
    withFile((db) => {
      const now = Date.now();
      const take = db.prepare(
        'insert into claims values (?, ?) on conflict (what) do update set until = excluded.until where until < ?',
      );
      return take.run(what, now + CLAIM_MS, now).changes === 1;
    });
  const release = (what: string): void =>
    withFile((db) => void db.prepare('delete from claims where what = ?').run(what));
  const heldUntil = (channel: string, person: string, due: number): Delivery[] =>
    withFile((db) =>
      db
        .prepare(
          'select page from deliveries where channel = ? and person = ? and due = ? and delivered = 0 order by at, key',
        )
        .all(channel, person, due)
        .map(({ page }) => JSON.parse(String(page)) as Delivery),
    );

  /** Deliver a page, alone or with others; resolves when it is. @throws what the channel throws. */
  return async (channel: string, delivery: Delivery, deliver: (one: Delivery) => Promise<void>): Promise<void> => {
    const { due, delivered } = enter(channel, delivery);
    if (delivered === 1) return;
    if (due === null) {
      await deliver(delivery);
      return note(channel, [delivery]);
    }
    const group = `${channel}:${delivery.person}:${due}`;
    const send = async (): Promise<void> => {
      await sleep(Math.max(0, due - Date.now()));
      while (!claim(group)) await sleep(CLAIM_POLL_MS);
      try {
        const pages = heldUntil(channel, delivery.person, due);
        const [one] = pages;
        if (one === undefined) return; // another process has sent them
        await deliver(pages.length === 1 ? one : together(pages, `together:${group}`));
        note(channel, pages);
      } finally {
        release(group);
      }
    };
    const sending = underWay.get(group) ?? send().finally(() => underWay.delete(group));
    underWay.set(group, sending);
    await sending;
  };
}
