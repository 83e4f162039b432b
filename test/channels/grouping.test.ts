import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Delivery } from '../../src/channels/channel.ts';
import { groupDeliveries } from '../../src/channels/grouping.ts';
import { scratch } from '../gateway/rig.ts';

let folder: ReturnType<typeof scratch>;
let delivered: Delivery[];
beforeEach(() => {
  folder = scratch();
  delivered = [];
});
afterEach(() => folder[Symbol.asyncDispose]());

const deliver = async (one: Delivery) => void delivered.push(one);
const page = (i: number, of: Partial<Delivery> = {}): Delivery => ({
  key: `k${i}`,
  person: 'responder',
  to: 'U1',
  level: 'team',
  service: 'shop',
  environment: 'production',
  severity: 'warning',
  workflowId: `incident.s${i}.triage`,
  runId: 'r',
  subject: `Alert ${i}`,
  text: 'text',
  ...of,
});
const storm = (count: number, send: ReturnType<typeof groupDeliveries>, of: Partial<Delivery> = {}) =>
  Promise.all(Array.from({ length: count }, (_, i) => send('slack', page(i, of), deliver)));

it('makes a few messages of a storm: the first singly, the rest as one that lists them and carries no code', async () => {
  await storm(40, groupDeliveries(folder.stateDir), { code: 'AAAA-BBBB', asks: { digest: 'd', expiresAt: 'later' } });
  expect(delivered.length).toBeLessThanOrEqual(7);
  expect(delivered.slice(0, 5).map(({ code }) => code)).toEqual(Array(5).fill('AAAA-BBBB'));
  const rest = delivered.slice(5);
  expect(rest.reduce((sum, { grouped = 1 }) => sum + grouped, 0)).toBe(35);
  expect(rest[0]).toMatchObject({
    person: 'responder',
    to: 'U1',
    subject: expect.stringContaining('more need you at once'),
  });
  expect(rest[0]).not.toHaveProperty('code');
  expect(rest[0]).not.toHaveProperty('asks');
  expect(rest[0]?.text).toContain('Alert 5 (incident.s5.triage)');
});

it('links what is sent together to the console, which shows them all', async () => {
  const link = 'https://holdfast.example/runs/incident.s1.triage/r';
  await storm(40, groupDeliveries(folder.stateDir), { link });
  expect(delivered.slice(0, 5).map((one) => one.link)).toEqual(Array(5).fill(link));
  expect(delivered.find(({ grouped }) => grouped !== undefined)?.link).toBe('https://holdfast.example/');
});

it('delivers a key once, whether or not the process starts anew', async () => {
  await storm(7, groupDeliveries(folder.stateDir));
  const before = delivered.length;
  await storm(7, groupDeliveries(folder.stateDir));
  expect(delivered).toHaveLength(before);
});

it('delivers a group once where two processes hold it', async () => {
  const slow = async (one: Delivery) => {
    await new Promise((resolve) => setImmediate(resolve));
    await deliver(one);
  };
  const [one, other] = [groupDeliveries(folder.stateDir), groupDeliveries(folder.stateDir)];
  await Promise.all(Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? one : other)('slack', page(i), slow)));
  expect(delivered.reduce((sum, { grouped = 1 }) => sum + grouped, 0)).toBe(24);
});

it('keeps people and channels apart', async () => {
  const send = groupDeliveries(folder.stateDir);
  await Promise.all(
    Array.from({ length: 4 }, (_, i) => [
      send('slack', page(i), deliver),
      send('slack', page(i, { person: 'lead' }), deliver),
      send('email', page(i), deliver),
    ]).flat(),
  );
  expect(delivered).toHaveLength(12);
  expect(delivered.every(({ grouped }) => grouped === undefined)).toBe(true);
});

it('delivers all that was held when the channel works again', async () => {
  const send = groupDeliveries(folder.stateDir);
  const down = async () => {
    throw new Error('the channel is down');
  };
  const attempt = (how: (one: Delivery) => Promise<void>) =>
    Promise.allSettled(Array.from({ length: 8 }, (_, i) => send('slack', page(i), how)));
  expect((await attempt(down)).every(({ status }) => status === 'rejected')).toBe(true);
  expect((await attempt(deliver)).every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(delivered.reduce((sum, { grouped = 1 }) => sum + grouped, 0)).toBe(8);
});

it('keeps the codes that it holds readable by the owner alone', async () => {
  await storm(1, groupDeliveries(folder.stateDir), { code: 'AAAA-BBBB' });
  expect(statSync(join(folder.stateDir, 'pages.sqlite')).mode & 0o777).toBe(0o600);
});
