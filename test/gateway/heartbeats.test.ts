import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { Heartbeat } from '../../src/contracts/index.ts';
import { watchHeartbeats } from '../../src/gateway/heartbeats.ts';
import { openInbox, type Inbox } from '../../src/gateway/inbox.ts';
import * as rig from './rig.ts';
import { until } from '../support/until.ts';

const HOUR_MS = 3_600_000;

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
const query = (sql: string) => {
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'), { timeout: 1000 });
  return db.prepare(sql).all();
};
const told = () => query('select key, status, deliveries from alerts order by status');

const watch = (every: string) => {
  const nightly = { name: 'nightly', every, grace: '50 ms', severity: 'critical', service: 'shop' };
  const heartbeats = watchHeartbeats({
    stateDir: folder.stateDir,
    settings: { ...rig.settings, heartbeats: [Heartbeat.parse(nightly)] },
    runbooks: rig.runbooks,
    inbox,
    leads: () => true,
    stored: () => undefined,
    log: (line) => {
      throw new Error(line);
    },
    lookMs: 50,
  });
  return { ...heartbeats, [Symbol.asyncDispose]: () => heartbeats.stop() };
};
/** Resolves when all of them have been looked at since. */
const looked = async () => {
  const from = Date.now();
  await until(() => Number(query('select max(looked_at) as at from heartbeat_looks')[0]?.['at']) > from);
};
/** So much time goes by, in which a gateway looked or did not. */
const pass = (ms: number, { looked }: { looked: boolean }) => {
  query(`update heartbeats set seen_at = seen_at - ${ms}`);
  query(`update heartbeat_looks set expected_at = expected_at - ${ms}, looked_at = looked_at - ${looked ? 0 : ms}`);
};

describe('a heartbeat', () => {
  it('that stays away is an alert again and again, resolved when it comes back', async () => {
    await using heartbeats = watch('100 ms');
    await until(() => Number(told()[0]?.['deliveries']) >= 2);
    expect(inbox.waiting()).toEqual(['incident.shop.triage']);
    expect(await heartbeats.beat('nightly')).toBe(true);
    expect(told()).toMatchObject([
      { key: 'nightly', status: 'firing' },
      { key: 'nightly', status: 'resolved', deliveries: 1 },
    ]);
    expect(await heartbeats.beat('unknown')).toBe(false);
  });

  it('that comes is none', async () => {
    await using heartbeats = watch('1 hour');
    await heartbeats.beat('nightly');
    await looked();
    expect(told()).toEqual([]);
  });

  it.each(['came once', 'has never come'])('that %s is missed however often the gateway is restarted', async (how) => {
    {
      await using heartbeats = watch('1 hour');
      if (how === 'came once') await heartbeats.beat('nightly');
      await looked();
    }
    pass(HOUR_MS, { looked: true });
    await using _ = watch('1 hour');
    await until(() => told().length === 1);
    expect(told()).toEqual([{ key: 'nightly', status: 'firing', deliveries: 1 }]);
  });

  it('is due later by as long as no gateway looked, and no longer', async () => {
    {
      await using heartbeats = watch('1 hour');
      await heartbeats.beat('nightly');
    }
    pass(2 * HOUR_MS, { looked: false });
    await using _ = watch('1 hour');
    await looked();
    await looked();
    expect(told()).toEqual([]);
    pass(HOUR_MS, { looked: true });
    await until(() => told().length === 1);
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
  await until(() => told().length > 0);
  expect(await rig.postAlertmanager(gateway.url, rig.group({ name: 'Watchdog' }))).toMatchObject({
    status: 202,
    body: { accepted: 0 },
  });
  expect(query('select source, key, status from alerts order by status')).toEqual([
    { source: 'heartbeat', key: 'watchdog', status: 'firing' },
    { source: 'heartbeat', key: 'watchdog', status: 'resolved' },
  ]);
});
