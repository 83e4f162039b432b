/**
 * Runbook: database connection issues.
 * Trigger   alert `DatabaseConnectionIssues`: 503s, timeouts, slow responses of a service whose database is the suspect.
 * Diagnose  symptoms at the application; Supabase by REST and SQL; use of the pool and of the server's connections; sessions
 *           that hold others up; slow statements; disk; what Supabase says of a project that it hosts.
 * Mitigate  a release that leaks connections: roll it back. Sessions in the way: end them. A slow statement that an index serves: make the index. Clients that wait for a pool
 *           whose connections do not answer: reconnect it. A pool that is merely too small: let it hold more.
 *           A server without room for more, hosted: larger compute.
 * Verify    connections succeed, errors under the objective, answers quick, nobody waits for a connection, for as long as the
 *           configuration says.
 * Source    The user's operational runbook; PostgreSQL manual, chapter 27, "Monitoring Database Activity"; pgbouncer.org/usage.
 */
import { patched, proxyActivities, proxyLocalActivities, sleep } from '@temporalio/workflow';
import type { ConnectionUse, PoolUse, Release, SessionInTheWay } from '../src/contracts/index.ts';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

type Reads = ports.DatabaseCapacity & ports.DatabaseSessions & ports.DatabaseIndexes & ports.ConnectionPool;
const db = proxyLocalActivities<Reads & ports.HostedDatabase>(kit.diagnostic);
const app = proxyLocalActivities<ports.DatabaseHealth & ports.Health & ports.Metrics & ports.Deployments>(
  kit.diagnostic,
);
const change = proxyActivities<Reads & ports.HostedDatabase & ports.Deployments>(kit.mitigation);
const building = proxyActivities<ports.DatabaseIndexes>(kit.longWork);

/** So many forgotten transactions of one application are a leak; ending them gives it more to leak. */
const LEAK = 3;

export const databaseConnectionIssues = kit.defineRunbook(
  { title: 'Database connection issues', alerts: ['DatabaseConnectionIssues'] },
  async function databaseConnectionIssues(run) {
    const { service, environment } = run.incident;
    const scope = { service, environment };
    const window = { ...scope, windowSeconds: run.policy.measure.windowSeconds };
    const { longSeconds, maxEnded, restartBy, hosted } = run.policy.database;
    const pause = restartBy === 'pause';
    let [pooled, asked] = [false, false];

    const diagnose = async () => {
      const now = Date.now();
      const inTheWay = (when: string) =>
        run.check(`sessions in the way${when}`, () => db.sessionsInTheWay(scope), kit.judgeInTheWay);
      const [supabase, connections, sessions, pool, statements, releases, capacity] = await Promise.all([
        run.check('Supabase connectivity', () => app.supabaseHealth(scope), kit.judgeSupabase),
        run.check('connections of the server', () => db.connectionUse(scope), kit.judgeConnections(run.policy)),
        inTheWay(''),
        run.check('connection pool', () => db.poolUse(scope), kit.judgePool(run.policy)),
        run.check('slow statements', () => db.slowStatements(scope), kit.judgeStatements),
        run.check('recent deployments', () => app.recentReleases(scope), kit.judgeReleases(now)),
        hosted
          ? run.check('hosted capacity', () => db.hostedCapacity(scope), kit.judgeHostedCapacity(run.policy))
          : undefined,
        run.check('application health', () => app.httpHealth(scope), kit.judgeHealth(run.policy.alertAt.p95Ms)),
        run.check('failed requests', () => app.errorRatio(window), kit.judgeErrorRatio(run.policy)),
        run.check('API response times', () => app.responseTimes(window), kit.judgeResponseTimes(run.policy)),
        hosted ? undefined : run.check('disk', () => db.diskUse(scope), kit.judgeDisk(run.policy)),
        hosted ? run.check('hosted services', () => db.hostedServices(scope), kit.judgeHostedServices) : undefined,
        hosted ? run.check('hosted advisors', () => db.hostedAdvice(scope), kit.judgeAdvice) : undefined,
      ]);
      [pooled, asked] = [pool.value !== undefined, supabase.value !== undefined];
      const young = idle(sessions.value ?? []).length < LEAK && forgotten(run.policy, connections.value, pool.value);
      if (young) await sleep(`${longSeconds} seconds`); // they become what they are by lasting
      const held = young ? (await inTheWay(', after a while')).value : sessions.value;
      const { running } = releases.value ?? {};
      const leaked = running === undefined ? [] : leaks(held ?? [], running);
      const compared = leaked.length === 0 ? undefined : await kit.returnTo(run, releases.value);
      return {
        supabase,
        connections: connections.value,
        sessions: held,
        leaked,
        compared,
        mayReturn: await kit.isServed(run, compared?.previous),
        pool: pool.value,
        statements: statements.value,
        capacity: capacity?.value,
      };
    };

    const propose = (found: Awaited<ReturnType<typeof diagnose>>) => {
      const { connections, sessions, leaked, pool, statements, supabase, capacity } = found;
      const { running, previous, between = [] } = found.compared ?? {};
      const roots = (sessions ?? []).filter(mayEnd).slice(0, maxEnded);
      const slow = statements?.find(({ index }) => index !== undefined);
      const waiting = pool !== undefined && kit.waitsLong(pool, run.policy);
      const room = connections === undefined ? 0 : connections.max - connections.reserved - connections.used;
      return [
        running !== undefined &&
          previous !== undefined &&
          found.mayReturn &&
          kit.rollBackTo({
            scope,
            running,
            previous,
            between,
            why: leaked.map(
              ({ pid, application, seconds, query }) =>
                `${pid} (${application}) forgot its transaction ${seconds} s ago, after ${running.version} went live: ${query}`,
            ),
            by: change,
          }),
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
          kit.makeIndex({
            scope,
            index: slow.index,
            why: [`${slow.calls} × ${slow.meanMs} ms: ${slow.query}`],
            by: building,
          }),
        waiting &&
          pool.serversActive < pool.size &&
          kit.remedy({
            summary: pause
              ? `Pause the pool ${pool.pool}, replace its connections, and let it go on`
              : `Have the pool ${pool.pool} reconnect`,
            why: [
              `${pool.clientsWaiting} clients wait while ${pool.serversActive} of ${pool.size} connections are in use`,
              supabase.summary,
            ],
            undo: 'nothing to undo: connections are replaced as they come free',
            risk: pause ? 'medium' : 'low',
            action: { kind: 'reconnect-pool', ...scope, pool: pool.pool, ...(pause && { pause }) },
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
        capacity?.larger !== undefined &&
          connections !== undefined &&
          (room <= 0 || (waiting && room < pool.size)) &&
          kit.remedy({
            summary: `Run ${capacity.project} on ${capacity.larger.compute} instead of ${capacity.compute}`,
            why: [
              `${connections.used} of ${connections.max - connections.reserved} connections are in use`,
              `it costs ${capacity.larger.price}; the database restarts, and is away for up to four minutes`,
            ],
            undo: `return to ${capacity.compute}, with another restart`,
            risk: 'high',
            action: {
              kind: 'resize-compute',
              ...scope,
              project: capacity.project,
              from: capacity.compute,
              to: capacity.larger.compute,
            },
            act: change.resizeCompute,
            undoIt: change.undoResizeCompute,
          }),
      ].map((remedy) => remedy || undefined);
    };

    const recovery = async () => {
      const [ratio, times, pool, supabase] = await Promise.all([
        app.errorRatio(window),
        app.responseTimes(window),
        pooled ? db.poolUse(scope) : undefined,
        asked && (run.returnsToGood || patched('verify-connections')) ? app.supabaseHealth(scope) : undefined,
      ]);
      return { ratio, times, pool, supabase };
    };
    return run.mitigate({ diagnose, propose, verify: () => run.holds(recovery, kit.judgeRecovery(run.policy)) });
  },
);

/** Who waits is a victim: it goes on when the one it waits for has gone. */
const mayEnd = ({ spared, waits }: SessionInTheWay): boolean => spared === undefined && !waits;
const refOf = ({ seconds: _s, blocks: _b, waitedSeconds: _ws, waits: _w, spared: _sp, ...ref }: SessionInTheWay) => ref;

/** Whether much of the pool is held by transactions in which nothing happens. */
const forgotten = (policy: kit.Limited, connections?: ConnectionUse, pool?: PoolUse): boolean => {
  const full = pool !== undefined && (kit.waitsLong(pool, policy) || pool.serversActive >= pool.size);
  return full && idle(connections?.groups ?? []).some(({ count }) => count * 2 >= pool.size);
};
const idle = <Of extends { state: string }>(all: Of[]): Of[] =>
  all.filter(({ state }) => state.startsWith('idle in transaction'));

/** Sessions of one application that began a transaction under the running release and forgot it, where they are many. */
const leaks = (sessions: SessionInTheWay[], { deployedAt }: Release): SessionInTheWay[] => {
  const since = idle(sessions).filter((one) => mayEnd(one) && (one.xactStart ?? '') > deployedAt);
  const [most = []] = [...Map.groupBy(since, ({ application }) => application).values()].toSorted(
    (a, b) => b.length - a.length,
  );
  return most.length >= LEAK ? most : [];
};
