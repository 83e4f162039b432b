/** The script that pages load, from a real server, in a real Chromium. */
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { chromium } from 'playwright-core';
import type { VitalsSlot } from '../../src/contracts/index.ts';
import { createVitals } from '../../src/gateway/vitals.ts';
import { vitalsScript } from '../../src/gateway/vitals-script.ts';
import { sketchOf } from '../../src/sketches.ts';
import { until } from '../support/until.ts';

const CHROMIUM = '/usr/bin/chromium';
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('may be loaded by pages of other origins, and kept', async () => {
  const answer = await vitalsScript().request('/vitals.js');
  expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  expect(answer.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
  expect(answer.headers.get('cache-control')).toBe('public, max-age=3600');
});

const tested = existsSync(CHROMIUM) ? it : it.skip;
tested(
  'measures a page with one line in it, and leaves the page no global name',
  async () => {
    let gateway = '';
    const shop = await listen(
      createServer((_, response) => {
        const button = `<h1>Shop</h1><button onclick="for (const end = performance.now() + 80; performance.now() < end;);">Buy</button>`;
        const line = `<script async src="${gateway}/vitals.js" data-release="v7"></script>`;
        response.setHeader('content-type', 'text/html').end(`<!doctype html><title>Shop</title>${line}${button}`);
      }),
    );
    const saved: VitalsSlot[] = [];
    const vitals = { origins: [shop], sample: 1, perSecond: 100, windowSeconds: 60, minimumSamples: 1 };
    const { routes, flush, stop } = createVitals({
      measured: new Map([[shop, { service: 'shop', environment: 'production', vitals }]]),
      save: async (slots) => void saved.push(...slots),
      log: () => undefined,
    });
    const app = new Hono().route('/', vitalsScript()).route('/vitals', routes);
    gateway = await listen(createAdaptorServer({ fetch: app.fetch }) as Server);
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      await page.goto(`${shop}/basket?of=ada`, { waitUntil: 'load' });
      expect(await page.evaluate(() => 'webVitals' in globalThis)).toBe(false);
      await page.click('button');
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))');
      await page.goto('about:blank');
      await until(async () => {
        await flush();
        return saved.some(({ metric }) => metric === 'LCP');
      });
    } finally {
      await browser.close();
      await stop();
    }
    expect(new Set(saved.map(({ page, device, release }) => `${page} ${device} ${release}`))).toEqual(
      new Set(['/basket desktop v7']),
    );
    expect(new Set(saved.map(({ metric }) => metric))).toEqual(new Set(['LCP', 'INP', 'CLS', 'FCP', 'TTFB']));
    const inp = saved.find(({ metric }) => metric === 'INP');
    expect(sketchOf(inp?.sketch ?? '').at(0.75)).toBeGreaterThanOrEqual(72);
  },
  120_000,
);
