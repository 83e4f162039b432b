/** What an index has done for the statement that it was made for: plan, cost and time, before and after. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { IndexPlan } from '../../src/contracts/index.ts';
import { rowsOf, type Session } from '../../src/database.ts';
import { explain, indexFor, schemaOf, slowest, type PlanNode } from './indexes.ts';

/** How long a run of the statement with its index is waited for. */
const RUNS_WITHIN_MS = 2000;
const AGAIN_MS = 200;

/** A statement as it is planned, and how long it has taken on average over how many runs. */
export const Served = z.object({
  id: z.string(),
  query: z.string(),
  scan: z.string(),
  cost: z.number(),
  runs: z.number(),
  meanMs: z.number(),
});
export type Served = z.output<typeof Served>;

/** The slowest statement that this index is to serve; undefined where it is none of the slow ones any more. */
export async function servedBy(
  session: Session,
  plan: IndexPlan,
  { slowMs, ownerRole }: { slowMs: number; ownerRole?: string | undefined },
): Promise<Served | undefined> {
  const schema = await schemaOf(session, 'pg_stat_statements');
  if (schema === undefined || ownerRole === undefined) return undefined;
  for (const { id, query, calls, mean } of await slowest(session, schema, slowMs)) {
    const index = await indexFor(session, query, ownerRole).catch(() => undefined);
    if (index?.name === plan.name)
      return { id, query, ...(await planned(session, query, ownerRole, plan)), runs: calls, meanMs: mean };
  }
  return undefined;
}

/** The same statement now, and the runs of it since, for which it waits two seconds at most. */
export async function servedSince(
  session: Session,
  before: Served,
  plan: IndexPlan,
  ownerRole: string,
): Promise<Served> {
  const schema = (await schemaOf(session, 'pg_stat_statements')) ?? 'public';
  const counted = async (): Promise<{ calls: number; total: number }> => {
    const [row] = await rowsOf<{ calls: number; total: number }>(
      session,
      `select coalesce(sum(calls), 0)::float as calls, coalesce(sum(total_exec_time), 0) as total
       from ${schema}.pg_stat_statements s join pg_database d on d.oid = s.dbid
       where datname = current_database() and queryid::text = $1`,
      [before.id],
    );
    return row ?? { calls: 0, total: 0 };
  };
  const from = await counted();
  let to = from;
  for (const until = Date.now() + RUNS_WITHIN_MS; to.calls <= from.calls && Date.now() < until; to = await counted())
    await sleep(AGAIN_MS);
  const runs = Math.max(0, to.calls - from.calls);
  const meanMs = runs === 0 ? 0 : (to.total - from.total) / runs;
  return { ...before, ...(await planned(session, before.query, ownerRole, plan)), runs, meanMs };
}

/** For people. */
export const improvement = (before: Served, after: Served): string => `${shown(before)} → ${shown(after)}`;
const shown = ({ scan, cost, runs, meanMs }: Served): string =>
  `${scan}, cost ${cost}, ${runs === 0 ? 'no run yet' : `${runs} × ${meanMs.toFixed(meanMs < 10 ? 2 : 0)} ms`}`;

async function planned(
  session: Session,
  query: string,
  ownerRole: string,
  plan: IndexPlan,
): Promise<Pick<Served, 'scan' | 'cost'>> {
  await session.query('begin read only');
  try {
    await session.query(`set local role ${session.escapeIdentifier(ownerRole)}`);
    const root = await explain(session, query);
    return { scan: scanOf(root, plan), cost: Math.round(root['Total Cost']) };
  } finally {
    await session.query('rollback');
    await session.query('deallocate all');
  }
}

/** How the table of the index is read. */
function scanOf(root: PlanNode, { table, name }: IndexPlan): string {
  const all = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(all)];
  const nodes = all(root);
  const byIndex = nodes.find((node) => node['Index Name'] === name);
  if (byIndex !== undefined) return `${byIndex['Node Type']} using ${name}`;
  return `${nodes.find((node) => node['Relation Name'] === table)?.['Node Type'] ?? root['Node Type']} on ${table}`;
}
