/**
 * Workflows of GitHub Actions as GitHub's public reference describes them, on a real HTTP server with a memory, and what the
 * `emulate` server has of them: no account is at hand here, so what GitHub itself would answer was not seen.
 */
import { join } from 'node:path';
import { createActivities } from '../../activities/pipeline.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { anEnvironment, asActivity, scope, settingsFor } from './git-rig.ts';
import { emulatedGithub, type Published } from './github-rig.ts';
import { failsAsDeclared, refusesNonsense, serving, type Answer, type Asked } from './http-server.ts';
import { killedWhen } from './killed.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

const commit = 'c'.repeat(40);
const settingsOf = (timeout = '1 minute', repository = 'https://github.com/ada/shop.git') =>
  settingsFor(repository, { pipeline: { workflow: 'ci.yml', timeout } });
const variablesOf = (url: string) => ({ HOLDFAST_STATE_DIR: stateDir, GITHUB_TOKEN: 'tok', GITHUB_URL: url });
const order = (key = 'run-1', of = commit) => ({ ...scope, commit: of, key });
const running = (url: string, key?: string, settings = settingsOf()) => {
  const provider = createActivities(variablesOf(url), settings);
  return () => provider.runPipeline(order(key));
};
const run = (url: string, key?: string, settings = settingsOf()) => asActivity(running(url, key, settings));
/** As a deployment does: until it has ended. */
async function ended(url: string, key?: string, settings = settingsOf()) {
  for (;;) {
    const told = await run(url, key, settings);
    if (told.running !== true) return told;
  }
}
const cancelling = (url: string, key?: string) => {
  const provider = createActivities(variablesOf(url), settingsOf());
  return asActivity(() => provider.cancelPipeline(order(key)));
};

interface Run {
  id: number;
  title: string;
  status: string;
  conclusion: string | null;
  at: string;
}

/** A repository whose branch `release/1.0.0` is at the commit; its runs end as told. `answer` may say otherwise first. */
async function githubServer(answer: (asked: Asked) => Answer | undefined = () => undefined) {
  const state = {
    runs: [] as Run[],
    refs: [] as string[],
    cancelled: [] as number[],
    /** Requests of the lists of runs. */
    listings: 0,
    listed: true,
    conclusion: 'success',
    named: true,
  };
  const shown = (one: Run): Published<'workflow-run'> => ({
    id: one.id,
    run_number: one.id,
    display_title: one.title,
    head_sha: commit,
    status: one.status,
    conclusion: one.conclusion,
    html_url: `https://github.com/ada/shop/actions/runs/${one.id}`,
    created_at: one.at,
  });
  const server = await serving((asked) => {
    const { method, url, headers, body } = asked;
    if (headers.authorization !== 'token tok') return { status: 401, body: { message: 'Bad credentials' } };
    const other = answer(asked);
    if (other !== undefined) return other;
    const path = decodeURIComponent(url.pathname).replace('/repos/ada/shop', '');
    if (path === '/git/matching-refs/heads/release')
      return {
        body: [
          { ref: 'refs/heads/release/1.0.0', object: { type: 'commit', sha: commit } },
        ] satisfies Published<'git-ref'>[],
      };
    if (path === '/actions/workflows/ci.yml/dispatches' && method === 'POST') {
      const { ref, inputs } = JSON.parse(body) as { ref: string; inputs: { holdfast_key: string } };
      state.refs.push(ref);
      const title = `CI ${inputs.holdfast_key}`;
      const at = `${new Date().toISOString().slice(0, 19)}Z`;
      state.runs.push({ id: state.runs.length + 1, title, status: 'queued', conclusion: null, at });
      return { status: 204, body: '' };
    }
    if (path === '/actions/workflows/ci.yml/runs') {
      state.listings += 1;
      return { body: { total_count: 1, workflow_runs: state.listed ? state.runs.map(shown) : [] } };
    }
    const [, id, rest] = /^\/actions\/runs\/(\d+)(.*)$/.exec(path) ?? [];
    const one = state.runs.find((each) => each.id === Number(id));
    if (one === undefined) return { status: 404, body: { message: 'Not Found' } };
    if (rest === '/jobs')
      return {
        body: {
          jobs: [
            { name: 'build', conclusion: 'success' },
            { name: 'test', conclusion: 'failure' },
          ] satisfies Published<'job'>[],
        },
      };
    if (rest === '/cancel') {
      state.cancelled.push(one.id);
      Object.assign(one, { status: 'completed', conclusion: 'cancelled' });
      return { status: 202, body: {} };
    }
    if (state.conclusion !== '') Object.assign(one, { status: 'completed', conclusion: state.conclusion });
    return { body: shown(one) };
  });
  return { ...server, state };
}

it('starts the workflow at the release branch, says that it runs, then how it ended, and does it once per key', async () => {
  await using server = await githubServer();
  const passed = { passed: true, summary: 'ci.yml #1 ended with success', log: expect.stringMatching(/runs\/1$/) };
  expect(await run(server.url)).toMatchObject({ running: true, passed: false, summary: 'ci.yml #1 runs' });
  expect(await run(server.url)).toEqual(passed);
  expect(await run(server.url)).toEqual(passed);
  expect(server.state.refs).toEqual(['release/1.0.0']);
  expect(await ended(server.url, 'run-2')).toMatchObject({ summary: 'ci.yml #2 ended with success' });
});

it('asks for its run by its id once it has seen it: a list that misses it does not start another', async () => {
  await using server = await githubServer();
  server.state.conclusion = '';
  await run(server.url);
  Object.assign(server.state, { listed: false, listings: 0 });
  expect(await run(server.url)).toMatchObject({ running: true });
  server.state.conclusion = 'success';
  expect(await run(server.url)).toMatchObject({ passed: true });
  expect(server.state).toMatchObject({ listings: 0, refs: ['release/1.0.0'] });
});

it('fails with the jobs that failed', async () => {
  await using server = await githubServer();
  server.state.conclusion = 'failure';
  expect(await ended(server.url)).toMatchObject({
    passed: false,
    summary: 'ci.yml #1 ended with failure; test: failure',
  });
});

it('finds the run again that a killed worker has started', async () => {
  await using server = await githubServer();
  server.state.listed = false;
  const argument = { provider: 'pipeline', activity: 'runPipeline', argument: order() };
  const request = { ...argument, variables: variablesOf(server.url), settings: settingsOf() };
  await killedWhen(stateDir, request, async () => server.state.runs.length === 1);
  server.state.listed = true;
  expect(await ended(server.url)).toMatchObject({ passed: true, summary: 'ci.yml #1 ended with success' });
  expect(server.state.refs).toHaveLength(1);
});

it('cancels the run when it is cancelled while it starts it', async () => {
  await using server = await githubServer();
  server.state.listed = false;
  const environment = anEnvironment();
  const cancelled = environment.run(running(server.url)) as Promise<unknown>;
  await until(() => server.state.runs.length === 1 && server.state.listings > 0);
  environment.cancel();
  server.state.listed = true;
  await expect(cancelled).rejects.toMatchObject({ name: expect.stringMatching(/CancelledFailure|AbortError/) });
  expect(server.state.cancelled).toEqual([1]);
});

it('cancels the run that it has started, and none that has ended or was never begun', async () => {
  await using server = await githubServer();
  server.state.conclusion = '';
  const nothing = { changed: false, summary: 'no workflow runs' };
  expect(await cancelling(server.url)).toEqual(nothing);
  await run(server.url);
  expect(await cancelling(server.url)).toEqual({ changed: true, summary: 'ci.yml #1 is cancelled' });
  expect(await cancelling(server.url)).toEqual(nothing);
  expect(await run(server.url)).toMatchObject({
    passed: false,
    summary: expect.stringContaining('ended with cancelled'),
  });
  expect(server.state.cancelled).toEqual([1]);
});

it('cancels a run that takes longer than its time, and says so', async () => {
  await using server = await githubServer();
  server.state.conclusion = '';
  expect(await ended(server.url, 'slow', settingsOf('1 s'))).toMatchObject({
    passed: false,
    summary: 'ci.yml #1 took longer than 1 s',
  });
  expect(server.state.cancelled).toEqual([1]);
});

it.each([
  ['tells when the limit is over', { 'x-ratelimit-remaining': '0' }, 30_000, 'API rate limit exceeded'],
  ['tells how long to wait', { 'retry-after': '7' }, 7000, 'You have exceeded a secondary rate limit'],
  ['does not tell how long', {}, 60_000, 'You have exceeded a secondary rate limit'],
])(
  'waits as GitHub asks where it limits requests (403) and %s',
  async (_, told: Record<string, string>, ms, message) => {
    const reset = String(Math.floor(Date.now() / 1000) + 30);
    const headers = 'x-ratelimit-remaining' in told ? { ...told, 'x-ratelimit-reset': reset } : told;
    await using server = await githubServer(() => ({ status: 403, headers, body: { message } }));
    const error = (await run(server.url).catch((thrown: unknown) => thrown)) as { nextRetryDelay: number };
    expect(error).toMatchObject({ type: 'RateLimited', nonRetryable: false });
    expect(Math.abs(error.nextRetryDelay - ms)).toBeLessThan(3000);
  },
);

it('sends a dispatch once, though GitHub breaks down, and looks for its run before it sends another', async () => {
  let broken = true;
  await using server = await githubServer(({ method }) => (method === 'POST' && broken ? { status: 502 } : undefined));
  await expect(run(server.url)).rejects.toMatchObject({ type: 'Unavailable' });
  expect(server.state.refs).toHaveLength(0);
  broken = false;
  expect(await ended(server.url)).toMatchObject({ passed: true });
  expect(server.state.refs).toHaveLength(1);
});

it('takes no right for granted', async () => {
  const forbidden = { status: 403, body: { message: 'Resource not accessible by personal access token' } };
  await using server = await githubServer(({ method }) => (method === 'POST' ? forbidden : undefined));
  await expect(run(server.url)).rejects.toMatchObject({ type: 'NotAllowed', nonRetryable: true });
});

it('says what is not configured', async () => {
  const elsewhere = run('http://127.0.0.1:9', 'k', settingsOf('1 minute', join(stateDir, 'origin.git')));
  await expect(elsewhere).rejects.toMatchObject({ type: 'NotConfigured' });
  const without = createActivities({ HOLDFAST_STATE_DIR: stateDir, GITHUB_URL: 'http://127.0.0.1:9' }, settingsOf());
  await expect(asActivity(() => without.runPipeline(order()))).rejects.toMatchObject({
    type: 'NotConfigured',
    message: expect.stringContaining('GITHUB_TOKEN'),
  });
});

it('finds the branches of a repository in emulate, which runs no workflow', async () => {
  await using github = await emulatedGithub(stateDir);
  const main = await github.at('main');
  const provider = createActivities(variablesOf(github.url), settingsOf());
  const runAt = (of: string) => asActivity(() => provider.runPipeline(order('k', of)));
  await expect(runAt(commit)).rejects.toMatchObject({ type: 'Refused', message: expect.stringContaining('no branch') });
  await expect(runAt(main)).rejects.toMatchObject({
    type: 'NotFound',
    message: expect.stringContaining('POST ada/shop/actions/workflows/ci.yml/dispatches'),
  });
});

describe('as every provider', () => {
  failsAsDeclared((url) => run(url));
  refusesNonsense((url) => run(url));
});
