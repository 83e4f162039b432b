import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { failure } from '../../src/errors.ts';
import { runCommand } from '../../src/processes.ts';

const REF = /^[A-Za-z0-9][\w./-]{0,99}$/;
const GIT_TIMEOUT_MS = 120_000;
const INSTALL_TIMEOUT_MS = 10 * 60_000;

const git = async (args: string[], env: Record<string, string> = {}): Promise<string> => {
  const { stdout } = await runCommand({
    command: 'git',
    args,
    env: { GIT_TERMINAL_PROMPT: '0', ...env },
    timeoutMs: GIT_TIMEOUT_MS,
    signal: cancellationSignal(),
  });
  return stdout.trim();
};

/**
 * The commit that a tag, branch or commit id names now.
 * @throws Refused (permanent) when it cannot be a ref; NotFound (permanent) when the repository does not have it;
 * Unavailable (transient) when the repository cannot be read.
 */
export async function commitOf(directory: string, repository: string, ref: string): Promise<string> {
  if (!REF.test(ref) || ref.includes('..')) throw failure('Refused', `"${ref.slice(0, 100)}" is not a git ref`);
  const mirror = join(directory, 'repository.git');
  try {
    if (existsSync(join(mirror, 'HEAD')))
      await git(['--git-dir', mirror, 'fetch', '--quiet', '--prune', '--', repository, '+refs/*:refs/*']);
    else await git(['clone', '--quiet', '--mirror', '--', repository, mirror]);
  } catch (error) {
    throw failure('Unavailable', `the repository of the releases: ${error instanceof Error ? error.message : ''}`);
  }
  try {
    return await git(['--git-dir', mirror, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`]);
  } catch {
    throw failure('NotFound', `the repository has no "${ref}"`);
  }
}

/**
 * The folder with a commit's files, installed. What was prepared once is kept, so that a return to it needs neither the
 * repository nor a registry. Equal lock files are installed once.
 * @throws ReleaseFailed (permanent) when it cannot be installed.
 */
export async function checkout(of: {
  directory: string;
  modules: string;
  commit: string;
  install: string[];
  env: Record<string, string>;
}): Promise<string> {
  const { directory, commit } = of;
  const ready = join(directory, 'checkouts', commit);
  if (existsSync(ready)) return ready;
  const draft = join(directory, 'drafts', commit);
  const mirror = join(directory, 'repository.git');
  await rm(join(directory, 'drafts'), { recursive: true, force: true });
  await Promise.all([draft, join(directory, 'checkouts')].map((each) => mkdir(each, { recursive: true })));
  const index = { GIT_INDEX_FILE: join(directory, 'drafts', 'index') };
  try {
    await git(['--git-dir', mirror, 'read-tree', commit], index);
    await git(['--git-dir', mirror, '--work-tree', draft, 'checkout-index', '--all'], index);
    await install(draft, of);
  } catch (error) {
    if (cancellationSignal().aborted) throw error;
    throw failure(
      'ReleaseFailed',
      `commit ${commit.slice(0, 12)} cannot be installed: ${error instanceof Error ? error.message : ''}`,
    );
  }
  await rename(draft, ready);
  return ready;
}

async function install(
  draft: string,
  { modules, install: command, env }: { modules: string; install: string[]; env: Record<string, string> },
): Promise<void> {
  const lock = await readFile(join(draft, 'package-lock.json')).catch(() => undefined);
  const digest = createHash('sha256').update(JSON.stringify([command, process.version, process.arch]));
  const cached =
    lock === undefined ? undefined : join(modules, digest.update(lock).digest('hex').slice(0, 32), 'node_modules'); // packages find each other by this name
  if (cached === undefined || !existsSync(cached)) {
    const [program = '', ...args] = command;
    await runCommand({
      command: program,
      args,
      cwd: draft,
      env,
      timeoutMs: INSTALL_TIMEOUT_MS,
      signal: cancellationSignal(),
    });
    const installed = join(draft, 'node_modules');
    if (cached === undefined || !existsSync(installed)) return;
    await mkdir(dirname(cached), { recursive: true });
    await rename(installed, cached).catch(() => rm(installed, { recursive: true })); // another environment was first
  }
  await symlink(cached, join(draft, 'node_modules'));
}
