/**
 * `npm run bench`: what one worker carries. As many services alert at once as incidents are to open, in steps: how many a second
 * come to wait for a person, what processor time each took, what the worker's memory is by then, and how soon one of them, taken
 * at random, tells how it stands. Every system but Temporal answers at once, from memory.
 */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Client, Connection } from '@temporalio/client';
import { listProcesses } from '../src/processes.ts';
import { cleanUp, peakMib, quantile, stateDir, until } from './rig.ts';
import { startWorld } from './world.ts';

const STEPS = [50, 100, 150];
const WARM_UP = 20;
const ASKED = 50;
const TICKS_PER_SECOND = 100;

const services = WARM_UP + STEPS.reduce((sum, step) => sum + step, 0);
const statOf = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
/** Seconds that a process has had the processor; of threads that are its own, and no child's. */
function processorSeconds(pid: number): number {
  const [utime = 0, stime = 0] = statOf(pid, 'stat').split(') ')[1]?.split(' ').slice(11, 13).map(Number) ?? [];
  return (utime + stime) / TICKS_PER_SECOND;
}
const residentMib = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(statOf(pid, 'status'))?.[1]) / 1024;

try {
  const { address, worker, gateway, heldBytes, opened, open } = await startWorld(services);
  const temporal = (await listProcesses(stateDir)).find(({ name }) => name === 'temporal');
  const client = new Client({ connection: await Connection.connect({ address }) });
  const parts = { worker: worker.pid, gateway: gateway.pid, ...(temporal && { temporal: temporal.pid }) };
  const used = (): [string, number][] => Object.entries(parts).map(([name, pid]) => [name, processorSeconds(pid)]);

  /** Milliseconds until incidents taken at random tell how they stand. */
  async function ask(): Promise<number[]> {
    const took: number[] = [];
    for (let n = 0; n < ASKED; n += 1) {
      const service = `service-${1 + Math.floor(Math.random() * opened())}`;
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
    const heap = (await heldBytes()) / 1024 / 1024;
    const took = await ask();
    console.log(
      `${opened()} open: ${(step / seconds).toFixed(1)} begun a second, processor per incident: ${each.join(', ')}; ` +
        `worker ${residentMib(worker.pid).toFixed(0)} MiB, of it ${heap.toFixed(0)} MiB workflows; ` +
        `its status in ${quantile(took, 0.5).toFixed(0)} ms (p95 ${quantile(took, 0.95).toFixed(0)}); load ${(loadavg()[0] ?? 0).toFixed(1)}`,
    );
  }
  console.log(`peak: worker ${peakMib(worker.pid).toFixed(0)} MiB, gateway ${peakMib(gateway.pid).toFixed(0)} MiB`);
  await client.connection.close();
} finally {
  await cleanUp();
}
