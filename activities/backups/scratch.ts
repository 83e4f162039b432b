/** A database that lives as long as a proof. */
import { failureOf, rowsOf, withSession, type Session } from '../../src/database.ts';
import { failure } from '../../src/errors.ts';
import type { Origin } from './contents.ts';

const PATIENT = { statement_timeout: 60_000, query_timeout: 65_000 };

/** The connection string of another database on the same server. */
export function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}

/**
 * Do something with a new database made like the origin, with its extensions and schemas, which is dropped afterwards. One of
 * this name that a killed worker left is dropped first, whoever uses it.
 * @throws Refused (permanent) when the server's own database is the origin; NotConfigured (permanent) when the server lacks a
 * locale or a role of it.
 */
export async function withScratch<T>(
  of: { serverUrl: string; name: string; origin: Origin; schemas: string[]; signal: AbortSignal },
  act: (missing: string[]) => Promise<T>,
): Promise<T> {
  const { serverUrl, name, origin, schemas, signal } = of;
  await withSession(serverUrl, (server) => assertFit(server, origin), {}, signal);
  await dropScratch(serverUrl, name);
  try {
    await withSession(serverUrl, (server) => create(server, name, origin), PATIENT, signal);
    const missing = await withSession(
      urlOf(serverUrl, name),
      (database) => furnish(database, origin, schemas),
      PATIENT,
      signal,
    );
    return await act(missing);
  } finally {
    await dropScratch(serverUrl, name);
  }
}

const dropScratch = (serverUrl: string, name: string): Promise<unknown> =>
  withSession(
    serverUrl,
    (server) => server.query(`drop database if exists ${server.escapeIdentifier(name)} with (force)`),
    PATIENT,
  );

async function assertFit(server: Session, origin: Origin): Promise<void> {
  const [own] = await rowsOf<{ system: string; database: string }>(
    server,
    'select system_identifier::text as system, current_database() as database from pg_control_system()',
  );
  if (own?.system === origin.system && own.database === origin.database)
    throw failure('Refused', `BACKUP_SCRATCH_DB_URL is the database that was backed up (${origin.database})`);
  const roles = await rowsOf<{ name: string }>(
    server,
    'select name from unnest($1::text[]) as name where name not in (select rolname from pg_roles)',
    [origin.roles],
  );
  if (roles.length > 0)
    throw failure('NotConfigured', `the scratch server lacks roles: ${roles.map(({ name }) => name).join(', ')}`);
}

async function create(server: Session, name: string, origin: Origin): Promise<void> {
  const { encoding, collate, ctype, provider, locale } = origin;
  const literal = (value: string) => server.escapeLiteral(value);
  const byProvider = {
    c: 'locale_provider libc',
    i: `locale_provider icu icu_locale ${literal(locale ?? '')}`,
    b: `locale_provider builtin builtin_locale ${literal(locale ?? '')}`,
  };
  const like = `encoding ${literal(encoding)} lc_collate ${literal(collate)} lc_ctype ${literal(ctype)}`;
  try {
    await server.query(
      `create database ${server.escapeIdentifier(name)} template template0 ${like} ${provider === undefined ? '' : byProvider[provider]}`,
    );
  } catch (error) {
    const known = failureOf(error);
    if (known.type !== 'UnexpectedResponse') throw known;
    throw failure('NotConfigured', `the scratch server makes no database like ${origin.database}: ${known.message}`);
  }
}

/** Returns the extensions that the server does not have: whether the dump needs them is seen when it is restored. */
async function furnish(database: Session, { extensions }: Origin, schemas: string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const schema of [...schemas, ...extensions.map((extension) => extension.schema)])
    await database.query(`create schema if not exists ${database.escapeIdentifier(schema)}`);
  for (const { name, schema } of extensions) {
    const [extension, into] = [name, schema].map((each) => database.escapeIdentifier(each));
    await database
      .query(`create extension if not exists ${extension} schema ${into} cascade`)
      .catch(() => missing.push(name));
  }
  return missing;
}
