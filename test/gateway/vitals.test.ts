import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createVitals, measuredOrigins, type Beacon } from '../../src/gateway/vitals.ts';
import { Settings, type VitalsSlot } from '../../src/contracts/index.ts';
import { sketchOf } from '../../src/sketches.ts';
import { settings } from '../activities/settings.ts';

const ORIGIN = 'https://shop.example';
const beacon: Beacon = { page: '/', device: 'mobile', release: 'v1', vitals: [{ name: 'LCP', value: 1800 }] };

/** The endpoint with these settings; `saved` is what it has written, and `away` keeps the record from taking it. */
function endpoint(vitals: object = {}) {
  const [shop] = settings.services;
  const performance = { vitals: { origins: [`${ORIGIN}/`], windowSeconds: 3600, ...vitals } };
  const production = { ...shop!.environments['production'], performance };
  const services = [{ name: 'shop', environments: { production } }];
  const saved: VitalsSlot[][] = [];
  const record = { away: false };
  const lines: string[] = [];
  const { routes, refusesAtOnce, flush, stop, metricsText } = createVitals({
    measured: measuredOrigins(Settings.parse({ ...settings, services })),
    save: async (slots) => {
      if (record.away) throw new Error('the record is away');
      saved.push(slots);
    },
    log: (line) => void lines.push(line),
  });
  running.push(stop);
  const send = async (body: string, headers: Record<string, string> = {}) =>
    await routes.request('/', {
      method: 'POST',
      body,
      headers: { origin: ORIGIN, 'content-type': 'text/plain;charset=UTF-8', ...headers },
    });
  const sendBeacon = (change: object = {}) => send(JSON.stringify({ ...beacon, ...change }));
  return { routes, refusesAtOnce, flush, saved, record, lines, metricsText, send, sendBeacon };
}
const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
});

it('counts beacons per page, device class, release and metric, and writes them in one batch', async () => {
  const { sendBeacon, flush, saved } = endpoint();
  for (const value of [1000, 2000, 3000, 4000]) await sendBeacon({ vitals: [{ name: 'LCP', value }] });
  await sendBeacon({
    device: 'desktop',
    vitals: [
      { name: 'LCP', value: 500 },
      { name: 'CLS', value: 0.02 },
    ],
  });
  expect((await sendBeacon({ release: 'v2' })).status).toBe(204);
  await flush();
  expect(saved).toHaveLength(1);
  const on = { service: 'shop', environment: 'production', page: '/' };
  expect(saved[0]).toMatchObject([
    { ...on, device: 'mobile', release: 'v1', metric: 'LCP', samples: 4 },
    { ...on, device: 'desktop', release: 'v1', metric: 'LCP', samples: 1 },
    { ...on, device: 'desktop', release: 'v1', metric: 'CLS', samples: 1 },
    { ...on, device: 'mobile', release: 'v2', metric: 'LCP', samples: 1 },
  ]);
  expect(sketchOf(saved[0]![0]!.sketch).at(0.5)).toBeGreaterThan(1900);
  await flush();
  expect(saved).toHaveLength(1); // nothing has changed
  await sendBeacon();
  await flush();
  expect(saved[1]).toMatchObject([{ ...on, device: 'mobile', release: 'v1', samples: 5 }]);
});

it.each([
  ['is no JSON', '{"page":'],
  ['is empty', ''],
  ['is an array', '[]'],
  ['is NaN', JSON.stringify(beacon).replace('1800', 'NaN')],
  ['is infinite', JSON.stringify(beacon).replace('1800', '1e999')],
  ['is negative', JSON.stringify(beacon).replace('1800', '-1')],
  ['is absurd', JSON.stringify(beacon).replace('1800', '86400000')],
  ['is a text', JSON.stringify(beacon).replace('1800', '"1800"')],
  ['names another metric', JSON.stringify(beacon).replace('LCP', 'XYZ')],
  ['names another device', JSON.stringify(beacon).replace('mobile', 'fridge')],
  ['has an address for a page', JSON.stringify({ ...beacon, page: 'https://evil.example/' })],
  ['has a script for a page', JSON.stringify({ ...beacon, page: '/<script>' })],
  ['has a query', JSON.stringify({ ...beacon, page: '/?email=ada@shop.example' })],
  ['tells who the user is', JSON.stringify({ ...beacon, user: 'ada' })],
  ['measures nothing', JSON.stringify({ ...beacon, vitals: [] })],
  ['is a layout shift of a thousand', JSON.stringify({ ...beacon, vitals: [{ name: 'CLS', value: 1000 }] })],
])('refuses a beacon that %s, and nothing changes', async (_, body) => {
  const { send, flush, saved, metricsText } = endpoint();
  expect((await send(body)).status).toBe(400);
  await flush();
  expect(saved).toEqual([]);
  expect(metricsText()).toContain('vitals_refused_total{reason="malformed"} 1');
});

it('refuses what comes from elsewhere, is too large, or is of another type', async () => {
  const { send, flush, saved, routes } = endpoint();
  const body = JSON.stringify(beacon);
  expect((await send(body, { origin: 'https://evil.example' })).status).toBe(403);
  expect((await send(body, { origin: `${ORIGIN}.evil.example` })).status).toBe(403);
  expect((await routes.request('/', { method: 'POST', body })).status).toBe(403);
  expect((await send(JSON.stringify({ ...beacon, page: `/${'a'.repeat(2 ** 20)}` }))).status).toBe(413);
  expect((await send(body, { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415);
  expect((await routes.request('/', { headers: { origin: ORIGIN } })).status).toBe(404);
  await flush();
  expect(saved).toEqual([]);
});

it('lets pages of the configured origins send, and browsers know it', async () => {
  const { routes, sendBeacon } = endpoint();
  const asked = await routes.request('/', { method: 'OPTIONS', headers: { origin: ORIGIN } });
  expect(asked.status).toBe(204);
  expect(asked.headers.get('access-control-allow-origin')).toBe(ORIGIN);
  expect((await sendBeacon()).headers.get('access-control-allow-origin')).toBe(ORIGIN);
  const other = await routes.request('/', { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
  expect(other.headers.get('access-control-allow-origin')).toBeNull();
});

it('counts what comes in a second up to the limit, and refuses the rest', async () => {
  const { sendBeacon, flush, saved } = endpoint({ perSecond: 10 });
  const answers = await Promise.all(Array.from({ length: 200 }, () => sendBeacon()));
  const refused = answers.filter(({ status }) => status === 429).length;
  expect(refused).toBeGreaterThan(150);
  await flush();
  expect(saved[0]![0]!.samples).toBe(200 - refused);
});

it('counts no more at once than a tenth of a second allows, so that an alert has its turn', async () => {
  const { sendBeacon, flush, saved } = endpoint({ perSecond: 500 });
  const began = performance.now();
  const answers = await Promise.all(Array.from({ length: 500 }, () => sendBeacon()));
  const counted = answers.filter(({ status }) => status === 204).length;
  expect(counted).toBeGreaterThanOrEqual(50);
  expect(counted).toBeLessThanOrEqual(51 + (performance.now() - began) / 2);
  await flush();
  expect(saved[0]![0]!.samples).toBe(counted);
});

it('refuses what is over the limit or from elsewhere before anything is made of it, and nothing else', async () => {
  const { sendBeacon, refusesAtOnce, metricsText } = endpoint({ perSecond: 10 });
  const server = createServer((request, response) => {
    if (!refusesAtOnce(request, response)) response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const status = async (path = '/vitals', { origin = ORIGIN, method = 'POST' } = {}) => {
    const body = method === 'POST' ? { body: JSON.stringify(beacon) } : {};
    return (await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { origin }, ...body })).status;
  };
  try {
    expect(await status()).toBe(204); // it leaves to the route what may be counted
    await Promise.all(Array.from({ length: 30 }, () => sendBeacon()));
    expect(await status()).toBe(429);
    expect(await status('/alerts/alertmanager')).toBe(204);
    expect(await status('/vitals', { method: 'GET' })).toBe(204);
    expect(await status('/vitals', { origin: 'https://evil.example' })).toBe(403);
  } finally {
    server.close();
    server.closeAllConnections();
  }
  expect(metricsText()).toMatch(/vitals_refused_total\{reason="rate"\} 2\d/);
  expect(metricsText()).toContain('vitals_refused_total{reason="origin"} 1\n');
});

it('keeps its memory, however many pages and releases are made up, and no ids of theirs', async () => {
  const { sendBeacon, flush, saved } = endpoint({ perSecond: 10_000 });
  for (let i = 0; i < 400; i += 1) await sendBeacon({ page: `/page-${i}`, release: `r${i}` });
  await sendBeacon({ page: '/orders/12345/0b7cbd6e-29ac-4a4f-8b4a-2a4d2d0a9f10' });
  await flush();
  const pages = new Set(saved[0]!.map(({ page }) => page));
  const releases = new Set(saved[0]!.map(({ release }) => release));
  expect(pages.size).toBeLessThanOrEqual(51);
  expect(releases.size).toBeLessThanOrEqual(6);
  expect(pages).toContain('others');
  expect([...pages].join(' ')).not.toContain('12345');
});

it('counts a page and a release by themselves that are real, however many were made up before', async () => {
  const { sendBeacon, flush, saved } = endpoint({ perSecond: 10_000 });
  for (let i = 0; i < 200; i += 1) await sendBeacon({ page: `/made-up-${i}x`, release: `forged-${i}` });
  for (let i = 0; i < 30; i += 1) await sendBeacon({ page: '/checkout', release: 'v2' });
  await flush();
  const checkout = saved[0]!.filter(({ page, release }) => page === '/checkout' && release === 'v2');
  expect(checkout).toMatchObject([{ samples: 21 }]); // it is known from the tenth on
});

it('counts a share where that is asked for', async () => {
  const { sendBeacon, flush, saved } = endpoint({ sample: 0.2, perSecond: 10_000 });
  for (let i = 0; i < 1000; i += 1) expect((await sendBeacon()).status).toBe(204);
  await flush();
  expect(saved[0]![0]!.samples).toBeGreaterThan(120);
  expect(saved[0]![0]!.samples).toBeLessThan(290);
});

it('loses nothing while the record is away, and writes it whole afterwards', async () => {
  const { sendBeacon, flush, saved, record, lines } = endpoint();
  record.away = true;
  await sendBeacon();
  await flush();
  await sendBeacon();
  record.away = false;
  await flush();
  expect(lines).toEqual([expect.stringContaining('the record is away')]);
  expect(saved).toMatchObject([[{ samples: 2 }]]);
});
