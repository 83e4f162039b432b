import { chromium } from 'playwright-core';
import { monitored } from '../../src/operations/objectives.ts';
import { serving, type Answer } from '../activities/http-server.ts';
import { until } from '../support/until.ts';
import { accessibility } from './accessibility.ts';
import { startConsole, type ConsoleRig } from './rig.ts';
import { settings } from './settings.ts';
import { LAUNCH } from '../support/temporal-ui.ts';

let rig: ConsoleRig;
let record: Awaited<ReturnType<typeof serving>>;
const recorded: Answer = { body: [] };
beforeAll(async () => {
  record = await serving(() => recorded);
  rig = await startConsole({ env: { RECORD_SUPABASE_URL: record.url, RECORD_SUPABASE_SECRET_KEY: 'sb_secret_test' } });
}, 120_000);
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await record[Symbol.asyncDispose]();
});

it('shows of each objective how it stands, what is left, how fast it burns and its trend, once it is measured', async () => {
  const viewer = rig.visitor('viewer');
  expect(monitored(settings)).toEqual(['shop']);
  expect((await viewer.get('/objectives')).text).toContain('Nothing is measured yet');
  const monitor = { service: 'shop', every: '1 second', watched: [{ environment: 'production', alerts: {} }] };
  const handle = await rig.client.workflow.start('monitorService', {
    workflowId: 'monitor.shop',
    taskQueue: 'holdfast',
    args: [monitor],
  });
  await until(async () => (await viewer.get('/objectives')).text.includes('<svg'));
  const { text } = await viewer.get('/objectives');
  expect(text).toContain('shop / production: error ratio');
  for (const term of ['Objective', 'Now', 'Budget left', 'Trend']) expect(text).toContain(`<dt>${term}</dt>`);
  expect(text).toMatch(/% of 30 days, 0\.0 of them measured/);
  expect(text).toMatch(/<th scope="col">Burn, and when it alerts<\/th>[^]*<td>\d+\.\d×<\/td>/);
  expect(text).toMatch(/<title>[^<]+28 days<\/title>\s*<desc>\s*1 of 28 days measured/);

  const of = { service: 'shop', environment: 'production', objective: 'error ratio', total: 1000, seconds: 86_400 };
  const day = new Date(Date.now() - 27 * 86_400_000).toISOString().slice(0, 10);
  recorded.body = [{ ...of, day, bad: 10 }];
  expect((await viewer.get('/objectives')).text).toMatch(/2 of 28 days measured[^]*<rect\s+x="0"\s+y="0"/);
  recorded.status = 503;
  expect((await viewer.get('/objectives')).text).toMatch(/The record cannot be read[^]*1 of 28 days measured/);
  recorded.status = 200;

  const browser = await chromium.launch(LAUNCH);
  try {
    const page = await browser.newPage({ viewport: { width: 390, height: 844 } });

    await page.context().addCookies([{ name: 'holdfast', value: viewer.session, url: rig.url }]);
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(`${rig.url}/objectives`);
    await page.getByRole('img', { name: /error ratio/ }).waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await accessibility(page)).toEqual([]);
    }
    expect(complaints).toEqual([]);
    if (process.env['HOLDFAST_PICTURES'])
      await page.screenshot({ path: `${process.env['HOLDFAST_PICTURES']}/console-objectives.png` });
  } finally {
    await browser.close();
  }
  await handle.terminate();
});
