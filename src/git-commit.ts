/** Commits made without a working tree, over the mirror of a repository. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure } from './errors.ts';
import { checkRef, git, mirroredCommitOf, refresh, treeOf, unreachable, type Mirror } from './git.ts';

const TRIES = 5;

/**
 * Commit files, whole, to a branch of the original; the branch is begun where it is missing, from `from` where that is given.
 * Nothing happens where it has them as they are. A branch that has moved on meanwhile is taken up as it is then.
 * @throws Refused (permanent) when the repository takes none; NotAllowed; Unavailable (transient).
 */
export async function commitFiles(
  mirror: Mirror,
  of: { branch: string; from?: string; files: Record<string, string>; message: string; author: string },
): Promise<{ commit: string; changed: boolean }> {
  checkRef(of.branch);
  for (let tries = 1; ; tries += 1) {
    await refresh(mirror);
    const head = await headOf(mirror, of.branch);
    const base = head ?? (of.from === undefined ? undefined : await mirroredCommitOf(mirror, of.from));
    const tree = await treeWith(mirror, base, of.files);
    if (base !== undefined && tree === (await treeOf(mirror, base)) && base === head)
      return { commit: base, changed: false };
    const who = { GIT_AUTHOR_NAME: of.author, GIT_AUTHOR_EMAIL: 'holdfast@localhost' };
    const committer = { GIT_COMMITTER_NAME: 'Holdfast', GIT_COMMITTER_EMAIL: 'holdfast@localhost' };
    const parents = base === undefined ? [] : ['-p', base];
    const args = ['--git-dir', mirror.path, 'commit-tree', tree, ...parents, '-m', of.message];
    const commit = await git(mirror.signal, args, { ...who, ...committer });
    const ref = `refs/heads/${of.branch}`;
    try {
      const lease = `--force-with-lease=${ref}:${head ?? ''}`;
      const push = ['push', '--quiet', lease, '--', mirror.repository, `${commit}:${ref}`];
      await git(mirror.signal, ['--git-dir', mirror.path, ...push]);
      return { commit, changed: true };
    } catch (error) {
      mirror.signal.throwIfAborted();
      const message = `the branch ${of.branch}: ${error instanceof Error ? error.message : ''}`;
      if (!/\[(remote )?rejected\]/.test(message)) throw unreachable(error);
      if (tries === TRIES || !/stale info|fetch first|cannot lock ref/.test(message)) throw failure('Refused', message);
    }
  }
}

/** The commit that a branch of the mirror is at. */
const headOf = (mirror: Mirror, branch: string): Promise<string | undefined> =>
  mirroredCommitOf(mirror, `refs/heads/${branch}`).catch((error: unknown) => {
    mirror.signal.throwIfAborted();
    if (error instanceof Error && 'type' in error && error.type === 'NotFound') return undefined;
    throw error;
  });

/** The tree of a commit with these files in it. */
async function treeWith(mirror: Mirror, base: string | undefined, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-commit-'));
  try {
    const index = { GIT_INDEX_FILE: join(folder, 'index') };
    const run = (...args: string[]) => git(mirror.signal, ['--git-dir', mirror.path, ...args], index);
    if (base !== undefined) await run('read-tree', base);
    for (const [number, [path, text]] of Object.entries(files).entries()) {
      const file = join(folder, String(number));
      await writeFile(file, text);
      const blob = await run('hash-object', '-w', '--no-filters', '--', file);
      await run('update-index', '--add', '--cacheinfo', `100644,${blob},${path}`);
    }
    return await run('write-tree');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
