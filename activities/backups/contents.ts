/** What a database holds, so that two can be compared. */
import { z } from 'zod';
import { rowsOf, type Session } from '../../src/database.ts';

/** Rows of one table and a checksum of them that does not depend on their order: the sum of the first halves of their MD5. */
export const Table = z.object({
  schema: z.string(),
  name: z.string(),
  rows: z.number().int(),
  checksum: z.string(),
});
export type Table = z.output<typeof Table>;

/** What a database must be made like before it can take the dump: `--schema` leaves extensions and roles out. */
export const Origin = z.object({
  /** The server's own number and the database on it. */
  system: z.string(),
  database: z.string(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** `c` libc, `i` ICU, `b` the server's own; absent before Postgres 15. */
  provider: z.enum(['c', 'i', 'b']).optional(),
  locale: z.string().optional(),
  extensions: z.array(z.object({ name: z.string(), schema: z.string() })),
  /** Roles that row level security names. */
  roles: z.array(z.string()),
});
export type Origin = z.output<typeof Origin>;

/** A row reads the same in every session; no row is hidden without an error. */
const SAME_EVERYWHERE = Object.entries({
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  search_path: 'pg_catalog',
  row_security: 'off',
})
  .map(([name, value]) => `set local ${name} = '${value}';`)
  .join(' ');

/** Begin to read the database as it is at this moment, until the session ends. */
export async function beginSnapshot(session: Session): Promise<string> {
  await session.query(`begin isolation level repeatable read read only; ${SAME_EVERYWHERE}`);
  const [row] = await rowsOf<{ id: string }>(session, 'select pg_export_snapshot() as id');
  return row?.id ?? '';
}

/** Every table and partition of these schemas, by name; not those of extensions. Needs `beginSnapshot`. */
export async function contentsOf(session: Session, schemas: string[]): Promise<Table[]> {
  const named = await rowsOf<{ schema: string; name: string }>(
    session,
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind in ('r', 'p') and not exists (
       select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     order by n.nspname collate "C", c.relname collate "C"`,
    [schemas],
  );
  const tables: Table[] = [];
  for (const { schema, name } of named) {
    const quoted = `${session.escapeIdentifier(schema)}.${session.escapeIdentifier(name)}`;
    const [sum] = await rowsOf<{ rows: string; checksum: string }>(
      session,
      `select count(*) as rows, coalesce(sum(('x' || left(md5((t.*)::text), 16))::bit(64)::bigint), 0) as checksum
       from only ${quoted} as t`,
    );
    tables.push({ schema, name, rows: Number(sum?.rows), checksum: sum?.checksum ?? '' });
  }
  return tables;
}

export async function originOf(session: Session, schemas: string[]): Promise<Origin> {
  const [row] = await rowsOf<{ origin: unknown }>(
    session,
    `select jsonb_strip_nulls(jsonb_build_object(
       'system', (select system_identifier::text from pg_control_system()), 'database', datname,
       'encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype,
       'provider', to_jsonb(d) ->> 'datlocprovider',
       'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
       'extensions', (select coalesce(jsonb_agg(jsonb_build_object('name', extname, 'schema', nspname)), '[]')
         from pg_extension e join pg_namespace n on n.oid = e.extnamespace where extname <> 'plpgsql'),
       'roles', (select coalesce(jsonb_agg(distinct rolname), '[]') from pg_policy p join pg_roles r on r.oid = any (polroles)
         join pg_class c on c.oid = polrelid join pg_namespace n on n.oid = relnamespace where nspname = any ($1)))) as origin
     from pg_database d where datname = current_database()`,
    [schemas],
  );
  return Origin.parse(row?.origin);
}

/** The first table in which two databases differ, in words; undefined when they hold the same. */
export function firstDifference(taken: Table[], restored: Table[]): string | undefined {
  const nameOf = ({ schema, name }: Table): string => `${schema}.${name}`;
  const found = new Map(restored.map((table) => [nameOf(table), table]));
  for (const table of taken) {
    const other = found.get(nameOf(table));
    if (other === undefined) return `${nameOf(table)} was not restored`;
    if (other.rows !== table.rows)
      return `${nameOf(table)} had ${table.rows} rows when it was taken and has ${other.rows} restored`;
    if (other.checksum !== table.checksum) return `the rows of ${nameOf(table)} are not those that were taken`;
    found.delete(nameOf(table));
  }
  const [more] = found.keys();
  return more === undefined ? undefined : `${more} was restored, but not taken`;
}
