import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createActivities } from '../../activities/bugsink.ts';
import { startBugsink } from '../../src/embedded/bugsink.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess, runCommand } from '../../src/processes.ts';
import type { Failures } from './failing-shop.ts';
import { failsAsDeclared, refusesNonsense, serving } from './http-server.ts';
import { settings } from './settings.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-errors-'));
let bugsink: Awaited<ReturnType<typeof startBugsink>>;

const tracker = (url: string, token: string) => createActivities({ BUGSINK_URL: url, BUGSINK_TOKEN: token }, settings);
const window = { service: 'shop', environment: 'production', windowSeconds: 300 };
const read = () => tracker(bugsink.url, bugsink.token);

/** Fail as the shop would, and send it with Sentry's own SDK. */
const send = (failures: Failures) =>
  runCommand({
    command: process.execPath,
    args: [join(import.meta.dirname, 'failing-shop.ts'), bugsink.dsn, JSON.stringify(failures)],
  });

/** What was sent is counted once Bugsink has digested it. */
async function digested(count: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await read().errorCorrelations(window)).events >= count) return;
    await sleep(100);
  }
  throw new Error(`Bugsink has not shown ${count} errors in ten seconds`);
}

beforeAll(async () => {
  bugsink = await startBugsink({ stateDir, port: await freePort() });
  await send({ release: 'shop@v1', times: 2, because: 'timeout' });
  await send({ release: 'shop@v2', times: 1, because: 'timeout' });
  await send({ release: 'shop@v2', times: 6, users: 3, express: 4 });
  await send({ release: 'shop@v2', environment: 'staging', times: 3, users: 9 });
  await digested(9);
}, 300_000);
afterAll(async () => {
  await endProcess(stateDir, 'bugsink');
  rmSync(stateDir, { recursive: true });
});

it('names the errors of the environment, and those that the release brought', async () => {
  const patterns = await read().errorPatterns({ ...window, release: 'v2' });
  expect(patterns).toMatchObject([
    {
      title: expect.stringMatching(/^TypeError: .*price/) as string,
      count: 6,
      firstRelease: 'shop@v2',
      newInRelease: true,
    },
    { title: 'Error: payment timed out', count: 3, firstRelease: 'shop@v1', newInRelease: false },
  ]);
  for (const { url } of patterns) expect((await fetch(url ?? '')).status).toBe(200); // the sign-in, or the issue
});

it('calls nothing new when another release runs or none is asked about', async () => {
  for (const asked of [{ ...window, release: 'v3' }, { ...window, release: 'v1' }, window])
    expect((await read().errorPatterns(asked)).find(({ title }) => title.startsWith('TypeError'))?.newInRelease).toBe(
      false,
    );
});

it('counts each affected user once', async () => {
  await expect(read().affectedUsers(window)).resolves.toEqual({ count: 3, sampled: false });
});

it('shows the innermost frames of the most frequent error', async () => {
  const { pattern, frames } = await read().topStackTrace(window);
  expect(pattern).toMatch(/^TypeError/);
  expect(frames[0]).toMatch(/^totalOf \(.*failing-shop\.ts:\d+\)$/);
  expect(frames.length).toBeLessThanOrEqual(10);
});

it('divides the errors over releases and flags', async () => {
  await expect(read().errorCorrelations(window)).resolves.toEqual({
    events: 9,
    releases: [
      { release: 'shop@v2', share: 0.7778 },
      { release: 'shop@v1', share: 0.2222 },
    ],
    flags: [
      { flag: 'express-checkout', value: 'off', share: 0.5556 },
      { flag: 'express-checkout', value: 'on', share: 0.4444 },
    ],
  });
});

it('sees nothing of what happened before the window', async () => {
  const moment = { ...window, windowSeconds: 0.001 };
  await expect(read().errorPatterns(moment)).resolves.toEqual([]);
  await expect(read().affectedUsers(moment)).resolves.toEqual({ count: 0, sampled: false });
  await expect(read().topStackTrace(moment)).rejects.toMatchObject({ type: 'NotFound' });
});

it('says which project is not there, or not configured', async () => {
  const other = structuredClone(settings);
  other.services[0]!.environments['production']!.errors = { project: 'nowhere' };
  const elsewhere = createActivities({ BUGSINK_URL: bugsink.url, BUGSINK_TOKEN: bugsink.token }, other);
  await expect(elsewhere.errorPatterns(window)).rejects.toMatchObject({ type: 'NotFound' });
  await expect(elsewhere.errorPatterns({ ...window, environment: 'staging' })).rejects.toMatchObject({
    type: 'NotConfigured',
  });
});

it('is refused by Bugsink itself with a wrong token', async () => {
  await expect(tracker(bugsink.url, '0'.repeat(40)).affectedUsers(window)).rejects.toMatchObject({
    type: 'NotAllowed',
  });
});

it('reads what retention has left, and dates an issue whose first event is gone by the releases', async () => {
  const at = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
  const rows: Record<string, unknown[]> = {
    projects: [{ id: 1, name: 'shop', slug: 'shop' }],
    issues: [
      {
        id: 'i',
        friendly_id: 'SHOP-1',
        first_seen: at(60),
        last_seen: at(1),
        calculated_type: '?',
        calculated_value: '',
      },
    ],
    events: ['gone', 'e'].map((id) => ({ id, ingested_at: at(1), digest_order: 5000 })),
    releases: [
      { version: 'shop@v3', date_released: at(30) },
      { version: 'shop@v2', date_released: at(60 * 5) },
      { version: 'shop@v1', date_released: at(60 * 60) },
    ],
  };
  await using server = await serving(({ url }) => {
    const [resource = '', id] = url.pathname.split('/').slice(4);
    if (id === 'gone') return { status: 404 };
    return { body: id ? { data: { release: 'shop@v2' } } : { next: null, results: rows[resource] } };
  });
  await expect(tracker(server.url, 'x').errorPatterns({ ...window, release: 'v2' })).resolves.toMatchObject([
    { title: 'SHOP-1', count: 2, firstRelease: 'shop@v2', newInRelease: true },
  ]);
});

describe.each(['errorPatterns', 'affectedUsers', 'topStackTrace', 'errorCorrelations'] as const)('%s', (name) => {
  failsAsDeclared((url) => tracker(url, 'x')[name](window));
  refusesNonsense((url) => tracker(url, 'x')[name](window));
});
