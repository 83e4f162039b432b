/** From a beacon over the gateway's endpoint and a real Supabase to p75. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createActivities } from '../../activities/web-vitals.ts';
import { createVitals, measuredOrigins } from '../../src/gateway/vitals.ts';
import { Settings } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { endProcess } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import { newSketch } from '../../src/sketches.ts';
import { failsAsDeclared, refusesNonsense, serving } from './http-server.ts';
import { settings } from './settings.ts';

const on = { service: 'shop', environment: 'production' };
const ORIGIN = 'https://shop.example';
const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-vitals-'));
chmodSync(stateDir, 0o755); // the user "postgres" must get in
let supabase: Awaited<ReturnType<typeof startSupabase>>;

beforeAll(async () => {
  const { url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() });
  supabase = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
}, 120_000);
afterAll(async () => {
  await endProcess(stateDir, 'supabase');
  await endProcess(stateDir, 'postgres');
  rmSync(stateDir, { recursive: true });
});

const reader = (url: string, key = 'secret') =>
  createActivities({ RECORD_SUPABASE_URL: url, RECORD_SUPABASE_SECRET_KEY: key }, settings);
const read = (more: { release?: string; since?: string } = {}) =>
  reader(supabase.url, supabase.secretKey).webVitals({ ...on, windowSeconds: 3600, ...more });

/** One gateway that takes these values of LCP and writes them. */
async function gateway(release: string, values: number[], times = 1): Promise<void> {
  const [shop] = settings.services;
  const production = { ...shop!.environments['production'], performance: { vitals: { origins: [ORIGIN] } } };
  const { saveVitals } = createRecord({ url: supabase.url, key: supabase.secretKey });
  const { routes, flush, stop } = createVitals({
    measured: measuredOrigins(
      Settings.parse({ ...settings, services: [{ name: 'shop', environments: { production } }] }),
    ),
    save: async (slots) => {
      for (let i = 0; i < times; i += 1) await saveVitals(slots);
    },
    log: (line) => {
      throw new Error(line);
    },
  });
  for (const value of values) {
    const body = JSON.stringify({ page: '/', device: 'mobile', release, vitals: [{ name: 'LCP', value }] });
    const headers = { origin: ORIGIN, 'content-type': 'text/plain' };
    expect((await routes.request('/', { method: 'POST', body, headers })).status).toBe(204);
  }
  await flush();
  await stop();
}

it('gives p75 over all gateways, within the stated error, however often a batch was delivered', async () => {
  await gateway('v1', [1000, 2000, 3000], 3);
  await gateway('v1', [4000, 5000]);
  const [vital, ...others] = await read({ release: 'v1' });
  expect(others).toEqual([]);
  expect(vital).toMatchObject({ page: '/', device: 'mobile', metric: 'LCP', samples: 5 });
  expect(Math.abs(vital!.p75 - 4000)).toBeLessThanOrEqual(40);
});

it('tells releases apart, and what users met since a moment', async () => {
  await gateway('v2', [9000, 9000]);
  expect(await read({ release: 'v2' })).toMatchObject([{ samples: 2 }]);
  expect(await read()).toMatchObject([{ samples: 7 }]);
  expect(await read({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
});

it('lets nobody but the control plane write or read', async () => {
  const outsider = createRecord({ url: supabase.url, key: supabase.publishableKey });
  await expect(outsider.saveVitals([])).rejects.toMatchObject({ type: 'NotAllowed' });
  const since = new Date(0).toISOString();
  const read = await outsider.vitals({ ...on, since, atMost: 10 }).catch(() => ({ slots: [] }));
  expect(read.slots).toEqual([]);
});

it('refuses what is no sketch', async () => {
  const slot = { gateway: '5f6d1f5e-3a3a-4c6e-9a53-2f9d0b1f5b8e', at: new Date().toISOString(), ...on, samples: 1 };
  const { saveVitals } = createRecord({ url: supabase.url, key: supabase.secretKey });
  await saveVitals([{ ...slot, release: 'v9', page: '/', device: 'mobile', metric: 'LCP', sketch: 'bm8gc2tldGNo' }]);
  await expect(read({ release: 'v9' })).rejects.toMatchObject({ type: 'UnexpectedResponse' });
});

describe('where an answer holds a thousand rows at most, as of a hosted project,', () => {
  const sketchOf = (value: number): string => {
    const sketch = newSketch();
    sketch.add(value);
    return sketch.text();
  };
  const [slow, quick] = [sketchOf(9000), sketchOf(1000)];
  const gateway = '5f6d1f5e-3a3a-4c6e-9a53-2f9d0b1f5b8e';
  const key = { gateway, ...on, page: '/', device: 'mobile', metric: 'LCP', samples: 1 };
  /** So many seconds old, or young. */
  const slot = (seconds: number, release: string) => ({
    ...key,
    at: new Date(Date.UTC(2026, 10, 24) - seconds * 1000).toISOString(),
    release,
    sketch: release === 'v2' ? slow : quick,
  });
  /** Slots of v1, then of v2; one more is written after each answer. */
  async function capped(old: number, young: number) {
    const rows = Array.from({ length: old + young }, (_, i) => slot(i + 1, i < young ? 'v2' : 'v1')); // newest first
    let asked = 0;
    return await serving(({ url: { searchParams: of } }) => {
      const release = of.get('release')?.replace(/^eq\./, '');
      const wanted = rows.filter((row) => release === undefined || row.release === release);
      if (of.get('order')?.startsWith('at.desc') !== true) wanted.reverse();
      const from = Number(of.get('offset'));
      const body = wanted.slice(from, from + Math.min(1000, Number(of.get('limit') ?? Infinity)));
      rows.unshift(slot((asked -= 1), 'v2'));
      return { body };
    });
  }
  const readOf = (url: string, release?: string) => reader(url).webVitals({ ...on, windowSeconds: 3600, release });

  it('reads the newest too, each once, whatever is written meanwhile', async () => {
    await using server = await capped(1100, 1500);
    expect(await readOf(server.url)).toEqual([
      { page: '/', device: 'mobile', metric: 'LCP', p75: expect.any(Number), samples: 2600 },
    ]);
    await using another = await capped(1100, 1500);
    const [vital] = await readOf(another.url, 'v2');
    expect(vital?.samples).toBe(1500);
    expect(Math.abs(vital!.p75 - 9000)).toBeLessThanOrEqual(90);
  });

  it('reads the newest of more than can be read, and says so', async () => {
    await using server = await capped(25_000, 0);
    const [vital] = await readOf(server.url);
    expect(vital).toMatchObject({ newest: true });
    expect(vital?.samples).toBeGreaterThan(19_900);
    expect(vital?.samples).toBeLessThanOrEqual(20_000);
  });
});

describe('as any provider', () => {
  const call = (url: string) => reader(url).webVitals({ ...on, windowSeconds: 60 });
  failsAsDeclared(call);
  refusesNonsense(call);
});
