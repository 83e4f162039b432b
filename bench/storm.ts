/**
 * `npm run bench`: a storm of alerts on the real gateway and the real worker, of which no system answers but Temporal. Counts
 * what was accepted, in which incident each alert is, the incidents and the pages. Exit code 1 when a limit does not hold.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { HEAP } from '../src/node-options.ts';
import { freePort } from '../src/embedded/ports.ts';
import { startTemporal } from '../src/embedded/temporal.ts';
import { readPages } from '../src/pages.ts';
import { countIncidents } from './incidents.ts';
import { cleanUp, groupOf, limited, peakMib, post, quantile, startPart, stateDir, until } from './rig.ts';

const ALERTS = 10_000;
const PER_SECOND = 200;
const GROUPS = 40;
const NAMES = ['HighErrorRate', 'NobodyKnowsThis'];
const LIMIT = { p99Ms: 500, incidents: 50, pages: 20, drainSeconds: 600, mib: 512 };
const SETTLE_MS = 10_000; // longer than pages are held to go together

/** Where the person's messages arrive. */
async function startReceiver(): Promise<{ url: string; messages: () => number; close: () => void }> {
  let messages = 0;
  const server = createServer((request, response) => {
    messages += 1;
    request.resume().on('end', () => response.end());
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${port}/`, messages: () => messages, close: () => server.close() };
}

/** Send each at its time, whatever became of those before; milliseconds from that time to the answer. */
async function send(gateway: string): Promise<{ accepted: number; took: number[] }> {
  const began = performance.now();
  const took: number[] = [];
  let accepted = 0;
  const one = async (i: number): Promise<void> => {
    const due = began + (i * 1000) / PER_SECOND;
    const alertname = NAMES[i % NAMES.length] as string;
    const service = `service-${1 + Math.floor((i % GROUPS) / NAMES.length)}`;
    const { status } = await post(
      `${gateway}/alerts/alertmanager`,
      groupOf({ alertname, service, fingerprint: `alert-${i}` }),
    ).catch(() => ({ status: 0 }));
    took.push(performance.now() - due);
    if (status === 202) accepted += 1;
  };
  const sent: Promise<void>[] = [];
  for (let i = 0; i < ALERTS; i += 1) {
    const early = began + (i * 1000) / PER_SECOND - performance.now();
    if (early > 0) await sleep(early);
    sent.push(one(i));
  }
  await Promise.all(sent);
  return { accepted, took };
}

const receiver = await startReceiver();
try {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const gatewayPort = await freePort();
  const env = {
    BENCH_SERVICES: String(GROUPS / NAMES.length),
    HOLDFAST_GATEWAY_PORT: String(gatewayPort),
    HOLDFAST_CODE_SECRET: 'a secret of thirty-two letters..',
    HOLDFAST_NOTIFY_URL: receiver.url,
    HOLDFAST_NOTIFY_SECRET: `whsec_${Buffer.from('a secret of thirty-two letters...').toString('base64')}`,
    TEMPORAL_ADDRESS: address,
  };
  const [worker, gatewayProcess] = [
    await startPart('worker', [...HEAP, 'workers/main.ts'], env),
    await startPart('gateway', ['src/gateway/main.ts'], env),
  ];
  const gateway = `http://127.0.0.1:${gatewayPort}`;
  await until('the gateway starts', () => fetch(gateway));
  await until('the worker starts', async () => /worker ready/.exec(readFileSync(worker.logFile, 'utf8')) ?? undefined);
  console.log(`${ALERTS} alerts in ${GROUPS} groups at ${PER_SECOND} a second…`);
  const { accepted, took } = await send(gateway);
  const load = loadavg()[0] as number;
  const ended = performance.now();
  const waiting = { pollMs: 100, withinMs: LIMIT.drainSeconds * 1000 };
  await until(
    'the inbox is empty',
    async () => /inbox_waiting 0$/m.exec(await (await fetch(`${gateway}/metrics`)).text()) ?? undefined,
    waiting,
  );
  const drained = (performance.now() - ended) / 1000;
  await sleep(SETTLE_MS);
  const client = new Client({ connection: await Connection.connect({ address }) });
  const { runs, ids, distinct, longest } = await countIncidents(client);
  await client.connection.close();
  console.log(`accepted ${accepted} of ${ALERTS}, in incidents ${distinct}; load average ${load.toFixed(1)}`);
  if (accepted !== ALERTS || distinct !== accepted) process.exitCode = 1;
  limited('time to accept, p99', quantile(took, 0.99), LIMIT.p99Ms, ' ms');
  limited(`incidents (runs; of ${ids} groups)`, runs, LIMIT.incidents);
  console.log(`events of the longest run: ${longest}`);
  limited(
    `pages (messages to the person; ${readPages(stateDir).length} lines in the inbox)`,
    receiver.messages(),
    LIMIT.pages,
  );
  limited('drained after the last alert', drained, LIMIT.drainSeconds, ' s');
  limited('memory of the gateway, peak', peakMib(gatewayProcess.pid), LIMIT.mib, ' MiB');
  limited('memory of the worker, peak', peakMib(worker.pid), LIMIT.mib, ' MiB');
} finally {
  receiver.close();
  await cleanUp();
}
