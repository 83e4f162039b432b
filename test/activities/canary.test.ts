/** A release beside the running one, on real processes behind a real Caddy. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createActivities as createMetrics } from '../../activities/metrics.ts';
import type { Settings, TrafficOrder } from '../../src/contracts/index.ts';
import { until } from '../support/until.ts';
import { killedWhen, stoppedWhen } from './killed.ts';
import { approval, createRig, on, order, type Rig } from './local-releases-rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await createRig();
  await rig.run('release', order('v1', 'deploy-1', 1));
});
afterAll(() => rig.end());

const traffic = (ref: string, weight: number, key: string, fence = 1): TrafficOrder => ({
  ...on,
  ref,
  weight,
  key,
  fence,
});
const shifted = (...of: Parameters<typeof traffic>) => rig.run('shiftTraffic', traffic(...of));
/** Who answered so many requests, one after another. */
async function answers(requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i += 1) {
    const version = await rig.body();
    counts[version] = (counts[version] ?? 0) + 1;
  }
  return counts;
}
const servers = async (): Promise<string[]> => {
  const response = await fetch(`${rig.adminUrl}/config/apps/http/servers`, { headers: { origin: rig.adminUrl } });
  return Object.keys((await response.json()) as object).sort();
};

it('gives a canary its share of the requests, wider step by step, and all of them without a new instance of it', async () => {
  expect(await shifted('v2', 5, 'to-5')).toMatchObject({ changed: true, summary: 'v2 of tiny has 5 % of the traffic' });
  expect(await answers(80)).toEqual({ v1: 76, v2: 4 });
  expect(await shifted('v2', 5, 'to-5')).toMatchObject({ changed: false });
  expect(await rig.run('recentReleases', on)).toMatchObject({
    running: { version: 'v1', weight: 0.95 },
    canary: { version: 'v2', weight: 0.05 },
  });
  const [canary = ''] = (await rig.instances()).filter((name) => name.includes('-v2-'));
  await shifted('v2', 25, 'to-25');
  expect(await answers(80)).toEqual({ v1: 60, v2: 20 });
  expect(await rig.run('release', order('v2', 'to-all', 1))).toMatchObject({ changed: true });
  expect(await answers(20)).toEqual({ v2: 20 });
  expect(await rig.instances()).toContain(canary);
  expect(await rig.instances()).toHaveLength(2);
  expect(await servers()).toEqual(['tiny-production']);
});

it('takes a canary away again, and the running release has all requests', async () => {
  await shifted('v3', 25, 'v3-to-25', 2);
  expect((await answers(40))['v3']).toBe(10);
  expect(await shifted('v3', 0, 'v3-away', 2)).toMatchObject({ changed: true });
  expect(await answers(40)).toEqual({ v2: 40 });
  expect((await rig.instances()).filter((name) => name.includes('-v3-'))).toEqual([]);
  expect(await shifted('v3', 0, 'v3-away', 2)).toMatchObject({ changed: false, repeated: true }); // a killed worker's order comes again
  expect(await shifted('v3', 0, 'v3-away-again', 2)).toEqual({ changed: false, summary: 'v2 runs already' });
  expect(await shifted('v3', 0, 'v3-away-again', 2)).toMatchObject({ changed: false, repeated: false });
});

it('gives no request to a release that does not become healthy', async () => {
  await expect(shifted('broken', 5, 'broken-5', 3)).rejects.toMatchObject({
    type: 'ReleaseFailed',
    message: expect.stringContaining('the vault is sealed'),
  });
  expect(await answers(40)).toEqual({ v2: 40 });
  expect(await servers()).toEqual(['tiny-production']);
  expect(await rig.instances()).toHaveLength(2);
});

it('refuses a canary of what runs', async () => {
  await expect(shifted('v2', 5, 'same', 3)).rejects.toMatchObject({ type: 'Refused' });
});

it('lets a rollback take the traffic from running release and canary at once, and fences the deployment off', async () => {
  await shifted('v3', 5, 'v3-to-5', 4);
  await rig.run('rollBack', approval('rollback-1', { kind: 'roll-back', ...on, from: 'v2', to: 'v1' }, 5));
  expect(await answers(40)).toEqual({ v1: 40 });
  expect((await rig.instances()).filter((name) => !name.includes('-v1-'))).toEqual([]);
  await expect(shifted('v3', 25, 'v3-to-25-late', 4)).rejects.toMatchObject({ type: 'Fenced' });
});

it('shifts the traffic once, though its worker is killed while the canary starts', async () => {
  const stateFile = join(rig.stateDir, 'releases', on.service, on.environment, 'state.json');
  const variables = { HOLDFAST_STATE_DIR: rig.stateDir, CADDY_ADMIN_URL: rig.adminUrl };
  const argument = traffic('v2', 25, 'killed', 6);
  const request = { provider: 'local-releases', activity: 'shiftTraffic', variables, settings: rig.settings, argument };
  await killedWhen(rig.stateDir, request, async () => (await readFile(stateFile, 'utf8')).includes('"intent"'));
  expect(await answers(20)).toEqual({ v1: 20 });
  expect(await rig.run('shiftTraffic', argument)).toMatchObject({ changed: true });
  expect(await answers(40)).toEqual({ v1: 30, v2: 10 });
  expect((await rig.instances()).filter((name) => name.includes('-v2-'))).toHaveLength(1);
});

describe('a worker that was stopped and goes on after a later change', () => {
  const variables = () => ({ HOLDFAST_STATE_DIR: rig.stateDir, CADDY_ADMIN_URL: rig.adminUrl });
  const request = (argument: TrafficOrder) => ({
    provider: 'local-releases',
    activity: 'shiftTraffic',
    variables: variables(),
    settings: rig.settings,
    argument,
  });

  it('cannot act any more, when it was stopped in the middle of its change', async () => {
    const stateFile = join(rig.stateDir, 'releases', on.service, on.environment, 'state.json');
    const begun = async () => (await readFile(stateFile, 'utf8')).includes('"key": "stopped",');
    const stopped = await stoppedWhen(rig.stateDir, request(traffic('v3', 25, 'stopped', 7)), begun);
    await rig.run('release', order('v1', 'later', 8));
    expect(await answers(40)).toEqual({ v1: 40 });
    await stopped.goOn();
    expect(await answers(40)).toEqual({ v1: 40 });
    expect((await rig.instances()).filter((name) => name.includes('-v3-'))).toEqual([]);
  }, 60_000);

  it('cannot act any more, when it was stopped before it', async () => {
    const stopped = await stoppedWhen(rig.stateDir, request(traffic('v3', 25, 'late', 8)), async () => true);
    await rig.run('release', order('v2', 'later-yet', 9));
    expect(await stopped.goOn()).toContain('a later change (9) has acted on tiny since 8');
    expect(await answers(40)).toEqual({ v2: 40 });
  }, 60_000);
});

it('counts what the canary answers apart from the rest', async () => {
  const settings: Settings = structuredClone(rig.settings);
  Object.assign(settings.services[0]?.environments[on.environment] ?? {}, {
    metrics: {
      source: 'scrape',
      url: `${rig.adminUrl}/metrics`,
      requests: 'caddy_http_request_duration_seconds',
      match: { server: 'tiny-production' },
      canaryMatch: { server: 'tiny-production-canary' },
      codeLabel: 'code',
    },
  });
  const scrape = createMetrics({ HOLDFAST_STATE_DIR: rig.stateDir }, settings);
  const window = { ...on, windowSeconds: 0.3 };
  await shifted('v3', 25, 'counted', 10);
  await answers(4); // series begin to count with their first request
  await scrape.compareReleases(window);
  await answers(80);
  let compared = await scrape.compareReleases(window);
  await until(
    async () => (compared = await scrape.compareReleases(window)).canary.requests > 0 || compared.running.requests > 0,
  );
  expect(compared.canary.requests).toBe(20);
  expect(compared.running.requests).toBe(60);
  expect(compared.canary).toMatchObject({ errorRatio: 0, p95Ms: expect.any(Number) });
});
