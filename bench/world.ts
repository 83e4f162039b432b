/** The real gateway, and a worker for which every system but Temporal answers at once, from memory. */
import { HEAP } from '../src/node-options.ts';
import { freePort } from '../src/embedded/ports.ts';
import { startTemporal } from '../src/embedded/temporal.ts';
import { groupOf, post, startPart, stateDir, until } from './rig.ts';
import type { Noted } from './worker.ts';

const WITHIN_MS = 10 * 60_000;

/** Over so many services, `service-1` and on. */
export async function startWorld(services: number) {
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
  const [url, workerUrl] = [`http://127.0.0.1:${gatewayPort}`, `http://127.0.0.1:${workerPort}`];
  const noted = async (): Promise<Noted> => (await (await fetch(workerUrl)).json()) as Noted;
  await until('gateway and worker start', () => Promise.all([noted(), fetch(url)]));

  let opened = 0;
  return {
    address,
    url,
    worker,
    gateway,
    /** Bytes that the worker's workflows hold. */
    heldBytes: async (): Promise<number> => Number(await (await fetch(`${workerUrl}/heap`)).json()),
    opened: () => opened,
    /** Open so many more incidents, all at once; seconds until the last of them waits for a person. */
    open: async (count: number): Promise<number> => {
      const began = performance.now();
      const names = Array.from({ length: count }, (_, i) => `service-${opened + i + 1}`);
      opened += count;
      const answers = await Promise.all(
        names.map((service) =>
          post(`${url}/alerts/alertmanager`, groupOf({ alertname: 'HighErrorRate', service, fingerprint: service })),
        ),
      );
      if (answers.some(({ status }) => status !== 202)) throw new Error('the gateway refused an alert');
      const all = async () => (new Set((await noted()).waiting).size >= opened ? true : undefined);
      await until(`${opened} incidents wait for a person`, all, { pollMs: 50, withinMs: WITHIN_MS });
      return (performance.now() - began) / 1000;
    },
  };
}
