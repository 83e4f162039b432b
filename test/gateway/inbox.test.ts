import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { openInbox, type Inbox } from '../../src/gateway/inbox.ts';
import { alertOf } from '../../src/gateway/source.ts';
import { scratch } from './rig.ts';
import { until } from '../support/until.ts';

const INCIDENT = 'incident.shop.high-error-rate';
const target = { service: 'shop', environment: 'production', type: 'highErrorRate', workflowId: INCIDENT };
const arrival = (...keys: string[]) => ({
  source: 'test',
  raw: Buffer.from(keys.join()),
  alerts: keys.map((key) => ({
    alert: alertOf({ source: 'test', key, name: 'HighErrorRate', labels: {} }),
    target,
  })),
});
const cut = (inbox: Inbox) => {
  const batch = inbox.cut(INCIDENT);
  if (batch === undefined) throw new Error('nothing was cut');
  return batch;
};

let folder: ReturnType<typeof scratch>;
let inbox: Inbox;
beforeEach(() => {
  folder = scratch();
  inbox = openInbox(folder.stateDir);
});
afterEach(async () => {
  inbox.close();
  await folder[Symbol.asyncDispose]();
});
const reopen = (options = {}) => {
  inbox.close();
  inbox = openInbox(folder.stateDir, options);
};
/** Over a connection of its own, which sees only what is committed. */
const read = (sql: string) => {
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  return db.prepare(sql).all();
};

it('counts the repeats of an alert on one row, committed when the call resolves', async () => {
  const stored = await Promise.all([arrival('a'), arrival('a', 'b'), arrival('a')].map((one) => inbox.store(one)));
  expect(stored.map(({ repeats }) => repeats)).toEqual([0, 1, 1]);
  expect(read('select key, deliveries from alerts order by key')).toEqual([
    { key: 'a', deliveries: 3 },
    { key: 'b', deliveries: 1 },
  ]);
  expect(read('select cast(raw as text) as raw from bodies')).toEqual([{ raw: 'a' }, { raw: 'a,b' }]);
  expect(inbox.backlog()).toMatchObject({ waiting: 4 });
});

it('sends a batch that was cut before a restart as it was, and what came since in the next', async () => {
  await inbox.store(arrival('a', 'b', 'a'));
  const first = cut(inbox);
  expect(first).toMatchObject({ batch: { distinct: 2, deliveries: 3 }, tried: false });
  await inbox.store(arrival('a', 'c'));
  reopen();
  expect(inbox.waiting()).toEqual([INCIDENT]);
  expect(cut(inbox)).toEqual({ ...first, since: expect.any(String), tried: true });
  expect(inbox.backlog()).toMatchObject({ waiting: 5 });
  inbox.settle(first.batch.batchId, { how: 'reached', runId: 'r1' });

  const second = cut(inbox);
  expect(second.batch.batchId).not.toBe(first.batch.batchId);
  expect(second).toMatchObject({ batch: { distinct: 1, deliveries: 2 }, tried: false });
  inbox.settle(second.batch.batchId, { how: 'reached' });
  expect(inbox.cut(INCIDENT)).toBeUndefined();
  expect(inbox.waiting()).toEqual([]);
});

it('lets a repeat open an incident only when its alert last reached one long ago', async () => {
  await inbox.store(arrival('a'));
  inbox.settle(cut(inbox).batch.batchId, { how: 'reached', runId: 'r1' });
  const reached = Date.now();
  await inbox.store(arrival('a'));
  const early = cut(inbox);
  expect(early).toMatchObject({ batch: { distinct: 0, deliveries: 1 }, reopens: 0 });
  inbox.settle(early.batch.batchId, { how: 'late' });

  reopen({ reopenMs: 50 });
  await until(() => Date.now() - reached > 60);
  for (let i = 0; i < 2; i += 1) {
    await inbox.store(arrival('a'));
    const later = cut(inbox);
    expect(later).toMatchObject({ batch: { distinct: 0, deliveries: 1 }, reopens: 1 });
    inbox.settle(later.batch.batchId, { how: 'late' }); // what came too late has reached nothing
  }
});

it('takes an alert that fires anew under an old key, after it resolved, for a new one', async () => {
  const told = (minute: number, resolved = false) => {
    const startsAt = `2026-11-24T08:0${minute}:00Z`;
    const alert = alertOf({ source: 'test', key: 'a', name: 'HighErrorRate', labels: {}, resolved, startsAt });
    return { source: 'test', raw: Buffer.from(`${minute}`), alerts: [{ alert, target }] };
  };
  const reach = () => {
    const { batch } = cut(inbox);
    inbox.settle(batch.batchId, { how: 'reached', runId: 'r1' });
    return batch;
  };
  await inbox.store(told(1));
  expect(reach()).toMatchObject({ status: 'firing', distinct: 1 });
  await inbox.store(told(2)); // it has not resolved: a repeat, whatever start it names
  expect(reach()).toMatchObject({ status: 'firing', distinct: 0 });
  await inbox.store(told(2, true));
  expect(reach()).toMatchObject({ status: 'resolved' });
  await inbox.store(told(2)); // on its way for long
  expect(reach()).toMatchObject({ status: 'firing', distinct: 0 });
  await inbox.store(told(2, true));
  const resolved = Date.now();
  await until(() => Date.now() > resolved);
  expect(await inbox.store(told(5))).toMatchObject({ repeats: 0 });
  expect(reach()).toMatchObject({ status: 'firing', distinct: 1, deliveries: 1 });
  expect(read('select cast(raw as text) as raw from bodies')).toEqual(
    expect.arrayContaining([{ raw: '1' }, { raw: '5' }]),
  );
});

it('leaves what a gateway of another build on this folder keeps in it', () => {
  read('create table flaps (at text not null)');
  reopen();
  expect(read('select * from flaps')).toEqual([]);
});

it('goes on with the next batch of the same incident when one was put aside', async () => {
  await inbox.store(arrival('a'));
  const refused = cut(inbox).batch;
  await inbox.store(arrival('b'));
  inbox.putBatchAside(refused.batchId, 'refused');
  expect(cut(inbox)).toMatchObject({ batch: { distinct: 1, samples: [{ key: 'b' }] } });
  expect(inbox.backlog()).toMatchObject({ waiting: 1, aside: 1 });
  const [kept] = read('select reason, cast(what as text) as what from aside');
  expect(kept?.['reason']).toBe('refused');
  expect(JSON.parse(String(kept?.['what']))).toEqual(refused);
});

it('keeps all of what comes in one turn or, when the disk refuses, none of it, and says so to each', async () => {
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  db.exec(`create trigger refuses before insert on alerts when new.key = 'c' begin select raise(fail, 'full'); end`);
  const answers = await Promise.allSettled(
    [arrival('a'), arrival('b', 'c'), arrival('d')].map((one) => inbox.store(one)),
  );
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(inbox.backlog()).toMatchObject({ waiting: 0 });
  expect(await inbox.store(arrival('a'))).toMatchObject({ repeats: 0 });
});

it('takes what has resolved to where it fired, whatever the routes say by then, and shows what fired where it says nothing', async () => {
  await inbox.store(arrival('a', 'b'));
  inbox.settle(cut(inbox).batch.batchId, { how: 'reached', runId: 'r1' });
  const elsewhere = { ...target, workflowId: 'incident.unrouted.triage' };
  const resolved = (key: string, labels: Record<string, string>) =>
    inbox.store({
      source: 'test',
      raw: Buffer.alloc(0),
      alerts: [{ alert: alertOf({ source: 'test', key, name: 'said', resolved: true, labels }), target: elsewhere }],
    });
  await resolved('a', {});
  await resolved('b', { alertname: 'said' });
  expect(cut(inbox)).toMatchObject({
    target,
    batch: { status: 'resolved', samples: [{ key: 'a', name: 'HighErrorRate', status: 'resolved' }, { name: 'said' }] },
  });
  await resolved('never fired', {});
  expect(inbox.waiting()).toEqual([INCIDENT, elsewhere.workflowId]);
});
