import { lstat, mkdir, rm, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Have a file there that nobody can read, root neither, and anybody could replace: a link to itself (ELOOP). */
export async function makeUnreadable(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await rm(file, { force: true });
  await symlink(file, file);
}

/** Whether it is what `makeUnreadable` has left. */
export const isUntouched = async (file: string): Promise<boolean> => (await lstat(file)).isSymbolicLink();
