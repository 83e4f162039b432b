/** The gateway's own process, whose beacons go into a real Supabase, under what should not be sent to it. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { endProcess } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import * as rig from './rig.ts';
import { inParallel, startGatewayProcess } from './process-rig.ts';
import { until } from '../support/until.ts';

const ORIGIN = 'https://shop.example';
const SLOT = { service: 'shop', environment: 'production', page: '/', device: 'mobile', release: 'v1', metric: 'LCP' };
const GARBAGE_MIB = 200;
const folder = rig.scratch();
const { stateDir } = folder;
let supabase: Awaited<ReturnType<typeof startSupabase>>;
beforeAll(async () => {
  chmodSync(stateDir, 0o755); // the user "postgres" must get in
  const { url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() });
  supabase = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
}, 120_000);
afterAll(async () => {
  for (const name of ['gateway', 'supabase', 'postgres']) await endProcess(stateDir, name);
  await folder[Symbol.asyncDispose]();
});

const residentMib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

it('keeps nothing of beacons that are forged, garbage or a megabyte, in the record or in its memory', async () => {
  const vitals = { origins: [ORIGIN], perSecond: 100_000 };
  const [shop] = rig.settings.services;
  const production = { ...shop!.environments['production'], performance: { vitals } };
  const services = [{ name: 'shop', environments: { production } }];
  const file = join(stateDir, 'holdfast.config.mjs');
  writeFileSync(file, `export default ${JSON.stringify({ ...rig.settings, routes: [], services })};\n`);
  const { url, pid } = await startGatewayProcess(stateDir, {
    HOLDFAST_CONFIG: file,
    RECORD_SUPABASE_URL: supabase.url,
    RECORD_SUPABASE_SECRET_KEY: supabase.secretKey,
  });
  const beacon = { page: '/', device: 'mobile', release: 'v1', vitals: [{ name: 'LCP', value: 1800 }] };
  const send = async (body: string, headers: Record<string, string> = {}): Promise<number> => {
    const all = { origin: ORIGIN, 'content-type': 'text/plain;charset=UTF-8', ...headers };
    return (await fetch(`${url}/vitals`, { method: 'POST', body, headers: all })).status;
  };
  /** Over a connection of its own, which the gateway may close before it has read a body that it refuses; 0 where it says nothing. */
  const sendAlone = (body: string): Promise<number> =>
    new Promise((resolve) => {
      const { port, hostname } = new URL(url);
      const socket = connect(Number(port), hostname);
      socket.once('data', (answer) => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer.toString())?.[1])));
      socket.on('error', () => undefined).on('close', () => resolve(0));
      const head = `POST /vitals HTTP/1.1\r\nhost: x\r\norigin: ${ORIGIN}\r\ncontent-type: text/plain`;
      socket.write(`${head}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    });
  const good = JSON.stringify(beacon);
  const tooLarge = JSON.stringify({ ...beacon, page: `/${'a'.repeat(2 ** 20)}` });
  const made = (i: number): (() => Promise<number>) =>
    [
      () => sendAlone(tooLarge),
      () => send(good, { origin: `https://shop-${i}.example` }),
      () => send(JSON.stringify({ ...beacon, page: `/<script>${i}` })),
      () => send(JSON.stringify({ ...beacon, release: `<${i}>` })),
      () => send(good.replace('1800', ['NaN', '-1', '1e999', '86400000'][i % 4] ?? '')),
      () => send(`{"${i}`),
    ][i % 6]!;

  for (let i = 0; i < 3; i += 1) expect(await send(good)).toBe(204);
  await inParallel(600, (i) => made(i)()); // what it needs once
  const before = residentMib(pid);
  const answers = await inParallel(6 * GARBAGE_MIB, (i) => made(i)());
  const refused = [[413, 0], [403], [400], [400], [400], [400]]; // 0: reset; what was too large is counted below
  expect(answers.filter((status, i) => refused[i % 6]?.includes(status) !== true)).toEqual([]);
  expect(residentMib(pid) - before).toBeLessThan(64);
  expect(await send(good)).toBe(204);

  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/vitals_accepted_total 4$/m);
  expect(metrics).toContain(`vitals_refused_total{reason="too-large"} ${GARBAGE_MIB + 100}`);
  const record = createRecord({ url: supabase.url, key: supabase.secretKey });
  const since = new Date(0).toISOString();
  const kept = async () =>
    (await record.vitals({ service: 'shop', environment: 'production', since, atMost: 100 })).slots;
  await until(async () => (await kept()).some(({ samples }) => samples === 4));
  expect(await kept()).toMatchObject([{ ...SLOT, samples: 4 }]);
}, 120_000);
