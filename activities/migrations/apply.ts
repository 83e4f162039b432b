/** Applied migrations as Supabase's CLI keeps them, and how one is applied. */
import { z } from 'zod';
import { failureOf, rowsOf, type Session } from '../../src/database.ts';
import { failure } from '../../src/errors.ts';
import type { MigrationFile } from './files.ts';
import type { Lone, Reading } from './statements.ts';

/** Any two workers agree on this, so that only one applies at a time. */
const LOCK = 'holdfast.migrations';
const TABLE = 'supabase_migrations.schema_migrations';

const Applied = z.object({
  version: z.string(),
  name: z.string().nullable(),
  /** What it was; unknown where another tool has noted only that it was. */
  sql: z.string().nullable(),
});
export type Applied = z.output<typeof Applied>;

export type Pending = MigrationFile & Reading & { text: string };

/** What the database has, in order. */
export async function appliedMigrations(session: Session): Promise<Applied[]> {
  const columns = await rowsOf<{ name: string }>(
    session,
    'select attname as name from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped',
    [TABLE],
  );
  if (columns.length === 0) return [];
  const has = (column: string): boolean => columns.some(({ name }) => name === column);
  const [name, sql] = [
    has('name') ? 'name' : 'null',
    has('statements') ? `array_to_string(statements, e'\\n;\\n')` : 'null',
  ];
  const rows = await rowsOf(
    session,
    `select version, ${name} as name, ${sql} as sql from ${TABLE} order by version collate "C"`,
  );
  return z.array(Applied).parse(rows);
}

/** Take the lock that the session's end releases; false while another has it. */
export async function tryLock(session: Session): Promise<boolean> {
  const [row] = await rowsOf<{ taken: boolean }>(
    session,
    'select pg_try_advisory_lock(hashtextextended($1, 0)) as taken',
    [LOCK],
  );
  return row?.taken === true;
}

/** Make the table of applied migrations where it or a column of it is missing. Source: Supabase CLI, `pkg/migration`. */
export const prepareTable = (session: Session): Promise<unknown> =>
  session.query(`
    create schema if not exists supabase_migrations;
    create table if not exists ${TABLE} (version text not null primary key);
    alter table ${TABLE} add column if not exists statements text[];
    alter table ${TABLE} add column if not exists name text;`);

/**
 * Apply one migration and note it. A statement of a worker that is killed is ended by the server two seconds later, where it can.
 * @throws Refused (permanent) when Postgres refuses it, and nothing of it stays; Unavailable when a lock was not to be had.
 */
export async function apply(session: Session, migration: Pending): Promise<void> {
  await session.query(
    `select set_config(name, '2s', false) from pg_settings where name = 'client_connection_check_interval'`,
  );
  try {
    if (migration.lone === undefined) {
      await session.query('begin');
      await session.query(migration.text);
      // What it has set for its session is not to reach further.
      await session.query('reset session authorization; reset role; reset all');
      await note(session, migration);
      await session.query('commit');
      return;
    }
    await session.query('set lock_timeout = 0'); // while it waits for others, nobody waits for it
    for (const each of migration.lone) await applyLone(session, each);
    await session.query('reset all');
    await note(session, migration);
  } catch (error) {
    await session.query('rollback').catch(() => undefined);
    const { type, message } = failureOf(error);
    const known = type === 'NotAllowed' || type === 'Unavailable' ? type : 'Refused';
    throw failure(known, `migration ${migration.name} was not applied: ${message}`);
  }
}

const note = (session: Session, { version, title, text }: Pending): Promise<unknown> =>
  session.query(`insert into ${TABLE} (version, name, statements) values ($1, $2, $3)`, [version, title, [text]]);

/** An index that an earlier attempt has made is let be; one that it left invalid is made anew. */
async function applyLone(session: Session, { statement, makes }: Lone): Promise<void> {
  const [index] =
    makes === undefined
      ? []
      : await rowsOf<{ valid: boolean; schema: string }>(
          session,
          `select i.indisvalid as valid, n.nspname as schema from pg_index i
           join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
           where c.relname = $1 and i.indrelid = to_regclass($2)`,
          [makes.name, makes.table.map((part) => session.escapeIdentifier(part)).join('.')],
        );
  if (index?.valid === true) return;
  if (index !== undefined && makes !== undefined)
    await session.query(
      `drop index concurrently ${session.escapeIdentifier(index.schema)}.${session.escapeIdentifier(makes.name)}`,
    );
  await session.query(statement);
}
