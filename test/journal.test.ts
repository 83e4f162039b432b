import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openJournal } from '../src/journal.ts';
import { removeScratch, scratchFolder } from './embedded/scratch.ts';
import { isUntouched, makeUnreadable } from './support/unreadable.ts';

const scope = { service: 'shop', environment: 'production' };
let stateDir: string;
beforeEach(() => (stateDir = scratchFolder()));
afterEach(() => removeScratch(stateDir));

const journal = () => openJournal(stateDir, 'pool', scope);

it('knows nothing before the first change, and afterwards what was begun and done', async () => {
  expect(await journal().knows('a')).toBe(false);
  expect(await journal().begin({ key: 'a', fence: 3, note: 'before' })).toEqual({ stage: 'new', summary: 'before' });
  expect(await journal().begin({ key: 'a', fence: 3 })).toMatchObject({ stage: 'begun', summary: 'before' });
  await journal().done('a', 'it holds 40');
  expect(await journal().begin({ key: 'a', fence: 3 })).toMatchObject({ stage: 'done', summary: 'it holds 40' });
  await expect(journal().begin({ key: 'b', fence: 2 })).rejects.toMatchObject({ type: 'Fenced', nonRetryable: true });
});

it('does not forget fences and keys when its file cannot be read', async () => {
  const file = join(stateDir, 'pool', 'shop.production.json');
  await makeUnreadable(file);
  const away = { type: 'Unavailable', nonRetryable: false };
  await expect(journal().begin({ key: 'a', fence: 1 })).rejects.toMatchObject(away);
  await expect(journal().knows('a')).rejects.toMatchObject(away);
  await expect(journal().done('a', 'done')).rejects.toMatchObject(away);
  expect(await isUntouched(file)).toBe(true);
  await expect(readFile(file)).rejects.toMatchObject({ code: 'ELOOP' });
});
