/**
 * `npm run bench`: what one worker carries. As many services alert at once as incidents are to open, in steps: how many a second
 * come to wait for a person, what processor time each took, what the worker's memory is by then, and how soon one of them, taken
 * at random, tells how it stands. Every system but Temporal answers at once, from memory.
 */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Client, Connection } from '@temporalio/client';
import { HEAP } from '../src/heap.ts';
import { freePort } from '../src/embedded/ports.ts';
import { startTemporal } from '../src/embedded/temporal.ts';
import { listProcesses } from '../src/processes.ts';
import { cleanUp, groupOf, peakMib, post, quantile, startPart, stateDir, until } from './rig.ts';
import type { Noted } from './worker.ts';

const STEPS = [50, 100, 150];
const WARM_UP = 20;
const ASKED = 50;
const TICKS_PER_SECOND = 100;
const WITHIN_MS = 10 * 60_000;

const services = WARM_UP + STEPS.reduce((sum, step) => sum + step, 0);
const statOf = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
/** Seconds that a process has had the processor; of threads that are its own, and no child's. */
function processorSeconds(pid: number): number {
  const [utime = 0, stime = 0] = statOf(pid, 'stat').split(') ')[1]?.split(' ').slice(11, 13).map(Number) ?? [];
  return (utime + stime) / TICKS_PER_SECOND;
}
const residentMib = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(statOf(pid, 'status'))?.[1]) / 1024;

try {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const [gatewayPort, workerPort] = [await freePort(), await freePort()];
  const env = {
    BENCH_SERVICES: String(services),
    HOLDFAST_GATEWAY_PORT: String(gatewayPort),
    TEMPORAL_ADDRESS: address,
  };
  const measured = ['--expose-gc', '--import', './bench/heap.ts', 'bench/worker.ts', 'holdfast', String(workerPort)];
  const worker = await startPart('worker', [...HEAP, ...measured], env);
  const gateway = await startPart('gateway', ['src/gateway/main.ts'], env);
  const temporal = (await listProcesses(stateDir)).find(({ name }) => name === 'temporal');
  const alerts = `http://127.0.0.1:${gatewayPort}/alerts/alertmanager`;
  const noted = async (): Promise<Noted> => (await (await fetch(`http://127.0.0.1:${workerPort}/`)).json()) as Noted;
  await until('gateway and worker start', () => Promise.all([noted(), fetch(alerts)]));
  const client = new Client({ connection: await Connection.connect({ address }) });
  const parts = { worker: worker.pid, gateway: gateway.pid, ...(temporal && { temporal: temporal.pid }) };
  const used = (): [string, number][] => Object.entries(parts).map(([name, pid]) => [name, processorSeconds(pid)]);

  let opened = 0;
  /** Open so many more, all at once; seconds until the last of them waits for a person. */
  async function open(count: number): Promise<number> {
    const began = performance.now();
    const names = Array.from({ length: count }, (_, i) => `service-${opened + i + 1}`);
    opened += count;
    const answers = await Promise.all(
      names.map((service) => post(alerts, groupOf({ alertname: 'HighErrorRate', service, fingerprint: service }))),
    );
    if (answers.some(({ status }) => status !== 202)) throw new Error('the gateway refused an alert');
    const all = async () => (new Set((await noted()).waiting).size >= opened ? true : undefined);
    await until(`${opened} incidents wait for a person`, all, { pollMs: 50, withinMs: WITHIN_MS });
    return (performance.now() - began) / 1000;
  }
  /** Milliseconds until incidents taken at random tell how they stand. */
  async function ask(): Promise<number[]> {
    const took: number[] = [];
    for (let n = 0; n < ASKED; n += 1) {
      const service = `service-${1 + Math.floor(Math.random() * opened)}`;
      const began = performance.now();
      const handle = client.workflow.getHandle(`incident.${service}.high-error-rate`);
      await until(`${service} tells how it stands`, () => handle.query('status')); // a query that times out is asked again
      took.push(performance.now() - began);
    }
    return took;
  }

  await open(WARM_UP);
  console.log(`one worker, no incident but ${WARM_UP}: ${residentMib(worker.pid).toFixed(0)} MiB`);
  for (const step of STEPS) {
    const before = new Map(used());
    const seconds = await open(step);
    const each = used().map(([name, after]) => {
      const ms = ((after - (before.get(name) ?? 0)) * 1000) / step;
      return `${name} ${ms.toFixed(0)} ms`;
    });
    const heap = Number(await (await fetch(`http://127.0.0.1:${workerPort}/heap`)).json()) / 1024 / 1024;
    const took = await ask();
    console.log(
      `${opened} open: ${(step / seconds).toFixed(1)} begun a second, processor per incident: ${each.join(', ')}; ` +
        `worker ${residentMib(worker.pid).toFixed(0)} MiB, of it ${heap.toFixed(0)} MiB workflows; ` +
        `its status in ${quantile(took, 0.5).toFixed(0)} ms (p95 ${quantile(took, 0.95).toFixed(0)}); load ${(loadavg()[0] ?? 0).toFixed(1)}`,
    );
  }
  console.log(`peak: worker ${peakMib(worker.pid).toFixed(0)} MiB, gateway ${peakMib(gateway.pid).toFixed(0)} MiB`);
  await client.connection.close();
} finally {
  await cleanUp();
}
