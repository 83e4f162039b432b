import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import type { Alert } from '../../src/contracts/index.ts';
import { deliver } from '../../src/gateway/deliver.ts';
import { startDispatcher, type Dispatcher } from '../../src/gateway/dispatcher.ts';
import { openInbox, type Inbox } from '../../src/gateway/inbox.ts';
import { boundedSamples } from '../../src/gateway/samples.ts';
import { ladderOf } from '../../src/runbook/catalogue.ts';
import { alertOf } from '../../src/gateway/source.ts';
import { createTeller } from '../../src/gateway/tell.ts';
import { runbooks, scratch, settings } from './rig.ts';
import { until } from '../support/until.ts';
import { startTemporalRig, TASK_QUEUE, type TemporalRig } from './temporal-rig.ts';

const INCIDENT = 'incident.shop.high-error-rate';
const OTHER = 'incident.shop.triage';
const TOLD = 'incident.unrouted.triage';
const target = (workflowId = INCIDENT, type = 'highErrorRate') => ({
  service: 'shop',
  environment: 'production',
  type,
  workflowId,
});
const alert = (key: string, more: { resolved?: boolean; summary?: string } = {}): Alert =>
  alertOf({ source: 'test', key, name: 'HighErrorRate', severity: 'critical', labels: { alertname: 'x' }, ...more });
const store = (inbox: Inbox, alerts: Alert[], to = target()) =>
  inbox.store({ source: 'test', raw: Buffer.from('{}'), alerts: alerts.map((one) => ({ alert: one, target: to })) });

let temporal: TemporalRig;
let folder: ReturnType<typeof scratch>;
let logged: string[];
jest.setTimeout(30_000);
beforeAll(async () => {
  temporal = await startTemporalRig();
});
afterAll(() => temporal[Symbol.asyncDispose]());
beforeEach(() => {
  folder = scratch();
  logged = [];
});
afterEach(async () => {
  await temporal.clear();
  await folder[Symbol.asyncDispose]();
});

const dispatch = (inbox: Inbox) => {
  const dispatcher = startDispatcher({
    inbox,
    leads: () => true,
    client: temporal.client,
    taskQueue: TASK_QUEUE,
    tellAPerson: createTeller({ inbox, settings, runbooks }),
    log: (line) => void logged.push(line),
  });
  return { ...dispatcher, [Symbol.asyncDispose]: dispatcher.stop };
};
/** Tell the dispatcher that something came, and wait until all of it is sent. */
const sent = (inbox: Inbox, dispatcher?: Dispatcher) => {
  dispatcher?.wake();
  return until(() => inbox.backlog().waiting === 0);
};

it('opens one incident for alerts of one service and runbook, with what the first of them says', async () => {
  const inbox = openInbox(folder.stateDir);
  await using dispatcher = dispatch(inbox);
  await store(inbox, [alert('a', { summary: 'every fifth request fails' }), alert('b'), alert('a')]);
  await sent(inbox, dispatcher);
  const { incident, ...counted } = await temporal.counted(INCIDENT);
  expect(counted).toEqual({ distinct: 2, deliveries: 3, signals: 1, last: 'firing' });
  expect(incident).toMatchObject({
    service: 'shop',
    environment: 'production',
    severity: 'critical',
    summary: 'every fifth request fails',
    openedBy: 'alert:test',
  });
});

it('never opens an incident for a late resolve', async () => {
  const inbox = openInbox(folder.stateDir);
  await using dispatcher = dispatch(inbox);
  await store(inbox, [alert('a', { resolved: true })], target('incident.shop.never-opened'));
  await sent(inbox, dispatcher);
  expect(await temporal.exists('incident.shop.never-opened')).toBe(false);
  expect(dispatcher.counts).toMatchObject({ batches: 0, late: 1 });
});

it('tells the ladder that an incident has left behind when its alerts resolve', async () => {
  const inbox = openInbox(folder.stateDir);
  await using dispatcher = dispatch(inbox);
  const ladder = ladderOf(INCIDENT);
  await temporal.client.workflow.start('triage', { workflowId: ladder, taskQueue: TASK_QUEUE, args: [{}] });
  await store(inbox, [alert('a', { resolved: true })]);
  await sent(inbox, dispatcher);
  expect(await temporal.counted(ladder)).toMatchObject({ signals: 1, last: 'resolved' });
  expect(dispatcher.counts).toMatchObject({ batches: 1, late: 0 });
  expect(dispatcher.counts.lag.read().buckets.at(-1)).toEqual(['+Inf', 1]);
});

it('says last what was heard last', async () => {
  const inbox = openInbox(folder.stateDir);
  const later = () => new Promise((resolve) => setTimeout(resolve, 5));
  await store(inbox, [alert('a')]);
  await later();
  await store(inbox, [alert('a', { resolved: true })]);
  await store(inbox, [alert('b')], target(OTHER, 'triage'));
  await later();
  await store(inbox, [alert('b', { resolved: true })], target(OTHER, 'triage'));
  await later();
  await store(inbox, [alert('c')], target(OTHER, 'triage'));
  await using _ = dispatch(inbox);
  await sent(inbox);
  expect(await temporal.counted(INCIDENT)).toMatchObject({ deliveries: 2, last: 'resolved' });
  expect(await temporal.counted(OTHER)).toMatchObject({ deliveries: 2, last: 'firing' });
});

it('calls an incident resolved when the last of its alerts is', async () => {
  const inbox = openInbox(folder.stateDir);
  await using dispatcher = dispatch(inbox);
  const heard = async (...alerts: Alert[]) => {
    await store(inbox, alerts);
    await sent(inbox, dispatcher);
    return (await temporal.counted(INCIDENT)).last;
  };
  expect(await heard(alert('a'), alert('b'))).toBe('firing');
  expect(await heard(alert('a', { resolved: true }))).toBe('firing');
  expect(await heard(alert('b', { resolved: true }))).toBe('resolved');
  expect(await heard(alert('c'))).toBe('firing');
  expect(await heard(alert('b', { resolved: true }))).toBe('firing');
  await temporal.finish(INCIDENT);
  expect(await heard(alert('d'))).toBe('firing');
  expect(await heard(alert('d', { resolved: true }))).toBe('resolved'); // what fired in an earlier run is over
});

it('counts a repeat in the open incident, and reopens a closed one only long after', async () => {
  const inbox = openInbox(folder.stateDir, { reopenMs: 1500 });
  await using dispatcher = dispatch(inbox);
  const again = async () => {
    await store(inbox, [alert('a')]);
    await sent(inbox, dispatcher);
  };
  await again();
  const reached = Date.now();
  await again();
  expect(await temporal.counted(INCIDENT)).toMatchObject({ distinct: 1, deliveries: 2 });
  await temporal.finish(INCIDENT);
  await again();
  expect(dispatcher.counts.late).toBe(1);
  await until(() => Date.now() - reached > 4000);
  await again();
  expect(dispatcher.counts.late).toBe(1);
  expect(await temporal.counted(INCIDENT)).toMatchObject({ distinct: 1, deliveries: 1, signals: 1 });
});

it('reopens for a new alert at once', async () => {
  const inbox = openInbox(folder.stateDir);
  await using dispatcher = dispatch(inbox);
  await store(inbox, [alert('a')]);
  await sent(inbox, dispatcher);
  await temporal.finish(INCIDENT);
  await store(inbox, [alert('b')]);
  await sent(inbox, dispatcher);
  expect(await temporal.counted(INCIDENT)).toMatchObject({ distinct: 1, deliveries: 1 });
});

describe('a batch that arrived, but whose arrival was not noted before the gateway died,', () => {
  const arrivedUnnoted = async (): Promise<void> => {
    const inbox = openInbox(folder.stateDir);
    await store(inbox, [alert('a'), alert('b')]);
    const batch = inbox.cut(INCIDENT);
    if (batch === undefined) throw new Error('nothing was cut');
    await deliver(temporal.client, batch, TASK_QUEUE);
    inbox.close();
  };

  it('is counted once', async () => {
    await arrivedUnnoted();
    const inbox = openInbox(folder.stateDir);
    await using _ = dispatch(inbox);
    await sent(inbox);
    expect(await temporal.counted(INCIDENT)).toMatchObject({ distinct: 2, deliveries: 2, signals: 2 });
  });

  it('does not open again the incident that it opened and that has closed', async () => {
    await arrivedUnnoted();
    await temporal.finish(INCIDENT);
    const before = await temporal.client.workflow.getHandle(INCIDENT).describe();
    const inbox = openInbox(folder.stateDir);
    await using dispatcher = dispatch(inbox);
    await sent(inbox);
    const after = await temporal.client.workflow.getHandle(INCIDENT).describe();
    expect(after).toMatchObject({ runId: before.runId, status: { name: 'COMPLETED' } });
    expect(dispatcher.counts.batches).toBe(1);
  });
});

it('puts aside what cannot be read and what Temporal will never take, tells a person of each, and sends the rest', async () => {
  const inbox = openInbox(folder.stateDir);
  await store(inbox, [alert('bad'), alert('good')]);
  await store(inbox, [alert('typeless')], target('incident.shop.typeless', ''));
  await store(inbox, [alert('last')], target(OTHER, 'triage'));
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  db.exec(`update alerts set alert = '{"name":' where key = 'bad'`);
  await using _ = dispatch(inbox);
  await sent(inbox);
  expect(await temporal.counted(INCIDENT)).toMatchObject({ distinct: 1, deliveries: 1 });
  expect(await temporal.counted(OTHER)).toMatchObject({ deliveries: 1 });
  expect(inbox.backlog()).toMatchObject({ waiting: 0, aside: 2 });
  const reasons = db
    .prepare('select reason from aside order by id')
    .all()
    .map(({ reason }) => String(reason));
  expect(reasons.sort()).toEqual([
    expect.stringContaining('INVALID_ARGUMENT'),
    expect.stringContaining('not readable'),
  ]);
  const { deliveries, incident } = await temporal.counted(TOLD);
  expect(deliveries).toBe(2);
  expect(incident.summary).toContain("can never be sent and lie in the gateway's inbox");
  expect(logged.sort()).toEqual([expect.stringContaining(INCIDENT), expect.stringContaining('incident.shop.typeless')]);
});

it('tells nobody that what tells of it can never be sent, which would go on for ever', async () => {
  const inbox = openInbox(folder.stateDir);
  const telling = alertOf({ source: 'gateway', key: 'k', name: 'AlertsPutAside', labels: {} });
  await store(inbox, [telling], target('incident.shop.typeless', ''));
  await using _ = dispatch(inbox);
  await sent(inbox);
  expect(inbox.backlog()).toMatchObject({ waiting: 0, aside: 1 });
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  expect(db.prepare('select source from alerts').all()).toEqual([{ source: 'test' }]);
});

it('keeps a signal under 16 KiB, whatever the alerts hold', async () => {
  const labels = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`label-${i}`, 'ü'.repeat(500)]));
  const large = (i: number): Alert => ({ ...alert(`k${i}`, { summary: 'ü'.repeat(1000) }), labels });
  const samples = boundedSamples(Array.from({ length: 30 }, (_, i) => large(i)));
  expect(samples.length).toBeGreaterThan(2);
  expect(Buffer.byteLength(JSON.stringify(samples))).toBeLessThan(14 * 1024);
  expect(samples[0]?.labels['label-0']).toBe(labels['label-0']);
  const small = [alert('small')];
  expect(boundedSamples(small)).toEqual(small);
  expect(boundedSamples(Array.from({ length: 30 }, (_, i) => alert(`k${i}`)))).toHaveLength(10);
});

it('forgets what was settled long ago, and nothing that waits', async () => {
  const inbox = openInbox(folder.stateDir);
  await using dispatcher = dispatch(inbox);
  await store(inbox, [alert('a')]);
  await sent(inbox, dispatcher);
  await dispatcher.stop();
  await store(inbox, [alert('b')]);
  inbox.prune(new Date(Date.now() + 1000));
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  expect(db.prepare('select key from alerts').all()).toEqual([{ key: 'b' }]);
  expect(db.prepare('select count(*) as n from bodies').get()).toEqual({ n: 1 });
});
