/** The migrations of a commit, read from the mirror of the service's repository that the releases are made from. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { GitRef } from '../../src/contracts/deployment.ts';
import { failure } from '../../src/errors.ts';
import { runCommand } from '../../src/processes.ts';

const GIT_TIMEOUT_MS = 120_000;
const NAME = /^(\d{1,20})(?:[_-]([\w.-]{1,100}))?\.sql$/;
/** `<mode> <type> <id>\t<path>`; a symbolic link is no file. */
const ENTRY = /^100(?:644|755) blob ([0-9a-f]+)\t(.+)$/s;

export interface MigrationFile {
  /** The file's name without its ending. */
  name: string;
  /** Its leading digits, and what comes after them: how Supabase keeps it. */
  version: string;
  title: string;
  sql(): Promise<string>;
}

export interface Mirror {
  directory: string;
  repository: string;
}

/**
 * The migrations in a folder of a commit, by name; none where the commit does not have the folder.
 * @throws NotFound (permanent) when the repository lacks the commit; Refused (permanent) when a migration's name says no version, or
 * two have one; Unavailable when the repository cannot be read.
 */
export async function migrationFiles(mirror: Mirror, commit: string, folder: string): Promise<MigrationFile[]> {
  const git = await mirrorWith(mirror, commit);
  const under = `${folder.replace(/\/+$/, '')}/`;
  const listed = await git(['ls-tree', '-z', '--full-tree', `${commit}^{commit}`, '--', under]);
  const versions = new Set<string>();
  return listed
    .split('\0')
    .flatMap((entry) => {
      const [, blob, path] = ENTRY.exec(entry) ?? [];
      return blob !== undefined && path?.endsWith('.sql') ? [{ blob, file: path.slice(under.length) }] : [];
    })
    .toSorted((a, b) => (a.file < b.file ? -1 : 1))
    .map(({ blob, file }) => {
      const [, version, title = ''] = NAME.exec(file) ?? [];
      if (version === undefined)
        throw failure('Refused', `${under}${JSON.stringify(file)}: begin the name of a migration with its version`);
      if (versions.has(version)) throw failure('Refused', `${under}: two migrations have the version ${version}`);
      versions.add(version);
      return { name: file.slice(0, -'.sql'.length), version, title, sql: () => git(['cat-file', 'blob', blob]) };
    });
}

type Git = (args: string[]) => Promise<string>;

/** Git on the mirror, which is made or fetched where it lacks the commit. */
async function mirrorWith({ directory, repository }: Mirror, commit: string): Promise<Git> {
  if (!GitRef.safeParse(commit).success) throw failure('Refused', `"${commit.slice(0, 100)}" is not a commit`);
  const mirror = join(directory, 'repository.git');
  const run = async (args: string[]): Promise<string> => {
    const env = { GIT_TERMINAL_PROMPT: '0', GIT_LITERAL_PATHSPECS: '1' };
    const { stdout } = await runCommand({
      command: 'git',
      args,
      env,
      timeoutMs: GIT_TIMEOUT_MS,
      signal: cancellationSignal(),
    });
    return stdout;
  };
  const git: Git = (args) => run(['--git-dir', mirror, ...args]);
  const known = () =>
    git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${commit}^{commit}`]).then(
      () => true,
      () => false,
    );
  const there = existsSync(join(mirror, 'HEAD'));
  if (there && (await known())) return git;
  try {
    if (there) await git(['fetch', '--quiet', '--prune', '--', repository, '+refs/*:refs/*']);
    else await run(['clone', '--quiet', '--mirror', '--', repository, mirror]);
  } catch (error) {
    cancellationSignal().throwIfAborted();
    if (await known()) return git; // another has fetched it meanwhile, and held the lock
    throw failure('Unavailable', `the repository of the releases: ${error instanceof Error ? error.message : ''}`);
  }
  if (!(await known())) throw failure('NotFound', `the repository has no "${commit}"`);
  return git;
}
