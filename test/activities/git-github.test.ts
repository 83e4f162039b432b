/** The repository of a service on GitHub: the `emulate` server for what it serves, a server of the test's own for limits and pages. */
import { createActivities } from '../../activities/git.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { asActivity, scope, settingsFor } from './git-rig.ts';
import { emulatedGithub, type Published } from './github-rig.ts';
import { failsAsDeclared, refusesNonsense, serving, type Answer, type Asked } from './http-server.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

const TOKEN = 'tok';
const providerOf = (url: string) => {
  const settings = settingsFor('https://github.example/ada/shop.git');
  Object.assign(settings.services[0]?.environments['production']?.releases ?? {}, { github: 'ada/shop' });
  return createActivities(
    { HOLDFAST_STATE_DIR: stateDir, GITHUB_TOKEN: TOKEN, GITHUB_URL: url, TEMPORAL_NAMESPACE: 'default' },
    settings,
  );
};
const candidate = (url: string, ref: string, more: { version?: string; since?: string } = {}) =>
  asActivity(() => providerOf(url).candidate({ ...scope, ref, ...more }));
const branching = (url: string, version: string, commit: string) =>
  asActivity(() => providerOf(url).createReleaseBranch({ ...scope, version, commit }));

describe('in emulate', () => {
  it('says what a candidate is, and which commits and files it brings since the newest version', async () => {
    await using github = await emulatedGithub(stateDir);
    await github.commit('Begin', { 'a.txt': 'a\n' }, 'v1.2.3');
    const first = await github.commit('fix: mend the basket', { 'a.txt': 'b\n' });
    const second = await github.commit('feat: sell more\n\nAt length.', { 'b.txt': 'b\nb\n' });
    const found = await candidate(github.url, 'main');
    expect(found).toMatchObject({
      version: '1.3.0',
      commit: second,
      digest: expect.stringMatching(/^tree:[0-9a-f]{40}$/),
      commits: [
        { id: second, author: 'Ada', subject: 'feat: sell more', at: expect.stringMatching(/Z$/) },
        { id: first, author: 'Ada', subject: 'fix: mend the basket' },
      ],
      commitCount: 2,
      fileCount: 2,
    });
    expect(found.files?.map(({ path }) => path).toSorted()).toEqual(['a.txt', 'b.txt']);
    expect(await candidate(github.url, 'main', { since: first })).toMatchObject({ version: '1.3.0', commitCount: 1 });
  });

  it('names the first version where none was released, and counts all commits', async () => {
    await using github = await emulatedGithub(stateDir);
    await github.commit('Go on', { 'a.txt': 'a\n' });
    expect(await candidate(github.url, 'main')).toMatchObject({ version: '0.1.0', commitCount: 2 });
  });

  it('makes a release branch once, never moves it, and names its version', async () => {
    await using github = await emulatedGithub(stateDir);
    await github.commit('Begin', {}, 'v1.0.0');
    const first = await github.commit('fix: a', { 'a.txt': 'a\n' });
    expect(await branching(github.url, '1.0.1', first)).toMatchObject({ changed: true });
    expect(await branching(github.url, '1.0.1', first)).toMatchObject({ changed: false });
    expect(await github.at('release/1.0.1')).toBe(first);
    expect(await candidate(github.url, 'release/1.0.1')).toMatchObject({ version: '1.0.1', commit: first });
    expect(await candidate(github.url, 'main')).toMatchObject({ version: '1.0.1', commitCount: 1 });
    expect(await candidate(github.url, 'v1.0.0')).toMatchObject({ version: '1.0.0' });
    const second = await github.commit('fix: b', { 'a.txt': 'b\n' });
    await expect(branching(github.url, '1.0.1', second)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining(`is at ${first.slice(0, 12)}`),
    });
  });

  it('never takes a version that another line of commits has', async () => {
    await using github = await emulatedGithub(stateDir);
    const begun = await github.commit('Begin', {}, 'v1.0.0');
    const made = await github.call<{ sha: string }>('POST', '/git/commits', {
      message: 'fix: another',
      tree: (await github.call<{ commit: { tree: { sha: string } } }>('GET', `/commits/${begun}`)).commit.tree.sha,
      parents: [begun],
    });
    await github.call('POST', '/git/refs', { ref: 'refs/heads/release/1.0.1', sha: made.sha });
    await github.commit('fix: a', { 'a.txt': 'a\n' });
    expect(await candidate(github.url, 'main')).toMatchObject({ version: '1.0.2' });
  });

  it('refuses what is no ref, and does not find what is not there', async () => {
    await using github = await emulatedGithub(stateDir);
    await expect(candidate(github.url, 'main..v1')).rejects.toMatchObject({ type: 'Refused' });
    await expect(candidate(github.url, 'v99')).rejects.toMatchObject({ type: 'NotFound', nonRetryable: true });
    await expect(branching(github.url, '1.0.0', 'f'.repeat(40))).rejects.toMatchObject({ type: 'NotFound' });
  });
});

/** A repository with one version and many commits since; `answer` may say otherwise first. */
const manyCommits = (count: number, answer: (asked: Asked) => Answer | undefined = () => undefined) => {
  const at = (id: string, message: string): Published<'commit'> => ({
    sha: id,
    commit: { tree: { sha: 't' }, message, author: { name: 'Ada' }, committer: { date: '2026-11-24T08:00:00Z' } },
  });
  const all = Array.from({ length: count }, (_, n) => at(`c${n + 1}`, n === 0 ? 'feat: first' : 'fix: more'));
  return serving((asked) => {
    const other = answer(asked);
    if (other !== undefined) return other;
    const path = decodeURIComponent(asked.url.pathname);
    if (path.endsWith('/matching-refs/tags'))
      return { body: [{ ref: 'refs/tags/v1.0.0' }] satisfies Published<'git-ref'>[] };
    if (path.endsWith('/matching-refs/heads/release')) return { body: [] };
    if (path.includes('/commits/')) return { body: all.at(-1) };
    const size = Number(asked.url.searchParams.get('per_page'));
    const page = Number(asked.url.searchParams.get('page'));
    const commits = all.slice((page - 1) * size, page * size);
    const files = page === 1 ? [{ filename: 'a.txt', additions: 1, deletions: 0 }] : [];
    const compared = { status: 'ahead', base_commit: { sha: 'c0' }, total_commits: count, commits, files } as const;
    return { body: compared satisfies Published<'commit-comparison'> };
  });
};

it('reads all pages of a comparison: the oldest commit may be the one that makes the version', async () => {
  await using server = await manyCommits(230);
  const found = await candidate(server.url, 'main');
  expect(found).toMatchObject({ version: '1.1.0', commit: 'c230', commitCount: 230, fileCount: 1 });
  expect(found.commits.map(({ id }) => id).slice(0, 2)).toEqual(['c230', 'c229']);
  expect(found.commits).toHaveLength(50);
});

it('waits itself for a limit that is over at once, and asks again', async () => {
  const asked: number[] = [];
  const limited = { status: 403, headers: { 'retry-after': '1' }, body: { message: 'a secondary rate limit' } };
  await using server = await manyCommits(1, ({ url }) => {
    if (!url.pathname.includes('/commits/')) return undefined;
    asked.push(Date.now());
    return asked.length === 1 ? limited : undefined;
  });
  expect(await candidate(server.url, 'main')).toMatchObject({ version: '1.1.0' });
  expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThanOrEqual(1000);
});

it('asks no more than once again: what goes on is for Temporal to wait for', async () => {
  let times = 0;
  await using server = await manyCommits(1, () => {
    times += 1;
    return { status: 429, headers: { 'retry-after': '1' }, body: { message: 'a secondary rate limit' } };
  });
  await expect(candidate(server.url, 'main')).rejects.toMatchObject({ type: 'RateLimited', nextRetryDelay: 1000 });
  expect(times).toBe(2);
});

it('leaves a long limit to Temporal, until it is over', async () => {
  let times = 0;
  const reset = Math.floor(Date.now() / 1000) + 600;
  const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) };
  await using server = await manyCommits(1, () => {
    times += 1;
    return { status: 403, headers, body: { message: 'API rate limit exceeded' } };
  });
  const error = (await candidate(server.url, 'main').catch((thrown: unknown) => thrown)) as { nextRetryDelay: number };
  expect(error).toMatchObject({ type: 'RateLimited', nonRetryable: false });
  expect(error.nextRetryDelay).toBeGreaterThan(590_000);
  expect(times).toBe(1);
});

it('tells its token to nobody but GitHub', async () => {
  await using server = await manyCommits(1, ({ headers }) => ({
    status: 401,
    body: { message: headers.authorization === `token ${TOKEN}` ? 'Bad credentials' : 'none came' },
  }));
  const error = (await candidate(server.url, 'main').catch((thrown: unknown) => thrown)) as Error;
  expect(error.message).toContain('Bad credentials');
  expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toMatch(/\btok\b/);
});

describe('as every provider', () => {
  failsAsDeclared((url) => candidate(url, 'main'));
  refusesNonsense((url) => candidate(url, 'main'));
});
