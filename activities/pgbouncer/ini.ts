/** PgBouncer's configuration file, of which one line is changed so that a size of the pool outlives PgBouncer. */
import { access, chown, constants, readFile, stat } from 'node:fs/promises';
import { failure } from '../../src/errors.ts';
import { writeWhole } from '../../src/processes.ts';

const SIZE = /^[ \t]*default_pool_size[ \t]*=.*$/m;
const SECTION = /^[ \t]*\[pgbouncer\][ \t]*$/m;

/** @throws NotAllowed (permanent) when this worker may not change the file: nothing is done then. */
export async function assertWritable(file: string): Promise<void> {
  await access(file, constants.R_OK | constants.W_OK).catch(() => {
    throw failure(
      'NotAllowed',
      `database.poolFile: ${file} cannot be written; leave it out to change the running pool only`,
    );
  });
}

/** Set `default_pool_size`; the rest of the file, its owner and its mode stay as they are. Returns whether it was another. */
export async function persistSize(file: string, size: number): Promise<boolean> {
  const [text, { mode, uid, gid }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
  const line = `default_pool_size = ${size}`;
  const changed = SIZE.test(text)
    ? text.replace(SIZE, line)
    : text.replace(SECTION, (section) => `${section}\n${line}`);
  if (!SIZE.test(changed)) throw failure('Refused', `${file} has no section [pgbouncer]`);
  if (changed === text) return false;
  await writeWhole(file, changed, mode & 0o777);
  await chown(file, uid, gid);
  return true;
}
