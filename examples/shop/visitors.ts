/**
 * Visitors of the shop with browsers, over a slow line: `CHROMIUM_PATH=… node examples/shop/visitors.ts --url http://127.0.0.1:4180`
 * until SIGTERM or SIGINT. Their browsers report what they meet as the page asks them to.
 */
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const AT_ONCE = 2;
/** "Slow 4G" of Chromium's developer tools. */
const LINE = { offline: false, latency: 150, downloadThroughput: (1.6e6 / 8) * 0.9, uploadThroughput: 750e3 / 8 };
const LOOKS_MS = 700;

const { values } = parseArgs({ options: { url: { type: 'string' } } });
const { CHROMIUM_PATH } = process.env;
if (values.url === undefined || !CHROMIUM_PATH)
  throw new Error('usage: CHROMIUM_PATH=… node examples/shop/visitors.ts --url <url of the shop>');
const url = values.url;

const browser = await chromium.launch({
  executablePath: CHROMIUM_PATH,
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
let visits = 0;
let stopping = false;

async function visit(): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  try {
    const page = await context.newPage();
    await (await context.newCDPSession(page)).send('Network.emulateNetworkConditions', LINE);
    await page.goto(url, { waitUntil: 'load', timeout: 30_000 });
    await page.getByRole('listitem').first().waitFor({ timeout: 30_000 });
    await page.waitForTimeout(LOOKS_MS);
    await page.goto('about:blank');
    visits += 1;
  } finally {
    await context.close();
  }
}

async function goOn(): Promise<void> {
  while (!stopping) await visit().catch((error: unknown) => stopping || console.log(String(error).split('\n')[0]));
}

async function stop(): Promise<void> {
  stopping = true;
  await browser.close();
  console.log(`${visits} visits`);
  process.exit(0);
}
process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
await Promise.all(Array.from({ length: AT_ONCE }, goOn));
