import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { Heartbeat } from '../../src/contracts/index.ts';
import { settings as configured } from './rig.ts';
import { watchHeartbeats } from '../../src/gateway/heartbeats.ts';
import { openInbox, type Inbox } from '../../src/gateway/inbox.ts';
import { spacingMs } from '../../src/gateway/dispatcher.ts';
import { openSilences } from '../../src/silences.ts';
import { alertOf } from '../../src/gateway/source.ts';
import * as rig from './rig.ts';
import { until } from '../support/until.ts';

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

it('keeps a run under 5,000 events in a day of flapping, a batch being four of them', () => {
  let [at, sent] = [0, 0];
  while (at < 24 * 3_600_000) at += spacingMs((sent += 1));
  expect(sent * 4).toBeLessThan(4000);
});

describe('a heartbeat', () => {
  const watch = (heartbeats: object[]) =>
    watchHeartbeats({
      stateDir: folder.stateDir,
      settings: { ...configured, heartbeats: heartbeats as typeof configured.heartbeats },
      runbooks: rig.runbooks,
      inbox,
      leads: () => true,
      stored: () => undefined,
      log: (line) => {
        throw new Error(line);
      },
    });
  const nightly = { name: 'nightly', every: '100 ms', grace: '50 ms', severity: 'critical', service: 'shop' };
  const told = () => {
    using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
    return db.prepare(`select key, status, deliveries from alerts order by status`).all();
  };

  it('that stays away is an alert again and again, resolved when it comes back', async () => {
    const heartbeats = watch([nightly]);
    try {
      await until(() => Number(told()[0]?.['deliveries']) >= 2);
      expect(inbox.waiting()).toEqual(['incident.shop.triage']);
      expect(await heartbeats.beat('nightly')).toBe(true);
      expect(told()).toMatchObject([
        { key: 'nightly', status: 'firing' },
        { key: 'nightly', status: 'resolved', deliveries: 1 },
      ]);
      expect(await heartbeats.beat('unknown')).toBe(false);
    } finally {
      await heartbeats.stop();
    }
  });

  it('that comes is none', async () => {
    const heartbeats = watch([{ ...nightly, every: '60 s' }]);
    await heartbeats.beat('nightly');
    await heartbeats.stop();
    expect(told()).toEqual([]);
  });
});

it('takes heartbeats only with their token, and only those that are expected', async () => {
  await using gateway = await rig.runGateway({
    stateDir: folder.stateDir,
    env: { HOLDFAST_HEARTBEAT_TOKEN: 'a-heartbeat-token' },
  });
  const beat = (token: string) =>
    fetch(`${gateway.url}/heartbeats/nightly`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  expect((await beat('another')).status).toBe(401);
  expect((await beat('a-heartbeat-token')).status).toBe(404);
  await using closed = await rig.runGateway({ stateDir: folder.stateDir });
  expect((await fetch(`${closed.url}/heartbeats/nightly`, { method: 'POST' })).status).toBe(404);
});

it("takes Prometheus's Watchdog for a sign of life and for no alert", async () => {
  const heartbeats = [Heartbeat.parse({ name: 'watchdog', every: '200 ms', grace: '100 ms' })];
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir, heartbeats });
  const told = () => {
    using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
    return db.prepare('select source, key, status from alerts order by status').all();
  };
  await until(() => told().length > 0);
  expect(await rig.postAlertmanager(gateway.url, rig.group({ name: 'Watchdog' }))).toMatchObject({
    status: 202,
    body: { accepted: 0 },
  });
  expect(told()).toEqual([
    { source: 'heartbeat', key: 'watchdog', status: 'firing' },
    { source: 'heartbeat', key: 'watchdog', status: 'resolved' },
  ]);
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
