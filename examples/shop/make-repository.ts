/**
 * Make the shop's git repository, a bare one: `node examples/shop/make-repository.ts <path>`. Its releases are the tags v1 (the
 * files beside this one) and, each made from v1 by its patches, what is in `releases/`. The same files make the same commits;
 * again changes nothing.
 */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runCommand } from '../../src/processes.ts';

const HERE = import.meta.dirname;
const FILES = [
  '.gitignore',
  '.npmrc',
  'package.json',
  'package-lock.json',
  'server.ts',
  'app.ts',
  'checkout.test.ts',
  'checkout.ts',
  'client.js',
  'config.ts',
  'errors.ts',
  'flags.ts',
  'metrics.ts',
  'orders.ts',
  'page.ts',
  'store.ts',
  'supabase',
  'verify.ts',
];
const AUTHOR = { name: 'Ada Marsh', email: 'ada@shop.example', date: '2026-01-12T09:30:00Z' };

/** Nothing of this machine's configuration gets into the commits. */
const IDENTITY = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: AUTHOR.name,
  GIT_AUTHOR_EMAIL: AUTHOR.email,
  GIT_AUTHOR_DATE: AUTHOR.date,
  GIT_COMMITTER_NAME: AUTHOR.name,
  GIT_COMMITTER_EMAIL: AUTHOR.email,
  GIT_COMMITTER_DATE: AUTHOR.date,
};

/** Make it, or bring its tags up to date. Other branches of it stay as they are. */
export async function makeRepository(path: string): Promise<void> {
  const draft = await mkdtemp(join(tmpdir(), 'shop-'));
  const git = (...args: string[]) => runCommand({ command: 'git', args, cwd: draft, env: IDENTITY });
  try {
    await git('init', '--quiet', '--initial-branch=main');
    for (const file of FILES) await cp(join(HERE, file), join(draft, file), { recursive: true });
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'Sell kitchenware');
    await git('tag', 'v1');
    for (const release of (await readdir(join(HERE, 'releases'))).toSorted()) {
      const folder = join(HERE, 'releases', release);
      const patches = (await readdir(folder)).toSorted().map((patch) => join(folder, patch));
      await git('checkout', '--quiet', '--detach', 'v1');
      await git('am', '--quiet', '--committer-date-is-author-date', '--', ...patches);
      await git('tag', release);
    }
    await git('init', '--quiet', '--bare', '--initial-branch=main', resolve(path));
    await git('push', '--quiet', '--force', resolve(path), 'main', '--tags');
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const path = process.argv[2];
  if (path === undefined) throw new Error('usage: node examples/shop/make-repository.ts <path>');
  void makeRepository(path);
}
