import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { failure } from '../../src/errors.ts';
import { checkoutFiles, type Mirror } from '../../src/git.ts';
import { runCommand } from '../../src/processes.ts';

const INSTALL_TIMEOUT_MS = 10 * 60_000;

/**
 * The folder with a commit's files, installed and built. What was prepared once is kept, so that a return to it needs neither the
 * repository nor a registry. Equal lock files are installed once.
 * @throws ReleaseFailed (permanent) when it cannot be installed.
 */
export async function checkout(of: {
  directory: string;
  mirror: Mirror;
  modules: string;
  commit: string;
  install: string[];
  build: string[] | undefined;
  env: Record<string, string>;
}): Promise<string> {
  const { directory, mirror, commit } = of;
  const ready = join(directory, 'checkouts', commit);
  if (existsSync(ready)) return ready;
  const draft = join(directory, 'drafts', commit);
  await rm(join(directory, 'drafts'), { recursive: true, force: true });
  await mkdir(join(directory, 'checkouts'), { recursive: true });
  try {
    await checkoutFiles(mirror, commit, draft);
    await install(draft, of);
    if (of.build !== undefined) await run(draft, of.build, of.env);
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

async function run(cwd: string, [command = '', ...args]: string[], env: Record<string, string>): Promise<void> {
  await runCommand({ command, args, cwd, env, timeoutMs: INSTALL_TIMEOUT_MS, signal: cancellationSignal() });
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
    await run(draft, command, env);
    const installed = join(draft, 'node_modules');
    if (cached === undefined || !existsSync(installed)) return;
    await mkdir(dirname(cached), { recursive: true });
    await rename(installed, cached).catch(() => rm(installed, { recursive: true })); // another environment was first
  }
  await symlink(cached, join(draft, 'node_modules'));
}
