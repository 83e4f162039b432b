/**
 * What GitHub shows of a deployment. Releases and pull requests in the `emulate` server; commit statuses and deployments, which it
 * does not have, on a server with a memory that answers as GitHub's public reference describes. That the requests are GitHub's is
 * what octokit's types say, which are made of its OpenAPI description.
 */
import * as configuration from '../../activities/configuration.ts';
import { createActivities } from '../../activities/git.ts';
import type { ShownDeployment } from '../../src/contracts/index.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { asActivity, scope, settingsFor } from './git-rig.ts';
import { emulatedGithub } from './github-rig.ts';
import { failsAsDeclared, refusesNonsense, serving } from './http-server.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

function settingsOf(github?: string) {
  const settings = settingsFor('https://github.example/ada/shop.git');
  Object.assign(settings.services[0]?.environments['production']?.releases ?? {}, github && { github });
  return settings;
}
function providerOf(url: string, settings = settingsOf('ada/shop')) {
  const links = { HOLDFAST_TEMPORAL_UI_URL: 'http://ui.example', TEMPORAL_NAMESPACE: 'default' };
  return createActivities({ HOLDFAST_STATE_DIR: stateDir, GITHUB_TOKEN: 'tok', GITHUB_URL: url, ...links }, settings);
}
const shown: ShownDeployment = {
  ...scope,
  version: '1.4.0',
  commit: 'c'.repeat(40),
  workflowId: 'deployment.shop.production',
  runId: 'run-1',
  state: 'waiting',
  note: 'waiting for a decision',
};
const show = (url: string, change: Partial<ShownDeployment> = {}) =>
  asActivity(() => providerOf(url).showDeployment({ ...shown, ...change }));

/** The commit statuses and deployments of one repository. */
async function deploymentsServer() {
  const statuses: Record<string, unknown>[] = [];
  const deployments: { id: number; sha: string; states: Record<string, unknown>[]; [field: string]: unknown }[] = [];
  const server = await serving(({ method, url, body }) => {
    const path = url.pathname.replace('/repos/ada/shop', '');
    const sent = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
    const [, commit] = /^\/commits\/(\w+)\/statuses$/.exec(path) ?? [];
    if (commit !== undefined) return { body: statuses.filter(({ sha }) => sha === commit).toReversed() };
    const [, sha] = /^\/statuses\/(\w+)$/.exec(path) ?? [];
    if (sha !== undefined)
      return { status: 201, body: statuses.at(statuses.push({ description: null, ...sent, sha }) - 1) };
    if (path === '/deployments' && method === 'POST') {
      deployments.push({ ...sent, id: deployments.length + 1, sha: String(sent['ref']), states: [] });
      return { status: 201, body: deployments.at(-1) };
    }
    if (path === '/deployments')
      return { body: deployments.filter((one) => one.sha === url.searchParams.get('sha')).toReversed() };
    const of = deployments.find(({ id }) => path === `/deployments/${id}/statuses`);
    if (of === undefined) return { status: 404, body: { message: 'Not Found' } };
    if (method === 'POST') of.states.push(sent);
    return { body: method === 'POST' ? sent : of.states.toReversed() };
  });
  return { ...server, statuses, deployments };
}

it('shows a deployment beside its commit and in its environment, with a link to the run', async () => {
  await using server = await deploymentsServer();
  expect(await show(server.url)).toEqual({ changed: true, summary: '1.4.0 is shown as waiting' });
  await show(server.url, { state: 'in-progress', note: 'Canary with 5 % of the traffic.' });
  await show(server.url, { state: 'released', note: `verified good ${'x'.repeat(300)}` });
  const link = 'http://ui.example/namespaces/default/workflows/deployment.shop.production/run-1';
  expect(server.statuses).toMatchObject([
    {
      context: 'holdfast/production',
      state: 'pending',
      description: '1.4.0: waiting for a decision',
      target_url: link,
    },
    { state: 'pending', description: '1.4.0: Canary with 5 % of the traffic.' },
    { state: 'success', description: expect.stringMatching(/^1\.4\.0: verified good x{119}$/) },
  ]);
  expect(server.deployments).toMatchObject([
    { environment: 'production', required_contexts: [], auto_merge: false, ref: shown.commit },
  ]);
  expect(server.deployments[0]?.states).toMatchObject([
    { state: 'queued', log_url: link, environment_url: 'http://127.0.0.1:4180' },
    { state: 'in_progress' },
    { state: 'success' },
  ]);
});

it('sends nothing that is shown so already, and one deployment for each run', async () => {
  await using server = await deploymentsServer();
  await show(server.url);
  expect(await show(server.url)).toMatchObject({ changed: false });
  await show(server.url, { runId: 'run-2', state: 'ended', note: 'declined' });
  expect(server.statuses).toHaveLength(2);
  expect(server.deployments.map(({ states }) => states.map(({ state }) => state))).toEqual([['queued'], ['inactive']]);
});

it('publishes a release once, with notes that say what the commits are', async () => {
  await using github = await emulatedGithub(stateDir);
  const since = await github.commit('Begin', {}, 'v1.0.0');
  await github.commit('fix: mend the basket, fixes #12 for @ada', { 'a.txt': 'a\n' });
  await github.commit('feat(api)!: ask for a key', { 'b.txt': 'b\n' });
  const commit = await github.commit('feat: sell <b>more</b>', { 'c.txt': 'c\n' });
  const publish = () =>
    asActivity(() => providerOf(github.url).publishRelease({ ...scope, version: '2.0.0', commit, since }));
  expect(await publish()).toEqual({ changed: true, summary: 'v2.0.0 is published' });
  expect(await publish()).toMatchObject({ changed: false });
  const releases = await github.call<{ tag_name: string; name: string; body: string }[]>('GET', '/releases');
  expect(releases).toMatchObject([{ tag_name: 'v2.0.0', name: '2.0.0' }]);
  const { body = '' } = releases[0] ?? {};
  expect(body.match(/^## .*$/gm)).toEqual(['## Breaking changes', '## New', '## Fixes and the rest']);
  expect(body).toContain('feat: sell \\<b\\>more\\</b\\>');
  expect(body).toContain('fixes \\#12 for @\u200bada');
  expect(body).toContain(`Verified good in production by Holdfast, ${since.slice(0, 12)}...${commit.slice(0, 12)}.`);
});

it('never publishes a version whose tag is at another commit', async () => {
  await using github = await emulatedGithub(stateDir);
  await github.commit('Begin', {}, 'v1.0.0');
  const commit = await github.commit('fix: a', { 'a.txt': 'a\n' });
  const publishing = asActivity(() => providerOf(github.url).publishRelease({ ...scope, version: '1.0.0', commit }));
  await expect(publishing).rejects.toMatchObject({
    type: 'Refused',
    message: expect.stringContaining('the tag v1.0.0'),
  });
});

it('opens a pull request with the files, once, and not again when it was closed', async () => {
  await using github = await emulatedGithub(stateDir);
  await github.commit('Begin', { 'a.txt': 'a\n', 'kept.txt': 'kept\n' });
  const draft = {
    ...scope,
    branch: 'holdfast/longer-bake',
    title: 'Bake for longer',
    body: 'Two releases went bad after ten minutes.',
    files: [{ path: 'a.txt', text: 'b\n' }],
  };
  const open = () => asActivity(() => providerOf(github.url).openPullRequest(draft));
  const made = await open();
  expect(made).toMatchObject({ changed: true, number: expect.any(Number), url: expect.stringContaining('/pull/') });
  const { files, commits } = await github.call<{ files: object[]; commits: object[] }>(
    'GET',
    '/compare/main...holdfast/longer-bake',
  );
  expect(files).toMatchObject([{ filename: 'a.txt' }]);
  expect(commits).toMatchObject([{ commit: { message: 'Bake for longer' } }]);
  expect(await open()).toEqual({ ...made, changed: false });
  await github.call('PATCH', `/pulls/${made.number}`, { state: 'closed' });
  expect(await open()).toEqual({ ...made, changed: false });
});

it('opens the pull request of a branch that a killed attempt has made', async () => {
  await using github = await emulatedGithub(stateDir);
  const sha = await github.commit('fix: a', { 'a.txt': 'a\n' });
  await github.call('POST', '/git/refs', { ref: 'refs/heads/left', sha });
  const draft = { ...scope, branch: 'left', title: 'Left', body: '', files: [{ path: 'a.txt', text: 'a\n' }] };
  expect(await asActivity(() => providerOf(github.url).openPullRequest(draft))).toMatchObject({ changed: true });
  expect(await github.at('left')).toBe(sha);
});

it('is asked of only where the configuration names the repository on GitHub', async () => {
  const shownBy = async (settings = settingsOf()) =>
    (await configuration.createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, settings).policy(scope)).deployment
      .shown;
  expect(await shownBy(settingsOf('ada/shop'))).toBe(true);
  expect(await shownBy()).toBeUndefined();
  const elsewhere = asActivity(() => providerOf('http://127.0.0.1:9', settingsOf()).showDeployment(shown));
  await expect(elsewhere).rejects.toMatchObject({ type: 'NotConfigured', nonRetryable: true });
});

describe('as every provider', () => {
  failsAsDeclared((url) => show(url));
  refusesNonsense((url) => show(url));
});
