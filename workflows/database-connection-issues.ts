/**
 * Runbook: database connection issues.
 * Trigger   alert `DatabaseConnectionIssues`: 503s, timeouts, slow responses of a service whose database is the suspect.
 * Diagnose  symptoms at the application; Supabase by REST and SQL; use of the pool and of the server's connections; sessions
 *           that hold others up; slow statements.
 * Mitigate  sessions in the way: end them. A slow statement that an index serves: make the index. Clients that wait for a pool
 *           whose connections do not answer: reconnect it. A pool that is merely too small: let it hold more.
 * Verify    errors under the objective, answers quick, nobody waits for a connection, for as long as the configuration says.
 * Source    The user's operational runbook; PostgreSQL manual, chapter 27, "Monitoring Database Activity"; pgbouncer.org/usage.
 */
import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { SessionInTheWay, SlowStatement } from '../src/contracts/index.ts';
import type { ConnectionPool, Database, DatabaseHealth, Health, Metrics } from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const read = proxyLocalActivities<Database & ConnectionPool & DatabaseHealth & Health & Metrics>(kit.diagnostic);
const change = proxyActivities<Database & ConnectionPool>(kit.mitigation);

export const databaseConnectionIssues = kit.defineRunbook(
  { title: 'Database connection issues', alerts: ['DatabaseConnectionIssues'] },
  async function databaseConnectionIssues(run) {
    const { service, environment } = run.incident;
    const scope = { service, environment };
    const window = { ...scope, windowSeconds: run.policy.measure.windowSeconds };
    let pooled = false;

    const diagnose = async () => {
      const [supabase, , , , connections, sessions, pool, statements] = await Promise.all([
        run.check('Supabase connectivity', () => read.supabaseHealth(scope), kit.judgeSupabase),
        run.check('application health', () => read.httpHealth(scope), kit.judgeHealth(run.policy.alertAt.p95Ms)),
        run.check('failed requests', () => read.errorRatio(window), kit.judgeErrorRatio(run.policy)),
        run.check('API response times', () => read.responseTimes(window), kit.judgeResponseTimes(run.policy)),
        run.check('connections of the server', () => read.connectionUse(scope), kit.judgeConnections),
        run.check('sessions in the way', () => read.sessionsInTheWay(scope), kit.judgeInTheWay),
        run.check('connection pool', () => read.poolUse(scope), kit.judgePool),
        run.check('slow statements', () => read.slowStatements(scope), kit.judgeStatements),
      ]);
      pooled = pool.value !== undefined;
      return {
        supabase,
        connections: connections.value,
        sessions: sessions.value,
        pool: pool.value,
        statements: statements.value,
      };
    };

    const propose = ({ connections, sessions, pool, statements, supabase }: Awaited<ReturnType<typeof diagnose>>) => {
      const roots = (sessions ?? []).filter(mayEnd).slice(0, run.policy.maxEnded);
      const slow = statements?.find(({ index }) => index !== undefined);
      const waiting = pool !== undefined && kit.waitsLong(pool);
      const room = connections === undefined ? 0 : connections.max - connections.reserved - connections.used;
      return [
        roots.length > 0 &&
          kit.remedy({
            summary: `End ${roots.length} database ${roots.length === 1 ? 'session that is' : 'sessions that are'} in the way`,
            why: roots.map(
              (one) =>
                `${one.pid} (${one.user}, ${one.application}) is ${one.state} for ${one.seconds} s; ${one.blocks} sessions wait for it`,
            ),
            undo: 'an ended session cannot be brought back; its transaction is rolled back, and its client connects again',
            risk: 'medium',
            action: { kind: 'end-sessions', ...scope, sessions: roots.map(refOf) },
            act: change.endSessions,
          }),
        slow?.index !== undefined &&
          kit.remedy({
            summary: `Make the index ${slow.index.name} on ${slow.index.table}`,
            why: [
              `${slow.calls} × ${slow.meanMs} ms: ${slow.query}`,
              proofOf(slow.index),
              slow.index.statement.slice(0, 500),
            ],
            undo: `drop the index ${slow.index.name}`,
            risk: 'medium',
            action: { kind: 'create-index', ...scope, ...planOf(slow.index) },
            act: change.createIndex,
            undoIt: change.undoCreateIndex,
          }),
        waiting &&
          pool.serversActive < pool.size &&
          kit.remedy({
            summary: `Have the pool ${pool.pool} reconnect`,
            why: [
              `${pool.clientsWaiting} clients wait while ${pool.serversActive} of ${pool.size} connections are in use`,
              supabase.summary,
            ],
            undo: 'nothing to undo: connections are replaced as they come free',
            risk: 'low',
            action: { kind: 'reconnect-pool', ...scope, pool: pool.pool },
            act: change.reconnectPool,
          }),
        waiting &&
          pool.serversActive >= pool.size &&
          room >= pool.size &&
          kit.remedy({
            summary: `Let the pool ${pool.pool} hold ${pool.size * 2} connections instead of ${pool.size}`,
            why: [
              `${pool.clientsWaiting} clients wait and all ${pool.size} connections are in use`,
              `the server has room for ${room} more`,
            ],
            undo: `return to ${pool.size} connections`,
            risk: 'high',
            action: { kind: 'resize-pool', ...scope, pool: pool.pool, from: pool.size, to: pool.size * 2 },
            act: change.resizePool,
            undoIt: change.undoResizePool,
          }),
      ].map((remedy) => remedy || undefined);
    };

    const recovery = async () => {
      const [ratio, times, pool] = await Promise.all([
        read.errorRatio(window),
        read.responseTimes(window),
        pooled ? read.poolUse(scope) : undefined,
      ]);
      return { ratio, times, pool };
    };
    return run.mitigate({ diagnose, propose, verify: () => run.holds(recovery, kit.judgeRecovery(run.policy)) });
  },
);

/** Who waits is a victim: it goes on when the one it waits for has gone. */
const mayEnd = ({ spared, waits }: SessionInTheWay): boolean => spared === undefined && !waits;
const refOf = ({ seconds: _seconds, blocks: _blocks, waits: _waits, spared: _spared, ...ref }: SessionInTheWay) => ref;

type Index = NonNullable<SlowStatement['index']>;
const planOf = ({ costNow: _now, costWith: _with, ...plan }: Index) => plan;
const proofOf = ({ costNow, costWith }: Index): string =>
  costWith === undefined
    ? `unproven (no hypopg): the plan costs ${costNow} and reads the whole table`
    : `proven by a hypothetical index: the plan costs ${costWith} instead of ${costNow}`;
