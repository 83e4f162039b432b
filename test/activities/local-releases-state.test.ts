import { join } from 'node:path';
import { readState, writeState } from '../../activities/local-releases/state.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { makeUnreadable } from '../support/unreadable.ts';

let directory: string;
beforeEach(() => (directory = scratchFolder()));
afterEach(() => removeScratch(directory));

it('begins empty, and is what was written afterwards', async () => {
  const empty = await readState(directory);
  expect(empty).toMatchObject({ fence: 0, history: [], done: [] });
  await writeState(directory, { ...empty, fence: 7 });
  expect(await readState(directory)).toMatchObject({ fence: 7 });
});

it('is not taken for empty when it cannot be read', async () => {
  await makeUnreadable(join(directory, 'state.json'));
  await expect(readState(directory)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
});
