import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { openInbox, type Inbox } from '../../src/gateway/inbox.ts';
import { spacingMs } from '../../src/gateway/dispatcher.ts';
import { openSilences } from '../../src/silences.ts';
import { alertOf } from '../../src/gateway/source.ts';
import * as rig from './rig.ts';

const INCIDENT = 'incident.shop.high-error-rate';
const target = { service: 'shop', environment: 'production', type: 'highErrorRate', workflowId: INCIDENT };
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

let folder: ReturnType<typeof rig.scratch>;
let inbox: Inbox;
beforeEach(() => {
  folder = rig.scratch();
  inbox = openInbox(folder.stateDir);
});
afterEach(async () => {
  inbox.close();
  await folder[Symbol.asyncDispose]();
});

const store = (key: string, resolved = false, team = 'a', name = 'HighErrorRate') => {
  const alert = alertOf({ source: 'test', key, name, resolved, labels: { team } });
  return inbox.store({ source: 'test', raw: Buffer.from(key), alerts: [{ alert, target }] });
};
const reach = () => {
  const batch = inbox.cut(INCIDENT);
  if (batch !== undefined) inbox.settle(batch.batch.batchId, { how: 'reached', runId: 'r1' });
  return batch;
};

describe('a silence', () => {
  const silence = (match: Record<string, string>, until = inAnHour()) => {
    using silences = openSilences(folder.stateDir);
    return silences.add({ match, until, reason: 'a deployment', by: 'responder' });
  };

  it('keeps an alert without opening anything, until it comes again after the silence', async () => {
    const { id } = silence({ alertname: 'HighErrorRate', team: 'a' });
    expect(await store('k')).toEqual({ repeats: 0, silenced: 1 });
    expect(inbox.waiting()).toEqual([]);
    expect(await store('other', false, 'b')).toEqual({ repeats: 0, silenced: 0 });
    expect(reach()).toMatchObject({ batch: { samples: [{ key: 'other' }] } });
    using silences = openSilences(folder.stateDir);
    expect(silences.remove(id)).toBe(true);
    expect(silences.remove(id)).toBe(false);
    expect(await store('k')).toEqual({ repeats: 1, silenced: 0 });
    expect(reach()).toMatchObject({ reopens: 1, batch: { deliveries: 1, status: 'firing' } });
  });

  it('outlives the gateway, holds back nothing that waits already, and ends by itself', async () => {
    await store('k');
    silence({ team: 'a' });
    inbox.close();
    inbox = openInbox(folder.stateDir);
    expect(await store('k')).toMatchObject({ silenced: 1 });
    expect(reach()).toMatchObject({ batch: { deliveries: 1 } });
    silence({ team: 'b' }, new Date(Date.now() - 1).toISOString());
    expect(await store('l', false, 'b')).toMatchObject({ silenced: 0 });
  });
});

it('tells an incident how often its alerts fired and resolved again within ten minutes', async () => {
  for (let i = 0; i < 3; i += 1) {
    await store(`k${i}`);
    expect(reach()?.batch.flaps).toBe(i === 0 ? undefined : i);
    await store(`k${i}`, true);
    expect(reach()?.batch).toMatchObject({ status: 'resolved', flaps: i + 1 });
  }
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  db.exec(`update flapping set at = '2026-01-01T00:00:00.000Z'`);
  await store('k9');
  expect(reach()?.batch).not.toHaveProperty('flaps');
});

it('takes alerts of one name for one that flaps when the last of them resolves, and those of several names apart', async () => {
  for (const key of ['host-1', 'host-2', 'host-3']) await store(key);
  for (const key of ['host-1', 'host-2']) await store(key, true);
  expect(reach()?.batch).not.toHaveProperty('flaps'); // one host still fires
  await store('host-3', true);
  expect(reach()?.batch).toMatchObject({ status: 'resolved', flaps: 1 });
  for (const resolved of [false, true]) await store('slow', resolved, 'a', 'SlowResponses');
  expect(reach()?.batch.flaps).toBe(1);
});

it('takes for firing what belongs to the open incident, however long ago it came', async () => {
  for (const key of ['host-1', 'host-2']) await store(key);
  expect(reach()).toBeDefined();
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  db.exec(`update alerts set last_at = '2026-01-01T00:00:00.000Z' where key = 'host-2'`);
  for (const resolved of [true, false]) await store('host-1', resolved);
  expect(reach()?.batch).not.toHaveProperty('flaps');
  db.exec(`update incidents set opened_at = '2100-01-01T00:00:00.000Z'`); // it has closed, and another is open
  for (const resolved of [true, false]) await store('host-1', resolved);
  expect(reach()?.batch).toMatchObject({ flaps: 1 });
});

it('keeps a run under 5,000 events in a day of flapping, a batch being four of them', () => {
  let [at, sent] = [0, 0];
  while (at < 24 * 3_600_000) at += spacingMs((sent += 1));
  expect(sent * 4).toBeLessThan(4000);
});

it('tells a person, once a day, that a body was too large', async () => {
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir });
  for (let i = 0; i < 2; i += 1) {
    const body = JSON.stringify({ alerts: [], x: 'x'.repeat(9 * 1024 * 1024) });
    expect(await rig.postAlertmanager(gateway.url, body)).toMatchObject({ status: 413 });
  }
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  expect(db.prepare('select workflow_id, deliveries, alert from alerts').all()).toEqual([
    { workflow_id: 'incident.unrouted.triage', deliveries: 2, alert: expect.stringContaining('"BodyTooLarge"') },
  ]);
});
