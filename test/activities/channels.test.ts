import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createActivities } from '../../activities/channels.ts';
import { createActivities as createCodes } from '../../activities/codes.ts';
import type { Page } from '../../src/contracts/index.ts';
import { openPages, readPages, storePage, type DeliveredPage } from '../../src/pages.ts';
import { hostile } from '../channels/messages.ts';
import { settings } from './settings.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-inbox-'));
afterAll(() => rmSync(stateDir, { recursive: true }));

const HOLDFAST_CODE_SECRET = 'a secret of more than sixteen letters';
const inbox = createActivities({ HOLDFAST_STATE_DIR: stateDir, HOLDFAST_CODE_SECRET }, settings);
const asking: Page = {
  key: 'incident.shop.high-error-rate/run-1#1:page:responder',
  service: 'shop',
  environment: 'production',
  person: 'responder',
  level: 'team',
  severity: 'critical',
  workflowId: 'incident.shop.high-error-rate',
  runId: 'run-1',
  subject: 'Roll back shop v2 → v1?',
  text: 'TypeError: "quoted"; drop table pages --\n🔥',
  asks: { digest: 'd'.repeat(64), expiresAt: '2026-11-24T10:00:00.000Z' },
};

it('has no pages where none was ever delivered', () => {
  expect(readPages(join(stateDir, 'nowhere'))).toEqual([]);
});

it('delivers the page with a code that its person may use', async () => {
  await inbox.page({ channel: 'console', page: asking });
  const [delivered] = readPages(stateDir);
  const { asks, ...shown } = asking;
  expect(delivered).toMatchObject({ ...shown, ...asks });
  const codes = createCodes({ HOLDFAST_CODE_SECRET }, settings);
  const { workflowId, runId, person } = asking;
  const ask = { workflowId, runId, digest: 'd'.repeat(64), code: delivered?.code ?? '' };
  await expect(codes.checkCode({ ...ask, person })).resolves.toBe(true);
  await expect(codes.checkCode({ ...ask, person: 'lead' })).resolves.toBe(false);
});

it('delivers a page once, however often it is sent', async () => {
  await Promise.all([
    inbox.page({ channel: 'console', page: asking }),
    inbox.page({ channel: 'console', page: asking }),
    inbox.page({ channel: 'console', page: { ...asking, text: 'changed' } }),
  ]);
  expect(readPages(stateDir).map(({ text }) => text)).toEqual([asking.text]);
});

it('forgets a page after fourteen days, unless what it asks is still open', async () => {
  const [page] = readPages(stateDir) as [DeliveredPage];
  const days = (count: number): string => new Date(Date.now() + count * 24 * 60 * 60 * 1000).toISOString();
  const old = { ...page, person: 'lead' };
  const db = openPages(stateDir);
  storePage(db, { ...old, key: 'recent', at: days(-13) });
  storePage(db, { ...old, key: 'open', at: days(-15), expiresAt: days(1) });
  storePage(db, { ...old, key: 'told', at: days(-15), expiresAt: null });
  storePage(db, { ...old, key: 'over', at: days(-15), expiresAt: days(-14) });
  db.close();
  expect(readPages(stateDir, { person: 'lead' }).map(({ key }) => key)).toEqual(['open', 'over', 'recent']);
  await inbox.page({ channel: 'console', page: { ...asking, key: 'new', person: 'lead' } });
  expect(readPages(stateDir, { person: 'lead' }).map(({ key }) => key)).toEqual(['open', 'recent', 'new']);
});

it('sends no code where nothing is asked', async () => {
  const { asks: _, ...telling } = asking;
  await inbox.page({ channel: 'console', page: { ...telling, key: 'told', person: 'cto' } });
  expect(readPages(stateDir, { person: 'cto' })).toMatchObject([{ key: 'told', code: null, digest: null }]);
});

it('is permanent about a channel that is not set up, and names the remedy', async () => {
  const page = inbox.page({ channel: 'pigeon', page: asking });
  await expect(page).rejects.toMatchObject({ type: 'NotConfigured', nonRetryable: true });
});

it('does not start where a person is to be reached over a channel that there is not', () => {
  const people = settings.people.map((person) => ({ ...person, channels: [{ via: 'slak', to: 'U0123456789' }] }));
  expect(() => createActivities({ HOLDFAST_CODE_SECRET }, { ...settings, people })).toThrow(
    'people: responder: there is no channel "slak"; there are: console, email, pagerduty, slack, webhook',
  );
});

it('shows text from outside as text: a terminal obeys nothing in it', async () => {
  for (const text of [...hostile, 'red \u001B[31m and \u001B]0;title\u0007'])
    await inbox.page({ channel: 'console', page: { ...asking, key: text, person: 'cto', subject: text, text } });
  for (const { subject, text } of readPages(stateDir, { person: 'cto' })) {
    expect(subject).not.toMatch(/[\p{Cc}\u202A-\u202E]/u);
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\u202A-\u202E]/u);
  }
});

it('reads the pages of one person after a time', () => {
  const [first] = readPages(stateDir, { person: 'responder' });
  expect(readPages(stateDir, { person: 'responder', since: first?.at ?? '' })).toEqual([]);
  expect(readPages(stateDir, { person: 'responder', since: '2020-01-01T00:00:00.000Z' })).toHaveLength(1);
  expect(readPages(stateDir, { person: `' or 1=1 --` })).toEqual([]);
});

it('keeps its files from other users of the machine', async () => {
  chmodSync(stateDir, 0o755);
  await inbox.page({ channel: 'console', page: { ...asking, key: 'another' } });
  for (const name of readdirSync(stateDir)) expect(statSync(join(stateDir, name)).mode & 0o077).toBe(0);
});
