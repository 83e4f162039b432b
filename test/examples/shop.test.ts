import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { Client } from 'pg';
import { makeRepository } from '../../examples/shop/make-repository.ts';
import configuration from '../../holdfast.config.ts';
import { parseSettings } from '../../src/config.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { until } from '../support/until.ts';
import { endProcess, findProcess, lastLines, listProcesses, runCommand, startProcess } from '../../src/processes.ts';

const SHOP = join(__dirname, '../../examples/shop');

let folder: string;
let repository: string;
let stateDir: string;
let supabase: { url: string; publishableKey: string };
let databaseUrl: string;
let tracker: Awaited<ReturnType<typeof errorTracker>>;
const flagsFile = (): string => join(folder, 'flags.json');

/** Keeps the events that Sentry's SDK sends. */
async function errorTracker() {
  const events: { release?: string; user?: { id?: string }; tags?: Record<string, string> }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8');
      const lines = text.split('\n').map((line) => (line === '' ? {} : JSON.parse(line)));
      lines.forEach((line, i) => line.type === 'event' && events.push(lines[i + 1]));
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { events, dsn: `http://key@127.0.0.1:${port}/1`, close: () => server.close() };
}

const setFlag = (defaultVariant: 'on' | 'off'): Promise<void> =>
  writeFile(
    flagsFile(),
    JSON.stringify({
      flags: { 'express-checkout': { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant } },
    }),
  );

/** Run a release of the shop on its own port. */
async function start(version: 'v1' | 'v2') {
  const cwd = join(folder, version);
  if (!existsSync(cwd)) {
    await runCommand({ command: 'git', args: ['clone', '--quiet', '--branch', version, '--', repository, cwd] });
    await runCommand({ command: 'npm', args: ['ci', '--omit=dev', '--prefer-offline'], cwd });
    await runCommand({ command: 'npm', args: ['run', 'build'], cwd });
  }
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { logFile } = await startProcess({
    stateDir,
    name: version,
    command: process.execPath,
    args: ['server.ts'],
    cwd,
    env: {
      PORT: String(port),
      RELEASE: version,
      SUPABASE_URL: supabase.url,
      SUPABASE_PUBLISHABLE_KEY: supabase.publishableKey,
      SENTRY_DSN: tracker.dsn,
      FLAGS_FILE: flagsFile(),
    },
  });
  const ready = () =>
    fetch(`${url}/healthz`).then(
      (response) => response.ok,
      () => false,
    );
  while (!(await ready())) {
    if ((await findProcess(stateDir, version)) === undefined) throw new Error(await lastLines(logFile));
    await sleep(50);
  }
  const buy = (user: string, product: number) =>
    fetch(`${url}/api/checkout`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, items: [{ product, quantity: 2 }] }),
    });
  return { url, buy, stop: () => endProcess(stateDir, version) };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-shop-'));
  stateDir = join(folder, 'state');
  repository = join(folder, 'shop.git');
  tracker = await errorTracker();
  await setFlag('off');
  await makeRepository(repository);
  ({ url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() }));
  supabase = await startSupabase({ stateDir, name: 'app-supabase', port: await freePort(), databaseUrl });
}, 180_000);

afterAll(async () => {
  tracker?.close();
  for (const { name } of (await listProcesses(stateDir)).toReversed()) await endProcess(stateDir, name);
  await rm(folder, { recursive: true, force: true });
});

type Product = { id: number; name: string; discount: { percent: number } | null };
const productsOf = async (url: string) => (await (await fetch(`${url}/api/products`)).json()) as Product[];

it('makes the same repository each time', async () => {
  const tags = async () =>
    (await runCommand({ command: 'git', args: ['--git-dir', repository, 'show-ref', '--tags'] })).stdout;
  const before = await tags();
  await makeRepository(repository);
  expect(await tags()).toBe(before);
  for (const release of ['v1', 'v2', 'slow-query', 'leak', 'heavy-bundle', 'slow-route'])
    expect(before).toContain(`refs/tags/${release}\n`);
});

it('sells in v1, whatever the flag says, and measures itself', async () => {
  await setFlag('on');
  const shop = await start('v1');
  const products = await productsOf(shop.url);
  expect(products.some(({ discount }) => discount === null)).toBe(true);
  for (const { id } of products) expect((await shop.buy('user-1', id)).status).toBe(201);
  expect(await (await fetch(`${shop.url}/healthz`)).json()).toEqual({ status: 'ok', version: 'v1' });
  expect(await (await fetch(shop.url)).text()).toContain('Chef&#39;s knife');
  expect(await (await fetch(`${shop.url}/client.js`)).text()).toContain('marked');
  const metrics = await (await fetch(`${shop.url}/metrics`)).text();
  expect(metrics).toContain('http_request_duration_seconds_count{route="/api/checkout",method="POST",code="201"} 10');
  expect(metrics).toContain('process_cpu_seconds_total');
  await shop.stop();
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query('select user_id, express, count(*)::int from orders group by 1, 2');
  await client.end();
  expect(rows).toEqual([{ user_id: 'user-1', express: true, count: 10 }]);
}, 120_000);

it('fails in v2 for what has no discount, and each error says release, user and flag', async () => {
  await setFlag('off');
  const shop = await start('v2');
  const products = await productsOf(shop.url);
  for (const { id, discount } of products)
    expect((await shop.buy('user-7', id)).status).toBe(discount === null ? 500 : 201);
  await shop.stop();
  const failing = products.filter(({ discount }) => discount === null);
  expect(tracker.events).toHaveLength(failing.length);
  for (const event of tracker.events)
    expect(event).toMatchObject({
      release: 'shop@v2',
      user: { id: 'user-7' },
      tags: { 'flag.express-checkout': 'off' },
      exception: { values: [{ type: 'TypeError', value: expect.stringContaining('percent') }] },
    });
}, 120_000);

it('refuses what is no basket', async () => {
  const shop = await start('v1');
  expect((await shop.buy('user-1', 999)).status).toBe(404);
  expect((await shop.buy("'; drop", 1)).status).toBe(400);
  const text = await fetch(`${shop.url}/api/checkout`, { method: 'POST', body: '{' });
  expect(text.status).toBe(400);
  await shop.stop();
});

it('has visitors that buy, and sum up what they met', async () => {
  const shop = await start('v2');
  const { logFile } = await startProcess({
    stateDir,
    name: 'traffic',
    command: process.execPath,
    args: [join(SHOP, 'traffic.ts'), '--url', shop.url, '--rate', '40'],
  });
  await until(async () => {
    const metrics = await (await fetch(`${shop.url}/metrics`)).text();
    const counted = [...metrics.matchAll(/^http_request_duration_seconds_count\{.*\} (\d+)$/gm)];
    return counted.reduce((sum, [, count]) => sum + Number(count), 0) > 250;
  });
  await endProcess(stateDir, 'traffic');
  const said = await lastLines(logFile);
  const [, requests, failed, unanswered] = /(\d+) requests in \d+ s: (\d+) answered 5xx, (\d+) unanswered/
    .exec(said)!
    .map(Number);
  expect(said).toMatch(/; since v2 first answered: v2 \d+/);
  expect(requests).toBeGreaterThan(100);
  expect(failed! / requests!).toBeGreaterThan(0.05);
  expect(failed! / requests!).toBeLessThan(0.4);
  expect(unanswered).toBe(0);
  await shop.stop();
}, 60_000);

it('is configured, also when no variable is set', () => {
  const { services } = parseSettings(configuration, {});
  expect(services[0]?.environments['production']).toMatchObject({ mode: 'act', url: 'http://127.0.0.1:4180' });
});
