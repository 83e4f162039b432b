/** From slow statements to the index that serves them. Identifiers come from the catalogue only, quoted; values are parameters. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { CreateIndex, IndexPlan, SlowStatement } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { rowsOf, type Session } from '../../src/database.ts';

const LOOKED_AT = 5;
const LOOK_MS = 2000;
const AGAIN_MS = 200;
const COLUMNS = 3;
/** Without hypopg to prove it, a smaller table is read faster than an index is thought of. */
const ROWS_UNPROVEN = 10_000;
/** A hypothetical index must make the plan this much cheaper. */
const CHEAPER = 0.5;

export interface PlanNode {
  'Node Type': string;
  'Total Cost': number;
  'Relation Name'?: string;
  'Index Name'?: string;
  Schema?: string;
  Alias?: string;
  Filter?: string;
  Plans?: PlanNode[];
}
const Plan = z.array(z.object({ Plan: z.custom<PlanNode>((value) => typeof value === 'object') })).length(1);

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The statement that makes an index; everything in it follows from schema, table and columns. */
export function indexPlan(schema: string, table: string, columns: string[]): IndexPlan {
  const digest = createHash('sha256')
    .update(JSON.stringify([schema, table, columns]))
    .digest('hex')
    .slice(0, 8);
  const name = `${`${table}_${columns.join('_')}`.replaceAll(/\W+/g, '_').slice(0, 40)}_${digest}_idx`;
  const on = `${quoted(schema)}.${quoted(table)} (${columns.map(quoted).join(', ')})`;
  return {
    schema,
    table,
    columns,
    name,
    statement: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${quoted(name)} ON ${on}`,
  };
}

/** The same plan, if this is what follows from its parts. @throws NotAllowed when the statement is another. */
export function checkedPlan({ schema, table, columns, name, statement }: CreateIndex): IndexPlan {
  const plan = indexPlan(schema, table, columns);
  if (plan.name !== name || plan.statement !== statement)
    throw failure('NotAllowed', 'the statement is not the one that makes this index');
  return plan;
}

/** The schema of an extension, quoted; undefined where it is not installed. */
export async function schemaOf(session: Session, extension: string): Promise<string | undefined> {
  const rows = await rowsOf<{ schema: string }>(
    session,
    'select quote_ident(nspname) as schema from pg_extension join pg_namespace n on n.oid = extnamespace where extname = $1',
    [extension],
  );
  return rows[0]?.schema;
}

/** Which of the statements run now, or ran within two seconds: the counts are since they were reset, which may be long ago. */
async function running(session: Session, schema: string, ids: string[]): Promise<Set<string>> {
  const ran = new Set<string>();
  const look = async (): Promise<Map<string, number>> => {
    const rows = await rowsOf<{ id: string; calls: number; active: boolean }>(
      session,
      `select queryid::text as id, calls::float as calls,
         exists (select from pg_stat_activity a where a.query_id = s.queryid and a.state = 'active') as active
       from ${schema}.pg_stat_statements s join pg_database d on d.oid = s.dbid
       where datname = current_database() and queryid::text = any ($1)`,
      [ids],
    );
    for (const { id, active } of rows) if (active) ran.add(id);
    return new Map(rows.map(({ id, calls }) => [id, calls]));
  };
  const before = await look();
  for (const until = Date.now() + LOOK_MS; ran.size < ids.length && Date.now() < until;) {
    await sleep(AGAIN_MS);
    for (const [id, calls] of await look()) if (calls > (before.get(id) ?? calls)) ran.add(id);
  }
  return ran;
}

export interface Counted {
  id: string;
  query: string;
  calls: number;
  mean: number;
  total: number;
}

/** Those that cost most of the statements slower than `slowMs` on average, by the counts of pg_stat_statements in this schema. */
export const slowest = (session: Session, schema: string, slowMs: number): Promise<Counted[]> =>
  rowsOf<Counted & Record<string, unknown>>(
    session,
    `select queryid::text as id, query, calls::float as calls, mean_exec_time as mean, total_exec_time as total
     from ${schema}.pg_stat_statements s join pg_database d on d.oid = s.dbid
     where datname = current_database() and mean_exec_time > $1 and query ~* '^\\s*select' and query !~* '\\mpg_'
     order by total_exec_time desc limit ${LOOKED_AT}`,
    [slowMs],
  );

/**
 * The slowest statements. With `ownerRole` they are explained, to find an index. Takes two seconds where one of them does not
 * run now.
 */
export async function slowStatements(
  session: Session,
  { slowMs, ownerRole }: { slowMs: number; ownerRole?: string | undefined },
): Promise<SlowStatement[]> {
  const schema = await schemaOf(session, 'pg_stat_statements');
  if (schema === undefined) throw failure('NotConfigured', 'database: the extension pg_stat_statements is missing');
  const rows = await slowest(session, schema, slowMs);
  const statements: SlowStatement[] = [];
  const ran = await running(
    session,
    schema,
    rows.map(({ id }) => id),
  );
  for (const { id, query, calls, mean, total } of rows) {
    const index =
      ownerRole === undefined ? undefined : await indexFor(session, query, ownerRole).catch(() => undefined);
    statements.push({
      query: query.replaceAll(/\s+/g, ' ').slice(0, 300),
      calls,
      meanMs: Math.round(mean),
      totalMs: Math.round(total),
      ran: ran.has(id),
      ...(index === undefined ? {} : { index }),
    });
  }
  return statements;
}

/** The index that would spare a sequential scan, if there is one; proven where hypopg is there. Nothing is executed or kept. */
export async function indexFor(session: Session, query: string, ownerRole: string): Promise<SlowStatement['index']> {
  const hypothetical = await schemaOf(session, 'hypopg');
  await session.query('begin read only');
  try {
    await session.query(`set local role ${session.escapeIdentifier(ownerRole)}`);
    const before = await explain(session, query);
    let found: Awaited<ReturnType<typeof candidate>>;
    for (const scan of scansOf(before)) found ??= await candidate(session, scan);
    if (found === undefined) return undefined;
    const { rows, ...plan } = found;
    const costNow = Math.round(before['Total Cost']);
    if (hypothetical === undefined) return rows < ROWS_UNPROVEN ? undefined : { ...plan, costNow };
    const plain = plan.statement.replace(/^CREATE INDEX CONCURRENTLY IF NOT EXISTS "(?:[^"]|"")*"/, 'CREATE INDEX');
    await session.query(`select ${hypothetical}.hypopg_create_index($1)`, [plain]);
    const costWith = Math.round((await explain(session, query))['Total Cost']);
    return costWith < costNow * CHEAPER ? { ...plan, costNow, costWith } : undefined;
  } finally {
    if (hypothetical !== undefined) await session.query(`select ${hypothetical}.hypopg_reset()`).catch(() => undefined);
    await session.query('rollback');
    await session.query('deallocate all');
  }
}

/** Explain a statement whose values are not known. By the extended protocol it can be one statement only, and it is not executed. */
export async function explain(session: Session, query: string): Promise<PlanNode> {
  await session.query('set local plan_cache_mode = force_generic_plan');
  const alone = { text: `prepare holdfast_explained as ${query}`, queryMode: 'extended' };
  await session.query(alone);
  const values = Math.max(0, ...[...query.matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)));
  const nulls = values === 0 ? '' : `(${Array.from({ length: values }, () => 'null').join(', ')})`;
  const [row] = await rowsOf<Record<string, unknown>>(
    session,
    `explain (format json, verbose) execute holdfast_explained${nulls}`,
  );
  await session.query('deallocate holdfast_explained'); // it would keep its plan
  return (Plan.parse(row?.['QUERY PLAN'])[0] as { Plan: PlanNode }).Plan;
}

const scansOf = (node: PlanNode): PlanNode[] => [
  ...(node['Node Type'].endsWith('Seq Scan') && node.Filter !== undefined ? [node] : []),
  ...(node.Plans ?? []).flatMap(scansOf),
];

/** Columns of a scanned table that its filter compares for equality, as an index, with the table's rows. */
async function candidate(session: Session, scan: PlanNode): Promise<(IndexPlan & { rows: number }) | undefined> {
  const { Schema: schema, 'Relation Name': table, Alias: alias, Filter: filter = '' } = scan;
  const columns = await rowsOf<{ name: string; quoted: string; alias: string; rows: number }>(
    session,
    `select attname as name, quote_ident(attname) as quoted, quote_ident($3) as alias, reltuples::float as rows
     from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
     where nspname = $1 and relname = $2 and relkind in ('r', 'm') and attnum > 0 and not attisdropped order by attnum`,
    [schema, table, alias],
  );
  const compared = columns.filter(({ quoted: name, alias: of }) =>
    new RegExp(`\\(${literally(of)}\\.${literally(name)}\\)?(::[\\w ]+)? = `).test(filter),
  );
  if (schema === undefined || table === undefined || compared.length === 0) return undefined;
  const chosen = compared.slice(0, COLUMNS).map(({ name }) => name);
  return { ...indexPlan(schema, table, chosen), rows: columns[0]?.rows ?? 0 };
}

/**
 * `valid`, `invalid` (a build that failed or is under way), or none; whether it is being built (what nobody can see yet may be
 * it), and its table vacuumed, now.
 */
export async function stateOfIndex(
  session: Session,
  { schema, table, name }: IndexPlan,
): Promise<{ index: 'valid' | 'invalid' | 'none'; building: boolean; vacuuming: boolean; table: boolean }> {
  const [row] = await rowsOf<{ valid: boolean | null; building: boolean; vacuuming: boolean; table: boolean }>(
    session,
    `select (select i.indisvalid from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = t.oid and x.relname = $3) as valid,
       exists (select 1 from pg_stat_progress_create_index p left join pg_class x on x.oid = p.index_relid
         where p.relid = t.oid and coalesce(x.relname = $3, true)) as building,
       exists (select 1 from pg_stat_progress_vacuum where relid = t.oid)
         or exists (select 1 from pg_stat_progress_analyze where relid = t.oid) as vacuuming,
       t.oid is not null as table
     from (select (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where nspname = $1 and relname = $2 and relkind in ('r', 'm')) as oid) as t`,
    [schema, table, name],
  );
  const valid = row?.valid ?? null;
  return {
    index: valid === null ? 'none' : valid ? 'valid' : 'invalid',
    building: row?.building === true,
    vacuuming: row?.vacuuming === true,
    table: row?.table === true,
  };
}

export const dropStatement = ({ schema, name }: IndexPlan): string =>
  `drop index concurrently if exists ${quoted(schema)}.${quoted(name)}`;
