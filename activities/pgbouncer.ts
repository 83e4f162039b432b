/**
 * PgBouncer, through its admin console. The console speaks the simple protocol only, so there are no parameters: names are those
 * of the configuration, which are checked, and numbers are numbers.
 */
import { heartbeat, sleep } from '@temporalio/activity';
import { Client, DatabaseError } from 'pg';
import { z } from 'zod';
import { approvedAction } from '../src/approved.ts';
import {
  ReconnectPool,
  ResizePool,
  type Approval,
  type Effect,
  type PoolUse,
  type Scope,
  type Settings,
} from '../src/contracts/index.ts';
import type { ConnectionPool } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { parsed } from '../src/http.ts';
import { openJournal } from '../src/journal.ts';
import { assertWritable, persistSize } from './pgbouncer/ini.ts';

const BOUND_MS = 3000;
const POLL_MS = 500;
/** How long a connection that is in use when the pool reconnects is waited for. */
const REPLACED_WITHIN_MS = 10_000;

export const env = z.object({
  /** `postgresql://<admin user>:<password>@<host>:<port>/pgbouncer` */
  PGBOUNCER_ADMIN_URL: z.string().min(1),
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
});

const count = z.coerce.number();
const Pools = z.array(
  z.object({
    database: z.string(),
    cl_active: count,
    cl_waiting: count,
    sv_active: count,
    sv_idle: count,
    maxwait: count,
    maxwait_us: count,
  }),
);
const Databases = z.array(z.object({ name: z.string(), pool_size: count }));
const Servers = z.array(z.object({ database: z.string(), close_needed: count, remote_pid: count }));
const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const databaseOf = ({ service, environment }: Scope) =>
    settings.services.find(({ name }) => name === service)?.environments[environment]?.database;
  const poolOf = (scope: Scope): string => {
    const { service, environment } = scope;
    const pool = databaseOf(scope)?.pool;
    if (pool === undefined)
      throw failure('NotConfigured', `${service}/${environment}: database.pool is not configured`);
    return pool;
  };
  const journalOf = (scope: Scope) => openJournal(variables.HOLDFAST_STATE_DIR, 'pool', scope);

  /** One command on the console. @throws Unavailable when it does not answer, Refused when it says no. */
  const ask = async <S extends z.ZodType>(command: string, schema: S): Promise<z.output<S>> => {
    const client = new Client({
      connectionString: variables.PGBOUNCER_ADMIN_URL,
      connectionTimeoutMillis: BOUND_MS,
      query_timeout: BOUND_MS,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      throw failure('Unavailable', `PgBouncer: ${error instanceof Error ? error.message : String(error)}`);
    }
    try {
      return parsed(schema, (await client.query(command)).rows, `PgBouncer: ${command}`);
    } catch (error) {
      if (error instanceof Error && 'nonRetryable' in error) throw error;
      const said = `PgBouncer: ${command}: ${error instanceof Error ? error.message : String(error)}`;
      throw failure(error instanceof DatabaseError ? 'Refused' : 'Unavailable', said);
    } finally {
      void client.end().catch(() => undefined);
    }
  };
  const sizeOf = async (pool: string): Promise<number> => {
    const found = (await ask('SHOW DATABASES', Databases)).find(({ name }) => name === pool);
    if (found === undefined) throw failure('NotFound', `PgBouncer has no database "${pool}"`);
    return found.pool_size;
  };
  /** Set the size where it is another, in the running pool and then in its file. Returns whether either had another. */
  const setSize = async (scope: Scope, pool: string, to: number): Promise<boolean> => {
    const file = databaseOf(scope)?.poolFile;
    if (file !== undefined) await assertWritable(file);
    const before = await sizeOf(pool);
    if (before !== to) await ask(`SET default_pool_size = ${to}`, z.unknown());
    const now = await sizeOf(pool);
    if (now !== to)
      throw failure('Refused', `the pool ${pool} has a size of its own (${now}): change it in pgbouncer.ini`);
    const persisted = file !== undefined && (await persistSize(file, to));
    return before !== to || persisted;
  };
  /** Backends of the pool that are not about to be closed. */
  const serversOf = async (pool: string): Promise<number[]> =>
    (await ask('SHOW SERVERS', Servers))
      .filter(({ database, close_needed: closing }) => database === pool && closing === 0)
      .map(({ remote_pid: pid }) => pid);

  /** Have every client wait until the connections in use come free and are replaced; whatever happens, let them go on. */
  const pauseAndResume = async (pool: string): Promise<void> => {
    try {
      await ask(`PAUSE ${pool}`, z.unknown());
    } finally {
      await ask(`RESUME ${pool}`, z.unknown());
    }
  };
  /** Wait, a while, until these backends have gone. */
  const replaced = async (pool: string, backends: number[]): Promise<number> => {
    const deadline = Date.now() + REPLACED_WITHIN_MS;
    for (;;) {
      heartbeat();
      const all = (await ask('SHOW SERVERS', Servers)).filter(({ database }) => database === pool);
      const left = all.filter(({ remote_pid: pid }) => backends.includes(pid)).length;
      if (left === 0 || Date.now() > deadline) return left;
      await sleep(POLL_MS);
    }
  };

  return {
    async poolUse(scope: Scope): Promise<PoolUse> {
      const pool = poolOf(scope);
      const [size, pools] = [await sizeOf(pool), await ask('SHOW POOLS', Pools)];
      const rows = pools.filter(({ database }) => database === pool);
      return {
        pool,
        size,
        clientsActive: sum(rows.map((row) => row.cl_active)),
        clientsWaiting: sum(rows.map((row) => row.cl_waiting)),
        maxWaitMs: Math.max(0, ...rows.map((row) => row.maxwait * 1000 + Math.round(row.maxwait_us / 1000))),
        serversActive: sum(rows.map((row) => row.sv_active)),
        serversIdle: sum(rows.map((row) => row.sv_idle)),
      };
    },
    /**
     * Replace the pool's connections as they come free, and wait up to ten seconds for those in use. Idempotent on `approval.id`:
     * an attempt that was cut short has replaced them or not, and a pause that it left is ended. Heartbeats twice a second.
     * @throws Fenced, NotFound, Refused (permanent); Unavailable when a pause found connections that do not come free.
     */
    async reconnectPool(approval: Approval<ReconnectPool>): Promise<Effect> {
      const { pool, pause = false, ...scope } = approvedAction(ReconnectPool, approval);
      if (pool !== poolOf(scope)) throw failure('StaleApproval', `the pool is ${poolOf(scope)} now, not ${pool}`);
      const journal = journalOf(scope);
      const note = (await serversOf(pool)).join();
      const { stage, summary } = await journal.begin({ key: approval.id, fence: approval.fence, note });
      if (stage === 'done') return { changed: false, summary };
      const before = summary.split(',').map(Number);
      if (stage === 'begun' && pause) await ask(`RESUME ${pool}`, z.unknown()).catch(() => undefined);
      const still = (await serversOf(pool)).some((pid) => before.includes(pid));
      if (stage === 'new' || still) await (pause ? pauseAndResume(pool) : ask(`RECONNECT ${pool}`, z.unknown()));
      const old = await replaced(pool, before);
      const done = `the pool ${pool} reconnects${old === 0 ? '' : `; ${old} connections are still in use and go when they are free`}`;
      await journal.done(approval.id, done);
      return { changed: true, summary: done };
    },
    /**
     * Idempotent on `approval.id`: what an attempt that was cut short has left out, the file too, is done by the next.
     * @throws StaleApproval (permanent) when the pool has another size than `from`.
     */
    async resizePool(approval: Approval<ResizePool>): Promise<Effect> {
      const { pool, from, to, ...scope } = approvedAction(ResizePool, approval);
      const journal = journalOf(scope);
      const now = await sizeOf(pool);
      if (now !== from && !(now === to && (await journal.knows(approval.id))))
        throw failure('StaleApproval', `the pool ${pool} holds ${now} connections, not ${from}`);
      const { stage, summary } = await journal.begin({ key: approval.id, fence: approval.fence });
      if (stage === 'done') return { changed: false, summary };
      await setSize(scope, pool, to);
      const done = `the pool ${pool} holds ${to} connections instead of ${from}`;
      await journal.done(approval.id, done);
      return { changed: true, summary: done };
    },
    /**
     * Return to the size before, once. Nothing happens when it was not changed for this.
     * @throws Fenced (permanent) when a later change has acted since; StaleApproval when it has another size now.
     */
    async undoResizePool(approval: Approval<ResizePool>): Promise<Effect> {
      const { pool, from, to, ...scope } = approvedAction(ResizePool, approval);
      const journal = journalOf(scope);
      if (!(await journal.knows(approval.id)))
        return { changed: false, summary: `the pool ${pool} was not resized: nothing to undo` };
      const key = `${approval.id}:undo`;
      const { stage, summary } = await journal.begin({ key, fence: approval.fence });
      if (stage === 'done') return { changed: false, summary };
      const now = await sizeOf(pool);
      if (now !== from && now !== to)
        throw failure('StaleApproval', `the pool ${pool} holds ${now} connections, not ${to}`);
      const changed = await setSize(scope, pool, from);
      const done = `the pool ${pool} holds ${from} connections again`;
      await journal.done(key, done);
      return { changed, summary: done };
    },
  } satisfies ConnectionPool;
}
