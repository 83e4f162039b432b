/** Git repositories through git's command line, over a mirror in the state folder. Credentials never get into a message. */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GitRef, type Scope } from './contracts/index.ts';
import { failure } from './errors.ts';
import { locked } from './locked.ts';
import { runCommand } from './processes.ts';

const TIMEOUT_MS = 120_000;
/** `<mode> <type> <id>\t<path>` */
const FILE = /^100(?:644|755) blob [0-9a-f]+\t(.+)$/s;
const NOT_ALLOWED = /Authentication failed|could not read (Username|Password)|Permission denied|error: 40[13]/;

/** A copy of a repository with all its refs, kept at `path`. `signal` ends the git that runs. */
export interface Mirror {
  path: string;
  /** Path or URL of the original. */
  repository: string;
  signal: AbortSignal;
}

export interface Commit {
  id: string;
  author: string;
  /** When it was committed; ISO 8601, UTC. */
  at: string;
  /** Subject and body. */
  message: string;
}

/** The mirror that every provider of an environment shares. */
export const mirrorOf = (
  stateDir: string,
  { service, environment }: Scope,
  repository: string,
  signal: AbortSignal,
): Mirror => ({
  path: resolve(stateDir, 'releases', service, environment, 'repository.git'),
  repository,
  signal,
});

/** Run git without a terminal. @throws Error with its message, without credentials */
export async function git(signal: AbortSignal, args: string[], env: Record<string, string> = {}): Promise<string> {
  try {
    const { stdout } = await runCommand({
      command: 'git',
      args,
      env: { GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C', ...env },
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(withoutCredentials(error instanceof Error ? error.message : ''));
  }
}

const inMirror = ({ path, signal }: Mirror, ...args: string[]): Promise<string> =>
  git(signal, ['--git-dir', path, ...args]);

const withoutCredentials = (text: string): string => text.replaceAll(/(\w:\/\/)[^/\s]*@/g, '$1***@').slice(-1500);

/** What a failed exchange with the original means. */
export const unreachable = (error: unknown): Error => {
  const message = `the repository of the releases: ${error instanceof Error ? error.message : ''}`;
  return failure(NOT_ALLOWED.test(message) ? 'NotAllowed' : 'Unavailable', message);
};

/**
 * Bring the mirror up to date. One that cannot be (a power cut left a lock or half an object) is made anew, where the original
 * can be read. @throws NotAllowed (permanent), Unavailable (transient).
 */
export async function refresh(mirror: Mirror): Promise<void> {
  const { path, repository, signal } = mirror;
  await locked(`${path}.lock.sqlite`, signal, async () => {
    if (existsSync(join(path, 'HEAD'))) {
      const fetch = ['fetch', '--quiet', '--prune', '--', repository, '+refs/*:refs/*'];
      const fetched = await inMirror(mirror, ...fetch).catch(() => undefined);
      if (fetched !== undefined) return;
      signal.throwIfAborted();
    }
    const draft = `${path}.draft`;
    await rm(draft, { recursive: true, force: true });
    try {
      await git(signal, ['clone', '--quiet', '--mirror', '--', repository, draft]);
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(error);
    }
    await rm(path, { recursive: true, force: true });
    await rename(draft, path);
  });
}

/**
 * The commit that a tag, branch or commit id names now in the original.
 * @throws Refused (permanent) when it cannot be a ref; NotFound (permanent) when the repository does not have it; as `refresh`.
 */
export async function commitOf(mirror: Mirror, ref: string): Promise<string> {
  checkRef(ref);
  await refresh(mirror);
  return await mirroredCommitOf(mirror, ref);
}

/** As `commitOf`, of the mirror as it is: for more refs after a first, and for commits, which do not change. */
export async function mirroredCommitOf(mirror: Mirror, ref: string): Promise<string> {
  checkRef(ref);
  try {
    return await inMirror(mirror, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`);
  } catch {
    mirror.signal.throwIfAborted();
    throw failure('NotFound', `the repository has no "${ref}"`);
  }
}

/** A commit by its id, from the mirror where it has it: then the original is not needed. @throws as `commitOf`. */
export async function knownCommit(mirror: Mirror, id: string): Promise<string> {
  if (!existsSync(join(mirror.path, 'HEAD'))) return await commitOf(mirror, id);
  return await mirroredCommitOf(mirror, id).catch(() => commitOf(mirror, id));
}

/** @throws Refused (permanent) when it cannot be a ref */
export function checkRef(ref: string): void {
  if (!GitRef.safeParse(ref).success) throw failure('Refused', `"${ref.slice(0, 100)}" is not a git ref`);
}

/** Id of the tree of a commit: equal content has an equal one. */
export const treeOf = (mirror: Mirror, commit: string): Promise<string> =>
  inMirror(mirror, 'rev-parse', '--verify', '--end-of-options', `${commit}^{tree}`);

const rangeOf = (to: string, after?: string): string[] => [to, ...(after === undefined ? [] : [`^${after}`])];

/** The commits that `to` has and `after` does not, newest first. */
export async function commitsOf(mirror: Mirror, of: { to: string; after?: string; most?: number }): Promise<Commit[]> {
  const most = of.most === undefined ? [] : [`--max-count=${of.most}`];
  const range = rangeOf(of.to, of.after);
  const log = await inMirror(
    mirror,
    'log',
    '--date-order',
    '-z',
    '--format=%H%x1f%an%x1f%cI%x1f%B',
    ...most,
    ...range,
    '--',
  );
  return log
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [id = '', author = '', at = '', message = ''] = entry.split('\x1f');
      return { id, author, at: new Date(at).toISOString(), message };
    });
}

/** The files that differ between two commits, with the lines that were added and removed (0 in a binary one). */
export async function changedFiles(mirror: Mirror, { to, after }: { to: string; after: string }) {
  const told = await inMirror(mirror, 'diff', '--numstat', '-z', '--no-renames', after, to, '--');
  return told.split('\0').flatMap((line) => {
    const [added, removed, path] = line.split('\t');
    return path === undefined ? [] : [{ path, added: Number(added) || 0, removed: Number(removed) || 0 }];
  });
}

export interface FileChange {
  path: string;
  added: number;
  removed: number;
}

/** The files of each commit that `to` has and `after` does not, with their lines; a binary file has none. */
export async function filesChanged(
  mirror: Mirror,
  of: { to: string; after: string; most: number },
): Promise<Map<string, FileChange[]>> {
  const format = ['--format=%x1e%H', '--numstat', '--no-renames', `--max-count=${of.most}`];
  const log = await inMirror(mirror, '-c', 'core.quotePath=false', 'log', ...format, ...rangeOf(of.to, of.after), '--');
  const entries = log.split('\x1e').map((entry) => {
    const [id = '', ...lines] = entry.split('\n').filter((line) => line !== '');
    const files = lines.flatMap((line) => {
      const [added, removed, path] = line.split('\t');
      return path === undefined ? [] : [{ path, added: Number(added) || 0, removed: Number(removed) || 0 }];
    });
    return [id, files] as const;
  });
  return new Map(entries.filter(([id]) => id !== ''));
}

/** Ids of those commits whose changed lines hold a word. */
export async function commitsMentioning(
  mirror: Mirror,
  of: { to: string; after: string; word: string },
): Promise<Set<string>> {
  const word = of.word.replaceAll(/[^\w-]/g, '.');
  const log = await inMirror(mirror, 'log', '--format=%H', '-i', `-G${word}`, ...rangeOf(of.to, of.after), '--');
  return new Set(log.split('\n').filter((id) => id !== ''));
}

/** How many commits `to` has that `after` does not. */
export const commitCount = async (mirror: Mirror, of: { to: string; after?: string }): Promise<number> =>
  Number(await inMirror(mirror, 'rev-list', '--count', ...rangeOf(of.to, of.after), '--'));

/** Refs below these prefixes (`refs/tags`) with their commits; those that `mergedInto` has, where it is given. */
export async function refsOf(mirror: Mirror, prefixes: string[], mergedInto?: string) {
  const merged = mergedInto === undefined ? [] : [`--merged=${mergedInto}`];
  const format = '--format=%(refname) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)';
  const lines = await inMirror(mirror, 'for-each-ref', format, ...merged, ...prefixes);
  return lines.split('\n').flatMap((line) => {
    const [name, commit] = line.split(' ');
    return name !== undefined && commit !== undefined ? [{ name, commit }] : [];
  });
}

/** Paths of a commit's files below a folder, sorted; a symbolic link is no file. */
export async function filesOf(mirror: Mirror, commit: string, folder: string): Promise<string[]> {
  const entries = await inMirror(mirror, 'ls-tree', '-r', '-z', '--full-tree', commit, '--', folder);
  return entries.split('\0').flatMap((entry) => FILE.exec(entry)?.[1] ?? []);
}

/** The text of one file of a commit, without a last line break. */
export const textOf = (mirror: Mirror, commit: string, path: string): Promise<string> =>
  inMirror(mirror, 'cat-file', 'blob', `${commit}:${path}`);

/** Lay a commit's files into an empty folder, without a `.git`. */
export async function checkoutFiles(mirror: Mirror, commit: string, folder: string): Promise<void> {
  const tree = resolve(folder);
  const index = { GIT_INDEX_FILE: `${tree}.index` };
  await mkdir(tree, { recursive: true });
  try {
    await git(mirror.signal, ['--git-dir', mirror.path, 'read-tree', commit], index);
    await git(mirror.signal, ['--git-dir', mirror.path, '--work-tree', tree, 'checkout-index', '--all'], index);
  } finally {
    await rm(`${tree}.index`, { force: true });
  }
}

/**
 * Make a branch at a commit, in the original. Nothing happens when it is there already; never moves one.
 * @throws Refused (permanent) when the branch is at another commit, or the repository takes none; NotAllowed, Unavailable.
 */
export async function createBranch(mirror: Mirror, branch: string, commit: string): Promise<{ changed: boolean }> {
  checkRef(branch);
  const ref = `refs/heads/${branch}`;
  const isThere = async (): Promise<boolean> => {
    const told = await git(mirror.signal, ['ls-remote', '--', mirror.repository, ref]).catch((error: unknown) => {
      mirror.signal.throwIfAborted();
      throw unreachable(error);
    });
    const [at] =
      told
        .split('\n')
        .find((line) => line.endsWith(`\t${ref}`))
        ?.split('\t') ?? [];
    if (at !== undefined && at !== commit)
      throw failure('Refused', `the branch ${branch} is at ${at.slice(0, 12)}, not at ${commit.slice(0, 12)}`);
    return at === commit;
  };
  if (await isThere()) return { changed: false };
  const onlyIfAbsent = `--force-with-lease=${ref}:`;
  try {
    await inMirror(mirror, 'push', '--quiet', onlyIfAbsent, '--', mirror.repository, `${commit}:${ref}`);
  } catch (error) {
    mirror.signal.throwIfAborted();
    if (await isThere()) return { changed: false };
    const message = `the branch ${branch}: ${error instanceof Error ? error.message : ''}`;
    throw /\[(remote )?rejected\]/.test(message) ? failure('Refused', message) : unreachable(error);
  }
  return { changed: true };
}
