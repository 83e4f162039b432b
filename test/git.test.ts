import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkoutFiles, commitOf, filesOf, mirrorOf, textOf } from '../src/git.ts';
import { createRepository, scope } from './activities/git-rig.ts';
import { removeScratch, scratchFolder } from './embedded/scratch.ts';

const folder = scratchFolder();
afterAll(() => removeScratch(folder));

it('reads the files of a commit, and lays them out as they were then', async () => {
  const repository = await createRepository(folder);
  const files = { 'sql/0002.sql': 'select 2;\n', 'sql/0001 é.sql': 'select 1;\n', 'other.txt': 'x' };
  await repository.commit('Begin', files, 'v1');
  await repository.commit('Go on', { 'sql/0002.sql': 'select 3;\n' });
  const mirror = mirrorOf(folder, scope, repository.path, new AbortController().signal);
  const commit = await commitOf(mirror, 'v1');
  expect(await filesOf(mirror, commit, 'sql')).toEqual(['sql/0001 é.sql', 'sql/0002.sql']);
  expect(await filesOf(mirror, commit, 'none')).toEqual([]);
  expect(await textOf(mirror, commit, 'sql/0002.sql')).toBe('select 2;');
  const tree = join(folder, 'checkout');
  await checkoutFiles(mirror, commit, tree);
  expect(await readdir(tree)).toEqual(['other.txt', 'sql']);
  expect(await readFile(join(tree, 'sql', '0002.sql'), 'utf8')).toBe('select 2;\n');
});
