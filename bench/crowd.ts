/**
 * `npm run bench`: 200 open incidents, and 50 browsers that watch them, at the real gateway: how long the start page takes those
 * who come meanwhile, from asking to its last byte, and the gateway's memory. Once a second something changes, and every browser
 * loads the page anew, as its script does. Exit code 1 when a figure is over its limit.
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { openStore } from '../src/console/store.ts';
import { cleanUp, limited, peakMib, quantile, stateDir, until } from './rig.ts';
import { startWorld } from './world.ts';

const INCIDENTS = 200;
const BROWSERS = 50;
const SECONDS = 30;
const CHANGED_EVERY_MS = 1000;
const COMING_EVERY_MS = 100;
const LIMIT = { p95Ms: 200, mib: 512 };

interface Visit {
  url: string;
  headers: Record<string, string>;
}

/** The start page as it is now. */
async function pageOf({ url, headers }: Visit): Promise<string> {
  const response = await fetch(url, { headers });
  if (response.status !== 200) throw new Error(`the start page answered ${response.status}`);
  return await response.text();
}

/** Milliseconds that the start page takes. */
async function load(visit: Visit): Promise<number> {
  const began = performance.now();
  await pageOf(visit);
  return performance.now() - began;
}

/** A browser that watches until it leaves: what each of its loads took. */
async function watch(visit: Visit, leaving: AbortSignal): Promise<number[]> {
  const took: number[] = [];
  const { body } = await fetch(`${visit.url}/live`, { headers: visit.headers, signal: leaving });
  try {
    for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? [])
      if (text.includes('event: version')) took.push(await load(visit));
  } catch (error) {
    if (!leaving.aborted) throw error;
  }
  return took;
}

/** Do this again and again until it is over, whether or not it was done the time before. */
async function every<T>(ms: number, over: AbortSignal, act: () => Promise<T>): Promise<T[]> {
  const done: Promise<T>[] = [];
  while (!over.aborted) {
    done.push(act());
    await sleep(ms);
  }
  return await Promise.all(done);
}

try {
  console.log(`${INCIDENTS} incidents, ${BROWSERS} browsers that watch them for ${SECONDS} s…`);
  const { address, url, gateway, open } = await startWorld(INCIDENTS);
  await open(INCIDENTS);
  const store = openStore(stateDir);
  const cookie = `holdfast=${store.openSession('responder', 'responder@example.com')}`;
  store.close();
  const visit = { url, headers: { cookie, accept: 'text/html' } };
  await until('all of them are on the start page', async () =>
    (await pageOf(visit)).split('<article').length > INCIDENTS ? true : undefined,
  );
  const client = new Client({ connection: await Connection.connect({ address }) });
  let noted = 0;
  const note = async (): Promise<void> => {
    noted += 1;
    const incident = client.workflow.getHandle(`incident.service-${1 + (noted % INCIDENTS)}.high-error-rate`);
    await incident.signal('note', { by: 'responder', text: `looked at it, ${noted}` });
  };

  const over = AbortSignal.timeout(SECONDS * 1000);
  const [came, watched] = await Promise.all([
    every(COMING_EVERY_MS, over, () => load(visit)),
    Promise.all(Array.from({ length: BROWSERS }, () => watch(visit, over))),
    every(CHANGED_EVERY_MS, over, note),
  ]);
  const again = watched.flat();
  console.log(
    `${noted} changes; ${again.length} loads by browsers that watch, p95 ${quantile(again, 0.95).toFixed(0)} ms; ` +
      `load average ${(loadavg()[0] ?? 0).toFixed(1)}`,
  );
  limited(`start page, p95 of ${came.length} who came`, quantile(came, 0.95), LIMIT.p95Ms, ' ms');
  limited('memory of the gateway, peak', peakMib(gateway.pid), LIMIT.mib, ' MiB');
  await client.connection.close();
} finally {
  await cleanUp();
}
