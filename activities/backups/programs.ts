/** Postgres's own `pg_dump` and `pg_restore`. The password reaches them by their environment only. */
import { join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { libpqEnvironment } from '../../src/database.ts';
import { failure, type FailureType } from '../../src/errors.ts';
import { runCommand } from '../../src/processes.ts';

const LOCK_MS = 5000;
const SCHEMA_ENTRY = /^\d+; \d+ \d+ SCHEMA - /;

/** What they say about a cause that passes, a right that is missing, a program that is too old; else the failure is the caller's. */
const SAID: [RegExp, FailureType][] = [
  [/server version mismatch/, 'NotConfigured'],
  [/password authentication failed|permission denied|row-level security/, 'NotAllowed'],
  [/connection to server|server closed the connection|terminating connection|lock timeout|deadlock/, 'Unavailable'],
  [/no matching schemas/, 'NotFound'],
  [/No space left|too many clients|canceling statement/, 'Unavailable'],
];

export interface Programs {
  /** Write these schemas as of a snapshot into a file, in Postgres's custom format. */
  dump(of: { url: string; application: string; snapshot: string; schemas: string[]; file: string }): Promise<void>;
  /** The entries of a dump without its schemas, which the database has by then, as `restore` takes them. @throws NotProved */
  entries(file: string): Promise<string>;
  /** @throws NotProved (permanent) when the database refuses what the dump holds. */
  restore(of: { url: string; database: string; list: string; file: string }): Promise<void>;
}

/** `folder` is where the programs are; else they are searched in `PATH`. */
export function createPrograms(folder: string | undefined): Programs {
  const run = async (program: string, args: string[], env: Record<string, string>, otherwise: FailureType) => {
    const command = folder === undefined ? program : join(folder, program);
    try {
      return await runCommand({ command, args, env: { LC_MESSAGES: 'C', ...env }, signal: cancellationSignal() });
    } catch (error) {
      cancellationSignal().throwIfAborted();
      const [first = '', ...said] = (error instanceof Error ? error.message : String(error)).split('\n');
      if (/\b(ENOENT|EACCES)\b/.test(first))
        throw failure('NotConfigured', `${program} cannot be run: set PG_CLIENT_DIR to where Postgres's programs are`);
      const text = said.length > 0 ? said.join('\n') : first;
      const type = SAID.find(([pattern]) => pattern.test(text))?.[1] ?? otherwise;
      throw failure(type, `${program}: ${text.slice(0, 500)}`);
    }
  };
  return {
    async dump({ url, application, snapshot, schemas, file }) {
      const patterns = schemas.map((schema) => `--schema="${schema.replaceAll('"', '""')}"`);
      const plain = ['--no-owner', '--no-privileges', '--no-password', '--strict-names'];
      const args = ['--format=custom', `--snapshot=${snapshot}`, ...patterns, ...plain];
      await run(
        'pg_dump',
        [...args, `--lock-wait-timeout=${LOCK_MS}`, `--file=${file}`],
        { ...libpqEnvironment(url), PGAPPNAME: application },
        'UnexpectedResponse',
      );
    },
    async entries(file) {
      const { stdout } = await run('pg_restore', ['--list', file], {}, 'NotProved');
      return stdout
        .split('\n')
        .filter((line) => !SCHEMA_ENTRY.test(line))
        .join('\n');
    },
    async restore({ url, database, list, file }) {
      const plain = ['--no-owner', '--no-privileges', '--no-password', '--exit-on-error'];
      await run(
        'pg_restore',
        [`--dbname=${database}`, `--use-list=${list}`, ...plain, file],
        libpqEnvironment(url),
        'NotProved',
      );
    },
  };
}
