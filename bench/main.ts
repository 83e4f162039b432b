/**
 * `npm run bench`: from the alert to the first diagnostic, and the memory of a waiting incident, beside the same path in bare
 * Temporal, on the same server, in turn. Both sides read the same activities, which answer at once; Holdfast's adds its gateway
 * (authentication, durable inbox, dispatch) and its kit. Exit code 1 when a ratio is over the limit.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../src/embedded/ports.ts';
import { startTemporal } from '../src/embedded/temporal.ts';
import { cleanUp, groupOf, post, quantile, startPart, stateDir, until } from './rig.ts';
import type { Noted } from './worker.ts';

const LIMIT = 1.5;
const WARM_UP = 20;
const TIMED = 100;
const GROUPS = 15;
const GROUP = 10; // with the others under TUNING.maxCachedWorkflows
const IDLE_MS = 300;
const SERVICES = WARM_UP + TIMED + GROUPS * GROUP;
const SIDES = ['holdfast', 'bare'] as const;

interface Side {
  name: (typeof SIDES)[number];
  noted: () => Promise<Noted>;
  heldBytes: () => Promise<number>;
  alert: (service: string) => Promise<Response>;
}

async function startSide(name: Side['name'], address: string): Promise<Side> {
  const [gatewayPort, workerPort] = [await freePort(), await freePort()];
  const start = (part: string, ...args: string[]) =>
    startPart(`${name}-${part}`, args, {
      BENCH_SERVICES: String(SERVICES),
      HOLDFAST_GATEWAY_PORT: String(gatewayPort),
      HOLDFAST_TASK_QUEUE: name,
      TEMPORAL_ADDRESS: address,
    });
  await start('worker', '--expose-gc', '--import', './bench/heap.ts', 'bench/worker.ts', name, String(workerPort));
  await start('gateway', name === 'holdfast' ? 'src/gateway/main.ts' : 'bench/bare-gateway.ts');
  const ask = async <T>(path: string): Promise<T> =>
    (await (await fetch(`http://127.0.0.1:${workerPort}${path}`)).json()) as T;
  const noted = (): Promise<Noted> => ask('/');
  const gateway = `http://127.0.0.1:${gatewayPort}`;
  await until(`${name} starts`, () => Promise.all([noted(), fetch(gateway)]));
  const path = (service: string): string => (name === 'holdfast' ? 'alertmanager' : service);
  return {
    name,
    noted,
    heldBytes: () => ask('/heap'),
    alert: (service) =>
      post(
        `${gateway}/alerts/${path(service)}`,
        groupOf({ alertname: 'HighErrorRate', service, fingerprint: service }),
      ),
  };
}

/** Milliseconds from sending the alert to the first diagnostic; returns when the incident waits for a person. */
async function open({ name, noted, alert }: Side, service: string): Promise<number> {
  const began = performance.timeOrigin + performance.now();
  const { status } = await alert(service);
  if (status !== 202) throw new Error(`the gateway of ${name} answered ${status}`);
  return await until(`${name}: ${service} waits for a person`, async () => {
    const { diagnosed, waiting } = await noted();
    return waiting.includes(service) ? (diagnosed[service] as number) - began : undefined;
  });
}

/** Open these incidents on every side, in turn; milliseconds to the first diagnostic, side by side. */
async function openAll(sides: Side[], from: number, count: number, idleMs = 0): Promise<number[][]> {
  const took: number[][] = sides.map(() => []);
  for (let n = from; n < from + count; n += 1)
    for (const [i, side] of sides.entries()) {
      await sleep(idleMs);
      took[i]?.push(await open(side, `service-${n}`));
    }
  return took;
}

const heldBy = (sides: Side[]): Promise<number[]> => Promise.all(sides.map(({ heldBytes }) => heldBytes()));

function print(what: string, unit: string, [holdfast = 0, bare = 0]: number[]): void {
  const ratio = holdfast / bare;
  const over = ratio > LIMIT ? ` (over ${LIMIT})` : '';
  console.log(
    `${what}: Holdfast ${holdfast.toFixed(1)} ${unit}, bare Temporal ${bare.toFixed(1)} ${unit}, ratio ${ratio.toFixed(2)}${over}`,
  );
  if (over !== '') process.exitCode = 1;
}

try {
  console.log(`Opening ${SERVICES} incidents on each side, one after the other…`);
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const sides = await Promise.all(SIDES.map((name) => startSide(name, address)));
  await openAll(sides, 1, WARM_UP);
  const took = await openAll(sides, 1 + WARM_UP, TIMED, IDLE_MS);
  const grown: number[][] = sides.map(() => []);
  for (let group = 0; group < GROUPS; group += 1) {
    const before = await heldBy(sides);
    await openAll(sides, 1 + WARM_UP + TIMED + group * GROUP, GROUP);
    const after = await heldBy(sides);
    after.forEach((bytes, i) => grown[i]?.push((bytes - (before[i] ?? 0)) / GROUP / 1024));
  }
  for (const q of [0.5, 0.95])
    print(
      `alert to first diagnostic, p${q * 100} of ${TIMED}`,
      'ms',
      took.map((ms) => quantile(ms, q)),
    );
  const median = grown.map((kib) => quantile(kib, 0.5)); // what the engine itself frees in between is an outlier
  print(`JavaScript memory per waiting incident, median of ${GROUPS} groups of ${GROUP}`, 'KiB', median);
} finally {
  await cleanUp();
}
