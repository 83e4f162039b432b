import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { until } from '../support/until.ts';
import { startConsole, type ConsoleRig } from './rig.ts';

const INCIDENTS = 200;
const BROWSERS = 50;
const MIB = 1024 * 1024;
/** What browsers that watch, and a hundred loads of the page, may leave behind. */
const KEPT_MIB = 64;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
/** What lives in this process, the gateway's among it; the bench (`bench/crowd.ts`) has its own process, and the time that passes. */
function liveMib(): number {
  collect();
  return process.memoryUsage().heapUsed / MIB;
}
let rig: ConsoleRig;
beforeAll(async () => {
  rig = await startConsole({ ports: { policy: async () => simulatedPolicy } });
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

it('shows 200 open incidents beside 50 watching browsers for less than 200 ms of the processor at the 95th percentile, keeps little for them, and tells all of them of a change', async () => {
  const services = Array.from({ length: INCIDENTS }, (_, i) => `service-${i}`);
  for (let from = 0; from < INCIDENTS; from += 20)
    await Promise.all(services.slice(from, from + 20).map((service) => rig.waiting({ service })));
  const { get, session } = rig.visitor('viewer');
  await until(async () => ((await get('/')).text.match(/<article/g) ?? []).length === INCIDENTS);
  const before = liveMib();

  const leaving = new AbortController();
  const headers = { cookie: `holdfast=${session}` };
  const heard = Array(BROWSERS).fill(0) as number[];
  const watching = Array.from({ length: BROWSERS }, async (_, i) => {
    const { body } = await fetch(`${rig.url}/live`, { headers, signal: leaving.signal });
    for await (const _chunk of body as ReadableStream<Uint8Array>) heard[i] = (heard[i] ?? 0) + 1;
  });
  const ended = Promise.allSettled(watching);
  await until(() => heard.every((count) => count > 0));
  const times: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    const from = process.cpuUsage();
    expect((await get('/')).status).toBe(200);
    const { user, system } = process.cpuUsage(from); // and not the time that passed: other tests run beside it
    times.push((user + system) / 1000);
    await sleep(20); // as people come, not all at once
  }
  const p95 = times.sort((a, b) => a - b)[94] ?? NaN;
  await rig.client.workflow.getHandle('incident.service-7.high-error-rate').signal('note', { by: 'x', text: 'new' });
  const all = [...heard];
  await rig.client.workflow.getHandle('incident.service-7.high-error-rate').signal('stop', { by: 'x' });
  await until(() => heard.every((count, i) => count > (all[i] ?? 0)));
  const kept = liveMib() - before;
  leaving.abort();
  await ended;
  expect(p95).toBeLessThan(200);
  expect(kept).toBeLessThan(KEPT_MIB);
}, 240_000);
