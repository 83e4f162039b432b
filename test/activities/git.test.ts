import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createActivities } from '../../activities/git.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { asActivity, createRepository, scope, settingsFor, type Repository } from './git-rig.ts';
import { serving } from './http-server.ts';

let folder: string;
let repository: Repository;
beforeEach(async () => {
  folder = scratchFolder();
  repository = await createRepository(folder);
});
afterEach(() => removeScratch(folder));

const variables = () => ({
  HOLDFAST_STATE_DIR: folder,
  GITHUB_URL: 'http://127.0.0.1:9',
  TEMPORAL_NAMESPACE: 'default',
});
const providerOf = (path = repository.path) => createActivities(variables(), settingsFor(path));
const candidate = (ref: string, more: { version?: string; since?: string } = {}) =>
  asActivity(() => providerOf().candidate({ ...scope, ref, ...more }));
const branching = (version: string, commit: string, path?: string) =>
  asActivity(() => providerOf(path).createReleaseBranch({ ...scope, version, commit }));

describe('a candidate', () => {
  it('says what it is and what it changes since the newest version that it descends from', async () => {
    await repository.commit('Begin', { 'a.txt': 'a' }, 'v1.2.3');
    const first = await repository.commit('fix: mend the basket', { 'a.txt': 'b' });
    const second = await repository.commit('docs: say how\n\nAt length.', { 'b.txt': 'b' });
    expect(await candidate('main')).toEqual({
      version: '1.2.4',
      commit: second,
      digest: `tree:${await repository.git('rev-parse', 'HEAD^{tree}')}`,
      commits: [
        { id: second, author: 'Ada', subject: 'docs: say how', at: expect.stringMatching(/Z$/) },
        { id: first, author: 'Ada', subject: 'fix: mend the basket', at: expect.stringMatching(/Z$/) },
      ],
      commitCount: 2,
      files: [
        { path: 'a.txt', added: 1, removed: 1 },
        { path: 'b.txt', added: 1, removed: 0 },
      ],
      fileCount: 2,
    });
  });

  it('has an equal digest when its content is equal, whatever its commit is', async () => {
    const one = await repository.commit('Begin', { 'a.txt': 'a' });
    await repository.commit('Change', { 'a.txt': 'b' });
    const other = await repository.commit('Change it back', { 'a.txt': 'a' });
    const [a, b] = [await candidate(one), await candidate(other)];
    expect(a.digest).toBe(b.digest);
    expect(a.commit).not.toBe(b.commit);
  });

  it.each([
    ['a fix is a patch', '1.2.3', ['fix: a'], '1.2.4'],
    ['so is what keeps no convention', '1.2.3', ['Mend the basket', 'Merge it'], '1.2.4'],
    ['a feature is a minor, whatever else came', '1.2.3', ['feat(basket): a', 'fix: b'], '1.3.0'],
    ['an exclamation mark is a major', '1.2.3', ['refactor(api)!: a', 'feat: b'], '2.0.0'],
    ['so is a footer', '1.2.3', ['fix: a\n\nBody.\n\nBREAKING CHANGE: no more cookies'], '2.0.0'],
    ['but a minor before 1.0.0', '0.4.1', ['feat!: a'], '0.5.0'],
    ['the release follows its candidate', '2.0.0-rc.1', ['fix: a'], '2.0.0'],
  ])('is versioned by Conventional Commits: %s', async (_, newest, messages, version) => {
    await repository.commit('Begin', {}, `v${newest}`);
    for (const message of messages) await repository.commit(message);
    expect(await candidate('main')).toMatchObject({ version, commitCount: messages.length });
  });

  it.each([
    [['1.9.0', '1.10.0', 'latest', 'v1'], '1.10.1'],
    [['v1', 'v2'], '2.0.1'],
    [[], '0.1.0'],
    [['20261124', 'nightly-3'], '0.1.0'],
  ])('after the tags %j the next fix is %s', async (tags, version) => {
    await repository.commit('Begin', {}, ...tags);
    await repository.commit('fix: a');
    expect(await candidate('main')).toMatchObject({ version });
  });

  it('is the version that its branch or tag names, and keeps it when it is looked at again', async () => {
    await repository.commit('Begin', {}, 'v1.0.0');
    await repository.commit('feat: a');
    const { version, commit } = await candidate('main');
    await branching(version, commit);
    expect(await candidate(`release/${version}`)).toMatchObject({ version: '1.1.0', commit, commitCount: 1 });
    expect(await candidate('main')).toMatchObject({ version: '1.1.0', commit, commitCount: 1 });
    expect(await candidate('v1.0.0')).toMatchObject({ version: '1.0.0' });
    expect(await candidate('main', { version: '7.0.0' })).toMatchObject({ version: '7.0.0' });
  });

  it('never takes a version that another line of commits has', async () => {
    await repository.commit('Begin', {}, 'v1.0.0');
    await repository.git('checkout', '--quiet', '-b', 'release/1.0.1');
    await repository.commit('fix: another');
    await repository.git('checkout', '--quiet', 'main');
    await repository.commit('fix: a');
    expect(await candidate('main')).toMatchObject({ version: '1.0.2' });
  });

  it('counts all commits since a given ref, and shows the newest fifty, cut to what the contract holds', async () => {
    const since = await repository.commit('Begin', {}, 'v1.0.0');
    for (let n = 0; n < 51; n += 1)
      await repository.git('commit', '--quiet', '--allow-empty', '-m', `fix: ${n} ${'x'.repeat(300)}`);
    const newest = await repository.commit('feat: last');
    const found = await candidate('main', { since });
    expect(found).toMatchObject({ commitCount: 52, version: '1.1.0' });
    expect(found.commits).toHaveLength(50);
    expect(found.commits[0]).toMatchObject({ id: newest });
  });

  it('sees what was pushed since it was last asked', async () => {
    const first = await repository.commit('Begin');
    expect(await candidate('main')).toMatchObject({ commit: first });
    const second = await repository.commit('Go on');
    expect(await candidate('main')).toMatchObject({ commit: second });
  });

  it('is refused where the ref is none, and not found where the repository has none', async () => {
    await repository.commit('Begin');
    await expect(candidate('--upload-pack=touch')).rejects.toMatchObject({ type: 'Refused' });
    await expect(candidate('main..v1')).rejects.toMatchObject({ type: 'Refused' });
    await expect(candidate('v99')).rejects.toMatchObject({ type: 'NotFound', nonRetryable: true });
    await expect(candidate('main', { since: 'v99' })).rejects.toMatchObject({ type: 'NotFound' });
  });
});

describe('a release branch', () => {
  it('is made once, also when it is asked for at once', async () => {
    const commit = await repository.commit('Begin');
    const both = await Promise.all([branching('1.0.0', commit), branching('1.0.0', commit)]);
    expect(both.filter(({ changed }) => changed).length).toBeLessThanOrEqual(1);
    expect(await branching('1.0.0', commit)).toEqual({
      changed: false,
      summary: `release/1.0.0 is there already at ${commit.slice(0, 12)}`,
    });
    expect(await repository.at('release/1.0.0')).toBe(commit);
  });

  it('is never moved, not even forward', async () => {
    const first = await repository.commit('Begin');
    const second = await repository.commit('Go on');
    await branching('1.0.0', first);
    await expect(branching('1.0.0', second)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining(`is at ${first.slice(0, 12)}`),
    });
    expect(await repository.at('release/1.0.0')).toBe(first);
  });

  it('is not made where the repository does not have the commit, or takes no branch', async () => {
    const commit = await repository.commit('Begin');
    await expect(branching('1.0.0', 'f'.repeat(40))).rejects.toMatchObject({ type: 'NotFound' });
    const hook = join(repository.path, 'hooks', 'pre-receive');
    await mkdir(join(repository.path, 'hooks'), { recursive: true });
    await writeFile(hook, '#!/bin/sh\necho the branch is protected >&2\nexit 1\n');
    await chmod(hook, 0o755);
    await expect(branching('1.0.0', commit)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining('the branch is protected'),
    });
    expect(await repository.at('release/1.0.0')).toBe('');
  });
});

describe('the mirror', () => {
  it('is made anew when a power cut has left a lock in it', async () => {
    await repository.commit('Begin');
    await candidate('main');
    const mirror = join(folder, 'releases', 'shop', 'production', 'repository.git');
    await writeFile(join(mirror, 'refs', 'heads', 'main.lock'), '');
    const commit = await repository.commit('Go on');
    expect(await candidate('main')).toMatchObject({ commit });
  });

  it('outlives a repository that is away, which is transient', async () => {
    const commit = await repository.commit('Begin');
    await candidate('main');
    await rm(repository.path, { recursive: true });
    await expect(candidate('main')).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
    await repository.git('init', '--quiet', '--bare', '--initial-branch=main', repository.path);
    await repository.push();
    expect(await candidate('main')).toMatchObject({ commit });
  });

  it('tells no credentials when they are refused', async () => {
    await using server = await serving(() => ({ status: 401, headers: { 'www-authenticate': 'Basic realm="git"' } }));
    const url = server.url.replace('://', '://ada:s3cret-of-ada@');
    const asked = asActivity(() => providerOf(`${url}/shop.git`).candidate({ ...scope, ref: 'main' }));
    const error = await asked.catch((thrown: unknown) => thrown as Error & { type: string; cause?: unknown });
    expect(error).toMatchObject({ type: 'NotAllowed', nonRetryable: true });
    expect(JSON.stringify([error, (error as Error).message, (error as Error).stack])).not.toContain('s3cret');
  });
});

it('says what is not configured', async () => {
  const settings = settingsFor(repository.path);
  delete settings.services[0]?.environments['production']?.releases;
  const provider = createActivities(variables(), settings);
  await expect(asActivity(() => provider.candidate({ ...scope, ref: 'main' }))).rejects.toMatchObject({
    type: 'NotConfigured',
  });
});
