/**
 * The application's Postgres, over Holdfast's own role (`supabase/roles.sql`): never more than two connections of a
 * worker, every statement bounded. Reads tell; what changes is re-checked in the statement that changes it.
 */
import { sleep } from '@temporalio/activity';
import { z } from 'zod';
import { approvedAction } from '../src/approved.ts';
import { beating } from '../src/beating.ts';
import {
  ConnectionUse,
  CreateIndex,
  EndSessions,
  type Approval,
  type DiskUse,
  type Effect,
  type IndexPlan,
  type Scope,
  type SessionInTheWay,
  type Settings,
  type SlowStatement,
} from '../src/contracts/index.ts';
import type { DatabaseCapacity, DatabaseIndexes, DatabaseSessions } from '../src/contracts/ports.ts';
import { rowsOf, withSession } from '../src/database.ts';
import { failure } from '../src/errors.ts';
import { openJournal } from '../src/journal.ts';
import { checkedPlan, dropStatement, slowStatements, stateOfIndex } from './postgres/indexes.ts';
import { Served, improvement, servedBy, servedSince } from './postgres/served.ts';
import { sessionsInTheWay, stillThere, terminate } from './postgres/sessions.ts';

const LOOK_MS = 1000;
/** Making an index takes as long as it takes; it waits for locks, so that nobody waits for it. */
const BUILDING = { statement_timeout: 0, query_timeout: 0, lock_timeout: 5000, idle_in_transaction_session_timeout: 0 };

export const env = z.object({
  SUPABASE_DB_URL: z.string().min(1),
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
});

export function createActivities(
  { SUPABASE_DB_URL: url, HOLDFAST_STATE_DIR }: z.output<typeof env>,
  settings: Settings,
) {
  const configOf = ({ service, environment }: Scope) => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
    return of.database;
  };
  const journalOf = (scope: Scope) => openJournal(HOLDFAST_STATE_DIR, 'database', scope);

  /** Become the owner of the tables and make or drop an index; with heartbeats until it is done. */
  const asOwner = async (scope: Scope, statement: string): Promise<void> => {
    const { ownerRole } = configOf(scope);
    if (ownerRole === undefined)
      throw failure('NotConfigured', `${scope.service}: set database.ownerRole to make indexes`);
    return await beating(async () => {
      await withSession(
        url,
        async (session) => {
          await session.query(`set role ${session.escapeIdentifier(ownerRole)}`);
          await session.query(statement);
        },
        BUILDING,
      );
    });
  };
  /**
   * An earlier attempt's statement goes on in the server when its worker is killed, or its time is up: wait for it, for hours where
   * it takes them, and keep no connection meanwhile. @throws Unavailable
   */
  const built = (plan: CreateIndex) =>
    beating(async () => {
      for (;;) {
        const state = await withSession(url, (session) => stateOfIndex(session, plan));
        if (state.vacuuming)
          throw failure('Unavailable', `autovacuum is at work on ${plan.table}; an index made now would cut it short`);
        if (!state.building) return state;
        await sleep(LOOK_MS);
      }
    });

  /** Plan, cost and time of the statement that an index is for, before and now. */
  const improvedBy = async (action: CreateIndex, plan: IndexPlan, before: Served | undefined): Promise<string> => {
    const { ownerRole } = configOf(action);
    if (before === undefined || ownerRole === undefined) return '';
    const after = await beating(() => withSession(url, (session) => servedSince(session, before, plan, ownerRole)));
    return `: ${improvement(before, after)}`;
  };

  return {
    async connectionUse(): Promise<ConnectionUse> {
      return await withSession(url, async (session) => {
        const [counts] = await rowsOf(
          session,
          `select current_setting('max_connections')::int as max,
             current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
             count(*) filter (where backend_type = 'client backend')::int as used,
             count(*) filter (where backend_type = 'walsender')::int as replication,
             count(*) filter (where backend_type = 'autovacuum worker')::int as autovacuum from pg_stat_activity`,
        );
        const groups = await rowsOf(
          session,
          `select coalesce(usename, '') as user, application_name as application, coalesce(state, '') as state, count(*)::int as count
           from pg_stat_activity where backend_type = 'client backend' group by 1, 2, 3 order by count desc limit 10`,
        );
        return ConnectionUse.parse({ ...counts, groups });
      });
    },
    /** The databases of the server and its write-ahead log. */
    async diskUse(scope: Scope): Promise<DiskUse> {
      const [row] = await withSession(url, (session) =>
        rowsOf<{ bytes: string }>(
          session,
          `select (select sum(pg_database_size(oid)) from pg_database) + (select coalesce(sum(size), 0) from pg_ls_waldir()) as bytes`,
        ),
      );
      const { diskGiB } = configOf(scope);
      return { usedBytes: Number(row?.bytes), ...(diskGiB !== undefined && { sizeBytes: diskGiB * 2 ** 30 }) };
    },
    async sessionsInTheWay(scope: Scope): Promise<SessionInTheWay[]> {
      return await withSession(url, (session) => sessionsInTheWay(session, configOf(scope).longSeconds));
    },
    async slowStatements(scope: Scope): Promise<SlowStatement[]> {
      return await withSession(url, (session) => slowStatements(session, configOf(scope)));
    },
    /**
     * End the approved sessions. Idempotent on `approval.id`: a pid that belongs to another session by now is left alone, and
     * what an attempt that was cut short has ended counts as done.
     * @throws StaleApproval (permanent) when one of them has gone or gone on to another transaction; nothing was ended then.
     */
    async endSessions(approval: Approval<EndSessions>): Promise<Effect> {
      const action = approvedAction(EndSessions, approval);
      if (action.sessions.length > configOf(action).maxEnded)
        throw failure('Refused', `${action.sessions.length} sessions are more than database.maxEnded allows`);
      const journal = journalOf(action);
      return await withSession(url, async (session) => {
        const there = await stillThere(session, action.sessions);
        const { stage, summary } = await journal.begin({ key: approval.id, fence: approval.fence });
        if (stage === 'done') return { changed: false, summary };
        if (stage === 'new' && there.length < action.sessions.length) {
          const gone = action.sessions.filter(({ pid }) => !there.includes(pid)).map(({ pid }) => pid);
          throw failure('StaleApproval', `sessions ${gone.join(', ')} are no longer what they were; none was ended`);
        }
        const ended = await terminate(session, action.sessions);
        const left = there.filter((pid) => !ended.includes(pid));
        if (left.length > 0) throw failure('Unavailable', `sessions ${left.join(', ')} have not ended yet`);
        const done = `ended ${action.sessions.map(({ pid, user }) => `${pid} (${user})`).join(', ')}`;
        await journal.done(approval.id, done);
        return { changed: true, summary: done };
      });
    },
    /**
     * Make the approved index without keeping anybody from writing, and tell plan, cost and time of its statement before and
     * after, as far as they can be read. Idempotent by its name: what a failed build left is dropped first, and one that is under
     * way is waited for. Heartbeats every second.
     * @throws StaleApproval (permanent) when the table is gone or has the index already; NotAllowed; Unavailable when a lock was
     * not to be had.
     */
    async createIndex(approval: Approval<CreateIndex>): Promise<Effect> {
      const action = approvedAction(CreateIndex, approval);
      const plan = checkedPlan(action);
      const journal = journalOf(action);
      const { index, table } = await built(action);
      if (!table) throw failure('StaleApproval', `there is no table ${plan.schema}.${plan.table}`);
      const begun = await journal.knows(approval.id);
      if (index === 'valid' && !begun)
        throw failure('StaleApproval', `${plan.name} is there already; another has made it`);
      const slow = begun
        ? undefined
        : await beating(() => withSession(url, (session) => servedBy(session, plan, configOf(action)))).catch(
            () => undefined,
          );
      const note = JSON.stringify(slow ?? null);
      const { stage, summary } = await journal.begin({ key: approval.id, fence: approval.fence, note });
      if (stage === 'done') return { changed: false, summary };
      const startedAt = Date.now();
      if (index === 'invalid') await asOwner(action, dropStatement(plan));
      if (index !== 'valid') await asOwner(action, plan.statement);
      const after = await withSession(url, (session) => stateOfIndex(session, plan));
      if (after.index !== 'valid') throw failure('Unavailable', `the index ${plan.name} did not become valid`);
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
      const before = Served.safeParse(JSON.parse(summary || 'null')).data;
      const done = `made ${plan.name} in ${seconds} s${await improvedBy(action, plan, before).catch(() => '')}`;
      await journal.done(approval.id, done);
      return { changed: true, summary: done };
    },
    /**
     * Drop the index again, once. Nothing happens when it is not there or was not made for this.
     * @throws Fenced (permanent) when a later change has acted since.
     */
    async undoCreateIndex(approval: Approval<CreateIndex>): Promise<Effect> {
      const action = approvedAction(CreateIndex, approval);
      const plan = checkedPlan(action);
      const { index } = await built(action);
      const journal = journalOf(action);
      if (index === 'none' || !(await journal.knows(approval.id)))
        return { changed: false, summary: `${plan.name} was not made: nothing to undo` };
      const key = `${approval.id}:undo`;
      const { stage, summary } = await journal.begin({ key, fence: approval.fence });
      if (stage === 'done') return { changed: false, summary };
      await asOwner(action, dropStatement(plan));
      const done = `dropped ${plan.name}`;
      await journal.done(key, done);
      return { changed: true, summary: done };
    },
  } satisfies DatabaseCapacity & DatabaseSessions & DatabaseIndexes;
}
