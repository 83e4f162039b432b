/** Action items as issues, in the `emulate` server's GitHub. */
import { createActivities } from '../../activities/github-issues.ts';
import type { ActionItem } from '../../src/contracts/index.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { settings } from './settings.ts';
import { asActivity, scope, settingsFor } from './git-rig.ts';
import { emulatedGithub } from './github-rig.ts';
import { failsAsDeclared, refusesNonsense, serving } from './http-server.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

interface Issue {
  number: number;
  title: string;
  body: string;
  state: string;
  html_url: string;
}
const item = (change: Partial<ActionItem> = {}): ActionItem => ({
  id: 'mend-the-release',
  title: 'Mend v2 and release it again',
  why: 'TypeError: no price',
  owner: 'responder',
  dueAt: '2026-12-01T09:14:00.000Z',
  state: 'open',
  reminded: 0,
  ...change,
});
const trackerOf = (url: string, of = settingsFor('https://github.example/ada/shop.git')) =>
  createActivities({ GITHUB_TOKEN: 'tok', GITHUB_URL: url }, of);
const file = (url: string, key = 'review.a:mend-the-release', change: Partial<ActionItem> = {}) =>
  asActivity(() => trackerOf(url).fileIssue({ ...scope, key, item: item(change) }));
const closed = (url: string, issue: string) => asActivity(() => trackerOf(url).issueClosed({ ...scope, url: issue }));

it('files an action item once, with who it is of and when it is due, and another one beside it', async () => {
  await using github = await emulatedGithub(stateDir);
  const first = await file(github.url);
  expect(await file(github.url)).toEqual(first);
  const second = await file(github.url, 'review.b:mend-the-release');
  expect(second.url).not.toBe(first.url);
  const issues = await github.call<Issue[]>('GET', '/issues?state=all');
  expect(issues).toHaveLength(2);
  const filed = issues.find(({ html_url }) => html_url === first.url);
  expect(filed).toMatchObject({ title: 'Mend v2 and release it again', state: 'open' });
  expect(filed?.body).toMatch(/^TypeError: no price\n\nOf responder, due 2026-12-01, after an incident of shop/);
});

it('knows when its issue is closed, and never files it anew for that', async () => {
  await using github = await emulatedGithub(stateDir);
  const { url } = await file(github.url);
  expect(await closed(github.url, url)).toBe(false);
  await github.call('PATCH', `/issues/${url.split('/').at(-1)}`, { state: 'closed' });
  expect(await closed(github.url, url)).toBe(true);
  expect(await file(github.url)).toEqual({ url });
});

it('takes neither an issue that is gone nor one of another repository for closed', async () => {
  await using github = await emulatedGithub(stateDir);
  const { url } = await file(github.url);
  await github.call('PATCH', `/issues/${url.split('/').at(-1)}`, { state: 'closed' });
  expect(await closed(github.url, url.replace(/\d+$/, '999'))).toBe(false);
  expect(await closed(github.url, url.replace('/ada/shop/', '/ada/mail/'))).toBe(false);
  expect(await closed(github.url, 'https://tracker.example/elsewhere')).toBe(false);
});

it('finds its issue behind a hundred newer ones', async () => {
  await using github = await emulatedGithub(stateDir);
  const first = await file(github.url);
  for (let number = 0; number < 100; number += 1) await github.call('POST', '/issues', { title: `Another ${number}` });
  expect(await file(github.url)).toEqual(first);
}, 120_000);

it('finds the issue that an attempt has made whose answer was lost', async () => {
  const made: object[] = [];
  await using server = await serving(({ method, body }) => {
    if (method !== 'POST') return { body: made };
    made.push({ ...(JSON.parse(body) as object), state: 'open', html_url: 'https://github.example/ada/shop/issues/1' });
    return { status: 502, body: { message: 'Bad Gateway' } };
  });
  await expect(file(server.url)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  expect(await file(server.url)).toEqual({ url: 'https://github.example/ada/shop/issues/1' });
  expect(made).toHaveLength(1);
});

it('shows text from alerts as text', async () => {
  await using github = await emulatedGithub(stateDir);
  const why = '<img src=x onerror=alert(1)> @ada fixes #1 [here](https://evil.example)';
  const { url } = await file(github.url, 'review.c:x', { why, title: 'two\nlines \u202e' });
  const filed = await github.call<Issue>('GET', `/issues/${url.split('/').at(-1)}`);
  expect(filed.title).toBe('two lines \ufffd');
  expect(filed.body).toContain(
    '\\<img src=x onerror=alert(1)\\> @\u200bada fixes \\#1 \\[here\\](https://evil.example)',
  );
});

it('says what is not configured', async () => {
  const elsewhere = asActivity(() =>
    trackerOf('http://127.0.0.1:9', settings).fileIssue({ ...scope, key: 'a', item: item() }),
  );
  await expect(elsewhere).rejects.toMatchObject({ type: 'NotConfigured', nonRetryable: true });
});

describe('as every provider', () => {
  failsAsDeclared((url) => file(url));
  refusesNonsense((url) => file(url));
});
