import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, findProcess } from '../../src/processes.ts';
import * as rig from './rig.ts';
import { forEachTest, inParallel, startGatewayProcess } from './process-rig.ts';
import { until } from '../support/until.ts';

const INCIDENT = 'incident.shop.high-error-rate';
const SECOND = 1000;

const of = forEachTest(async (stateDir) => {
  await endProcess(stateDir, 'gateway', 0);
  await endProcess(stateDir, 'other', 0);
});
const startGateway = (TEMPORAL_ADDRESS = of.temporal.address, name = 'gateway') =>
  startGatewayProcess(of.stateDir, { TEMPORAL_ADDRESS }, name);

it('makes one incident and few signals of 2,000 deliveries of one alert and 500 alerts, and counts each', async () => {
  const { url } = await startGateway();
  const answers = await inParallel(2500, (i) =>
    rig.postAlertmanager(url, rig.group(i % 5 === 0 ? { instance: `other-${i}` } : {})),
  );
  expect(answers.filter(({ status }) => status !== 202)).toEqual([]);
  await until(async () => (await of.temporal.counted(INCIDENT)).deliveries === 2500);
  const { distinct, signals } = await of.temporal.counted(INCIDENT);
  expect(distinct).toBe(501);
  expect(signals).toBeLessThan(20);
  expect(await of.temporal.runsOf(INCIDENT)).toBe(1);
});

it('accepts within half a second while Temporal is stopped for 20 s, and sends all when it is back', async () => {
  const { url } = await startGateway();
  await rig.postAlertmanager(url, rig.group({ instance: 'before' }));
  await until(() => of.temporal.exists(INCIDENT));
  await of.temporal.stop();
  const answers: rig.Answer[] = [];
  const back = Date.now() + 20 * SECOND;
  for (let i = 0; Date.now() < back; i += 1) {
    answers.push(await rig.postAlertmanager(url, rig.group(i % 2 === 0 ? { instance: `${i}` } : { name: `Odd${i}` })));
    await sleep(100);
  }
  await of.temporal.start();
  expect(answers.filter(({ status, ms }) => status !== 202 || ms > 500)).toEqual([]);
  const total = async (id: string) => (await of.temporal.counted(id).catch(() => undefined))?.deliveries;
  const odd = Math.floor(answers.length / 2);
  const even = answers.length - odd;
  await until(async () => (await total(INCIDENT)) === even + 1 && (await total('incident.shop.triage')) === odd);
});

it.each([
  ['Temporal was away', '127.0.0.1:1'],
  ['it may have been sent', undefined],
])('loses no alert when it is killed after it answered 202: %s', async (_, address) => {
  const first = await startGateway(address);
  expect(await rig.postAlertmanager(first.url, rig.group())).toMatchObject({ status: 202 });
  process.kill(first.pid, 'SIGKILL');
  await until(async () => (await findProcess(of.stateDir, 'gateway')) === undefined);
  const { url } = await startGateway();
  await until(async () => /inbox_waiting 0$/m.test(await (await fetch(`${url}/metrics`)).text()));
  expect(await of.temporal.counted(INCIDENT)).toMatchObject({ distinct: 1, deliveries: 1 });
});

it('has every alert that it answered 202 for when it is killed in the middle of a storm, and counts none twice', async () => {
  const first = await startGateway();
  let accepted = 0;
  await inParallel(1000, async (i) => {
    const answer = await rig.postAlertmanager(first.url, rig.group({ instance: `${i}` })).catch(() => undefined);
    if (answer?.status !== 202) return;
    accepted += 1;
    if (accepted === 300) process.kill(first.pid, 'SIGKILL');
  });
  expect(accepted).toBeLessThan(1000);
  const { url } = await startGateway();
  await until(async () => /inbox_waiting 0$/m.test(await (await fetch(`${url}/metrics`)).text()));
  const { distinct, deliveries } = await of.temporal.counted(INCIDENT);
  expect(distinct).toBe(deliveries);
  expect(distinct).toBeGreaterThanOrEqual(accepted);
  expect(distinct).toBeLessThanOrEqual(accepted + 50); // stored, but the answer was cut off
});

it('goes on by the other gateway when the one of two that leads is killed in a storm, loses nothing and counts none twice', async () => {
  const leading = await startGateway();
  const other = await startGateway(of.temporal.address, 'other');
  let accepted = 0;
  await inParallel(1000, async (i) => {
    const { url } = i % 2 === 0 ? leading : other;
    const answer = await rig.postAlertmanager(url, rig.group({ instance: `${i}` })).catch(() => undefined);
    if (answer?.status !== 202) return;
    accepted += 1;
    if (accepted === 300) process.kill(leading.pid, 'SIGKILL');
  });
  expect(accepted).toBeGreaterThanOrEqual(500); // all of the other one's
  await until(async () => /inbox_waiting 0$/m.test(await (await fetch(`${other.url}/metrics`)).text()));
  const { distinct, deliveries } = await of.temporal.counted(INCIDENT);
  expect(distinct).toBe(deliveries);
  expect(distinct).toBeGreaterThanOrEqual(accepted);
  expect(distinct).toBeLessThanOrEqual(accepted + 50);
});

it('ends on SIGTERM with what it had begun', async () => {
  const { url, pid } = await startGateway('127.0.0.1:1');
  const answer = rig.postAlertmanager(url, rig.group());
  await answer;
  process.kill(pid, 'SIGTERM');
  await until(async () => (await findProcess(of.stateDir, 'gateway')) === undefined);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});
