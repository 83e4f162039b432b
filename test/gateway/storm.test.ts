import { setTimeout as sleep } from 'node:timers/promises';
import { resolve } from 'node:path';
import { findProcess, endProcess, lastLines, startProcess } from '../../src/processes.ts';
import * as rig from './rig.ts';
import { startTemporalRig, TASK_QUEUE, type TemporalRig } from './temporal-rig.ts';

const INCIDENT = 'incident.shop.high-error-rate';
const ROOT = resolve(__dirname, '../..');
const SECOND = 1000;

let temporal: TemporalRig;
let folder: ReturnType<typeof rig.scratch>;
beforeAll(async () => {
  temporal = await startTemporalRig();
});
afterAll(() => temporal[Symbol.asyncDispose]());
beforeEach(() => {
  folder = rig.scratch();
});
afterEach(async () => {
  await endProcess(folder.stateDir, 'gateway', 0);
  await temporal.clear();
  await folder[Symbol.asyncDispose]();
});

/** The gateway as a process of its own, as `npm run gateway` starts it. */
async function startGatewayProcess(TEMPORAL_ADDRESS = temporal.address) {
  const { stateDir } = folder;
  const started = await startProcess({
    stateDir,
    name: 'gateway',
    command: process.execPath,
    args: ['src/gateway/main.ts'],
    cwd: ROOT,
    env: rig.gatewayEnv(stateDir, { TEMPORAL_ADDRESS, HOLDFAST_TASK_QUEUE: TASK_QUEUE }),
  });
  let url: string | undefined;
  await rig.until(async () => {
    const log = await lastLines(started.logFile);
    if ((await findProcess(stateDir, 'gateway')) === undefined) throw new Error(log);
    url = /ready on (http:\S+)\s*$/.exec(log)?.[1];
    if (url === undefined) return false;
    return await fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false, // an earlier gateway's
    );
  });
  return { ...started, url: String(url) };
}

/** Do all of these, at most 50 at a time. */
async function inParallel<T>(count: number, act: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      results[i] = await act(i);
    }
  };
  await Promise.all(Array.from({ length: 50 }, lane));
  return results;
}

it('makes one incident and few signals of 2,000 deliveries of one alert and 500 alerts, and counts each', async () => {
  const { url } = await startGatewayProcess();
  const answers = await inParallel(2500, (i) =>
    rig.postAlertmanager(url, rig.group(i % 5 === 0 ? { instance: `other-${i}` } : {})),
  );
  expect(answers.filter(({ status }) => status !== 202)).toEqual([]);
  await rig.until(async () => (await temporal.counted(INCIDENT)).deliveries === 2500);
  const { distinct, signals } = await temporal.counted(INCIDENT);
  expect(distinct).toBe(501);
  expect(signals).toBeLessThan(20);
  expect(await temporal.runsOf(INCIDENT)).toBe(1);
});

it('accepts within half a second while Temporal is stopped for 20 s, and sends all when it is back', async () => {
  const { url } = await startGatewayProcess();
  await rig.postAlertmanager(url, rig.group({ instance: 'before' }));
  await rig.until(() => temporal.exists(INCIDENT));
  await temporal.stop();
  const answers: rig.Answer[] = [];
  const back = Date.now() + 20 * SECOND;
  for (let i = 0; Date.now() < back; i += 1) {
    answers.push(await rig.postAlertmanager(url, rig.group(i % 2 === 0 ? { instance: `${i}` } : { name: `Odd${i}` })));
    await sleep(100);
  }
  await temporal.start();
  expect(answers.filter(({ status, ms }) => status !== 202 || ms > 500)).toEqual([]);
  const total = async (id: string) => (await temporal.counted(id).catch(() => undefined))?.deliveries;
  const odd = Math.floor(answers.length / 2);
  const even = answers.length - odd;
  await rig.until(async () => (await total(INCIDENT)) === even + 1 && (await total('incident.shop.triage')) === odd);
});

it.each([
  ['Temporal was away', '127.0.0.1:1'],
  ['it may have been sent', undefined],
])('loses no alert when it is killed after it answered 202: %s', async (_, address) => {
  const first = await startGatewayProcess(address);
  expect(await rig.postAlertmanager(first.url, rig.group())).toMatchObject({ status: 202 });
  process.kill(first.pid, 'SIGKILL');
  await rig.until(async () => (await findProcess(folder.stateDir, 'gateway')) === undefined);
  const { url } = await startGatewayProcess();
  await rig.until(async () => /inbox_waiting 0$/m.test(await (await fetch(`${url}/metrics`)).text()));
  expect(await temporal.counted(INCIDENT)).toMatchObject({ distinct: 1, deliveries: 1 });
});

it('has every alert that it answered 202 for when it is killed in the middle of a storm, and counts none twice', async () => {
  const first = await startGatewayProcess();
  let accepted = 0;
  await inParallel(1000, async (i) => {
    const answer = await rig.postAlertmanager(first.url, rig.group({ instance: `${i}` })).catch(() => undefined);
    if (answer?.status !== 202) return;
    accepted += 1;
    if (accepted === 300) process.kill(first.pid, 'SIGKILL');
  });
  expect(accepted).toBeLessThan(1000);
  const { url } = await startGatewayProcess();
  await rig.until(async () => /inbox_waiting 0$/m.test(await (await fetch(`${url}/metrics`)).text()));
  const { distinct, deliveries } = await temporal.counted(INCIDENT);
  expect(distinct).toBe(deliveries);
  expect(distinct).toBeGreaterThanOrEqual(accepted);
  expect(distinct).toBeLessThanOrEqual(accepted + 50); // stored, but the answer was cut off
});

it('ends on SIGTERM with what it had begun', async () => {
  const { url, pid } = await startGatewayProcess('127.0.0.1:1');
  const answer = rig.postAlertmanager(url, rig.group());
  await answer;
  process.kill(pid, 'SIGTERM');
  await rig.until(async () => (await findProcess(folder.stateDir, 'gateway')) === undefined);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

it('lists the open incidents with their links, as text', async () => {
  const env = {
    TEMPORAL_ADDRESS: temporal.address,
    HOLDFAST_TASK_QUEUE: TASK_QUEUE,
    HOLDFAST_TEMPORAL_UI_URL: 'http://ui.example/?a=1&b="<i>',
  };
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir, env });
  expect((await gateway.get('/')).text).toContain('No incident is open');
  await rig.postAlertmanager(gateway.url, rig.group());
  await rig.until(async () => (await gateway.get('/')).text.includes(INCIDENT));
  const { text } = await gateway.get('/');
  expect(text).toMatch(
    /href="http:[^"<]+\/namespaces\/default\/workflows\/incident\.shop\.high-error-rate\/[0-9a-f-]{36}\/user-metadata"/,
  );
  expect(text).not.toContain('<i>');
  expect(JSON.parse((await gateway.get('/readyz')).text)).toMatchObject({ temporal: 'reachable' });
});
