/** A bare git repository, made in the test, and a tree beside it in which commits are made and pushed. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Settings } from '../../src/contracts/index.ts';
import { runCommand } from '../../src/processes.ts';
import { settings as base } from './settings.ts';

export const scope = { service: 'shop', environment: 'production' };

/** The settings of the shop with its releases from a repository; `deployment` is laid over what it has. */
export function settingsFor(repository: string, deployment: object = {}): Settings {
  const settings = structuredClone(base);
  const environment = settings.services[0]?.environments['production'];
  if (environment === undefined) throw new Error('the settings have no production');
  const releases = { repository, server: 'shop', listen: '127.0.0.1:0', env: {}, install: ['true'], start: ['true'] };
  environment.releases = { ...releases, instances: 1, maxInstances: 1 };
  Object.assign(environment.deployment, deployment);
  return settings;
}

export const anEnvironment = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
export const asActivity = <T>(act: () => Promise<T>): Promise<T> => anEnvironment().run(act) as Promise<T>;

export async function createRepository(folder: string) {
  const path = join(folder, 'origin.git');
  const tree = join(folder, 'tree');
  const git = async (...args: string[]): Promise<string> => {
    const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@shop.example'];
    return (await runCommand({ command: 'git', args: ['-C', tree, ...identity, ...args] })).stdout.trim();
  };
  await mkdir(tree, { recursive: true });
  await git('init', '--quiet', '--initial-branch=main');
  await git('init', '--quiet', '--bare', '--initial-branch=main', path);
  const push = () =>
    git('push', '--quiet', '--force', path, '--all').then(() => git('push', '--quiet', path, '--tags'));
  return {
    path,
    git,
    push,
    /** Commit files on the branch that is checked out, push it, and return the commit's id. */
    async commit(message: string, files: Record<string, string> = {}, ...tags: string[]): Promise<string> {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(tree, name)), { recursive: true });
        await writeFile(join(tree, name), text);
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', message);
      for (const tag of tags) await git('tag', tag);
      await push();
      return await git('rev-parse', 'HEAD');
    },
    /** The commit that a branch of the repository is at; empty where it has none. */
    at: (branch: string): Promise<string> =>
      runCommand({ command: 'git', args: ['--git-dir', path, 'rev-parse', '--verify', '--quiet', branch] }).then(
        ({ stdout }) => stdout.trim(),
        () => '',
      ),
  };
}
export type Repository = Awaited<ReturnType<typeof createRepository>>;
