/** The console in Chromium, from signing in to watching the service recover. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { createRecord } from '../../src/record.ts';
import { startDrills } from '../../workers/digests.ts';
import { BROWSER, LAUNCH } from '../support/temporal-ui.ts';
import { until } from '../support/until.ts';
import { accessibility } from './accessibility.ts';
import { startPeople, type PeopleRig } from './people.ts';
import { pathOf, startConsole, type ConsoleRig } from './rig.ts';

const PHONE = { width: 390, height: 844 };
const inBrowser = BROWSER === undefined ? describe.skip : describe;

inBrowser('the console in a browser', () => {
  let rig: ConsoleRig;
  let browser: Browser;
  let people: PeopleRig;
  const complaints: string[] = [];

  beforeAll(async () => {
    people = await startPeople();
    rig = await startConsole({ env: people.env });
    browser = await chromium.launch(LAUNCH);
  }, 180_000);
  afterAll(async () => {
    await browser.close();
    await rig[Symbol.asyncDispose]();
    await people[Symbol.asyncDispose]();
  }, 60_000);
  afterEach(() => expect(complaints.splice(0)).toEqual([]));

  const context = async (of: Parameters<Browser['newContext']>[0] = {}) => {
    const made = await browser.newContext({ viewport: PHONE, ...of });
    made.setDefaultTimeout(10_000);
    return made;
  };
  const watched = (page: Page): Page =>
    page
      .on('pageerror', (error) => complaints.push(String(error)))
      .on('console', (line) => void (line.type() === 'error' && complaints.push(line.text())));
  async function signedIn(person: string, of: Parameters<typeof context>[0] = {}): Promise<Page> {
    const page = watched(await (await context(of)).newPage());
    await page.goto(rig.url);
    const email = `${person}@example.com`;
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Password').fill(people.passwordOf(email));
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    return page;
  }
  async function picture(page: Page, name: string): Promise<void> {
    const file = join(people.stateDir, name);
    await page.screenshot({ path: file });
    const folder = process.env['HOLDFAST_PICTURES'];
    if (folder !== undefined) copyFileSync(file, join(folder, name));
  }

  it('lets a person sign in on a phone, see an incident appear, approve it and watch it recover, all without a reload', async () => {
    const page = await signedIn('approver');
    await page.getByText('No incident is open').waitFor();
    await page.evaluate('window.stayed = true');
    const open = await rig.waiting();
    await page.getByText('Roll shop back from v2 to v1').first().waitFor();
    expect(await accessibility(page)).toEqual([]);
    await picture(page, 'console-now.png');
    expect(await page.evaluate('window.stayed')).toBe(true);

    await page.getByRole('link', { name: /High error rate on shop/ }).click();
    const approve = page.getByRole('button', { name: 'Approve', exact: true });
    await approve.waitFor();
    await page.getByText(/If nobody answers in \d+ min \d+ s/).waitFor();
    expect(await accessibility(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width);
    await picture(page, 'console-incident.png');
    await approve.click();
    await page.evaluate('window.stayed = true');
    await page.getByRole('status').getByText('Closed as mitigated').waitFor();
    expect(await page.evaluate('window.stayed')).toBe(true);
    expect((await rig.ended(open)).decision).toMatchObject({ by: ['approver'], via: 'console' });
    expect(await accessibility(page)).toEqual([]);
    await page.context().close();
  });

  it('reads and decides without JavaScript, in the dark, by keyboard alone', async () => {
    const page = await signedIn('lead', { javaScriptEnabled: false, colorScheme: 'dark' });
    const open = await rig.waiting();
    await page.goto(rig.url + pathOf(open));
    await picture(page, 'console-incident-dark.png');
    const reject = page.getByRole('button', { name: 'Reject' });
    for (let i = 0; i < 40 && !(await reject.evaluate((button) => button.matches(':focus')).catch(() => false)); i += 1)
      await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Closed as declined').or(page.getByText('declined by lead')).first().waitFor();
    expect(await rig.ended(open)).toMatchObject({ outcome: 'declined', decision: { by: ['lead'] } });
    await page.context().close();
  });

  it('does not take a form away from whoever fills it in, nor change under a finger what is asked', async () => {
    const page = await signedIn('approver');
    const open = await rig.waiting();
    await page.goto(rig.url + pathOf(open));
    await page.getByLabel('Comment (optional)').fill('half a sentence');
    await rig.client.workflow.getHandle(open.workflowId).signal('note', { by: 'lead', text: 'I see it too' });
    await page.getByText('This has changed').waitFor();
    expect(await page.getByLabel('Comment (optional)').inputValue()).toBe('half a sentence');
    await page.getByText('This has changed').click();
    await page.getByText('I see it too').waitFor();
    await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
    await rig.ended(open);
    await page.context().close();
  });

  it('asks a second person where two must approve, and shows each how it stands', async () => {
    await rig.client.workflow.start('productionDeployment', {
      workflowId: 'deployment.mail.production',
      taskQueue: 'holdfast',
      args: [{ service: 'mail', environment: 'production', ref: '1.4.0', orderedBy: 'console:responder' }],
    });
    const pages = [await signedIn('approver'), await signedIn('lead')];
    for (const page of pages) {
      await page.getByRole('link', { name: /Production deployment on mail/ }).click();
      await page.getByText('2 people must approve').waitFor();
    }
    const [first, second] = pages as [Page, Page];
    await first.getByRole('button', { name: 'Approve', exact: true }).click();
    await second.getByText('approver via console').waitFor();
    expect((await rig.status('deployment.mail.production')).phase).toBe('waiting');
    await second.getByRole('button', { name: 'Approve', exact: true }).click();
    await second.getByText('approved by approver, lead via console').waitFor();
    await picture(second, 'console-deployment.png');
    await first.goto(`${rig.url}/deployments`);
    await first.getByRole('heading', { name: 'mail / production' }).waitFor();
    expect(await accessibility(first)).toEqual([]);
    await rig.client.workflow.getHandle('deployment.mail.production').signal('stop', { by: 'test' });
    for (const page of pages) await page.context().close();
  });

  it('finds past incidents in the record by words', async () => {
    const open = await rig.waiting({ summary: 'the checkout fails for every fifth buyer' });
    await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
    const { RECORD_SUPABASE_URL: url = '', RECORD_SUPABASE_SECRET_KEY: key = '' } = rig.config.env;
    const ended = await rig.ended(open);
    const record = createRecord({ url, key });
    await record.save(ended);
    const incident = { ...ended.incident, summary: 'the shop window was empty' };
    await record.save({ ...ended, incident, runId: '00000000-0000-4000-8000-000000000000' }); // of years ago
    const page = await signedIn('viewer');
    await page.goto(`${rig.url}/past`);
    const search = async (words: string): Promise<void> => {
      await page.getByLabel('Search in').fill(words);
      await page.getByRole('button', { name: 'Search' }).click();
    };
    await search('checkout database');
    await page.getByText('Nothing was found').waitFor();
    await search('CHECKOUT stopped');
    await page.getByRole('link', { name: /every fifth buyer/ }).waitFor();
    expect(await accessibility(page)).toEqual([]);
    await search('window empty');
    await page.getByRole('link', { name: /window was empty/ }).click();
    await page.getByText('Temporal keeps it no longer').waitFor();
    await page.getByText('Proposed: Roll shop back from v2 to v1').waitFor();
    expect(await accessibility(page)).toEqual([]);
    await page.context().close();
  });

  it.each(['light', 'dark'] as const)('fits every page on a phone, in the %s', async (colorScheme) => {
    const page = await signedIn('cto', { colorScheme });
    const past = await rig.waiting();
    await rig.client.workflow.getHandle(past.workflowId).signal('stop', { by: 'test' });
    await rig.ended(past);
    await startDrills(rig.client, 'holdfast', rig.settings);
    const review = `/reviews/${past.workflowId}/${past.runId}`;
    const shows = async (path: string, text: string) => (await rig.visitor('cto').get(path)).text.includes(text);
    await until(async () => (await shows('/reviews', review)) && (await shows('/figures', '<h3>shop production</h3>')));
    const open = await rig.waiting();
    const pages = ['/', '/deployments', '/on-call', '/past', '/audit', '/objectives', '/reviews', '/figures'];
    for (const path of [...pages, review, pathOf(open)]) {
      await page.goto(rig.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await picture(page, `phone-${path === review ? 'review' : path.split('/')[1] || 'now'}-${colorScheme}.png`);
      expect({ path, wide: await page.evaluate('document.documentElement.scrollWidth') }).toEqual({
        path,
        wide: PHONE.width,
      });
      expect(await accessibility(page)).toEqual([]);
    }
    await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
    await rig.ended(open);
    await page.context().close();
  });

  it('signs in by the link that was sent, and only when its button is pressed', async () => {
    const page = watched(await (await context()).newPage());
    await page.goto(`${rig.url}/sign-in`);
    expect(await accessibility(page)).toEqual([]);
    await page.getByLabel('E-mail').fill('responder@example.com');
    await page.getByRole('button', { name: 'Send me a code' }).click();
    await page.getByText('If responder@example.com has an account').waitFor();
    const mail = people.mails().at(-1)?.text ?? '';
    const link = /\/sign-in\/link\?token_hash=\w+/.exec(mail)?.[0] ?? '';
    for (let i = 0; i < 3; i += 1) await fetch(rig.url + link); // as a program does that shows previews
    await page.goto(rig.url + link);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign out responder' }).waitFor();
    await page.getByRole('button', { name: 'Sign out responder' }).click();
    await page.getByRole('heading', { name: 'Sign in to Holdfast' }).waitFor();
    await page.context().close();
  });
});
