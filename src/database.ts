import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationFailure } from '@temporalio/common';
import { Client, DatabaseError, type ClientConfig, type QueryResultRow } from 'pg';
import { failure } from './errors.ts';
import { withoutValues } from './redaction.ts';

/** How Holdfast's own sessions are called, alone or before a space, so that it never counts or ends them. */
export const APPLICATION = 'holdfast';
const CONNECT_MS = 3000;
const CLOSE_MS = 1000;
/** Of this process to one database: where connections are short, who comes to help must not take them. */
const MOST_CONNECTIONS = 2;
/** Shorter than the heartbeats of what acts. */
const TURN_MS = 5000;

/** Short enough that no diagnosis is felt by those who use the database. */
const BOUNDS: ClientConfig = {
  application_name: APPLICATION,
  connectionTimeoutMillis: CONNECT_MS,
  statement_timeout: 4000,
  query_timeout: 6000,
  lock_timeout: 1000,
  idle_in_transaction_session_timeout: 5000,
};

export type Session = Pick<Client, 'query' | 'escapeIdentifier' | 'escapeLiteral'>;

/** SQLSTATE classes whose cause passes: connection, resources, operator, lock not available, serialization. */
const PASSING = /^(08|53|57|40|55P03)/;
const DENIED = /^(28|42501)/;

/** What Postgres refuses, as one of the closed list. The connection string is in no message of the driver. */
export function failureOf(error: unknown): ApplicationFailure {
  const { message } = error instanceof AggregateError ? (error.errors[0] as Error) : (error as Error);
  const text = `database: ${String(message).slice(0, 300)}`;
  if (!(error instanceof DatabaseError)) return failure('Unavailable', text); // it did not get as far as an answer
  const code = error.code ?? '';
  if (PASSING.test(code)) return failure('Unavailable', text);
  if (DENIED.test(code)) return failure('NotAllowed', text);
  return failure('UnexpectedResponse', `${withoutValues(code, text)} (${code})`);
}

interface Turns {
  /** @throws what `until` was aborted with, when it is before a connection is free. */
  take(until: AbortSignal): Promise<void>;
  giveBack(): void;
}
const turnsAt = new Map<string, Turns>();

/** Whose turn it is to connect, first come, first served. */
function turnsOf(connectionString: string): Turns {
  const known = turnsAt.get(connectionString);
  if (known !== undefined) return known;
  let free = MOST_CONNECTIONS;
  const waiting = new Set<() => void>();
  const turns: Turns = {
    async take(until) {
      if (free > 0) return void (free -= 1);
      await new Promise<void>((resolve, reject) => {
        const giveUp = (): void => {
          waiting.delete(go);
          reject(until.reason as Error);
        };
        const go = (): void => {
          until.removeEventListener('abort', giveUp);
          resolve();
        };
        waiting.add(go);
        until.addEventListener('abort', giveUp, { once: true });
      });
    },
    giveBack() {
      const [next] = waiting;
      if (next === undefined) return void (free += 1);
      waiting.delete(next);
      next();
    },
  };
  turnsAt.set(connectionString, turns);
  return turns;
}

/**
 * Do something over one connection of its own, which ends with it; of two that this process has to the database at most. Waits
 * for one of them five seconds, or where there is a `signal` until it says stop; it cancels the statement that runs in the
 * server, too. `act` is told when its connection was begun, by `performance.now()`.
 * @throws RateLimited when both connections stay in use; Unavailable, NotAllowed, UnexpectedResponse; what `act` throws of the
 * closed list comes through.
 */
export async function withSession<T>(
  connectionString: string,
  act: (session: Session, beganAt: number) => Promise<T>,
  bounds: ClientConfig = {},
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const turns = turnsOf(connectionString);
  await turns.take(signal ?? AbortSignal.timeout(TURN_MS)).catch(() => {
    signal?.throwIfAborted();
    throw failure('RateLimited', `database: Holdfast's ${MOST_CONNECTIONS} connections to it are in use`);
  });
  return await connected(connectionString, act, { bounds, ended: () => turns.giveBack(), signal });
}

/** The same, at once; `ended` is told when the server has let the connection go. */
async function connected<T>(
  connectionString: string,
  act: (session: Session, beganAt: number) => Promise<T>,
  of: { bounds?: ClientConfig; ended?: () => void; signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const { bounds, ended, signal } = of;
  const client = new Client({ connectionString, ...BOUNDS, ...bounds });
  client.on('error', () => undefined); // the query tells; a second report of the same would end the worker
  let cancel = (): void => undefined;
  try {
    const beganAt = performance.now();
    signal?.throwIfAborted();
    await client.connect();
    if (signal !== undefined) {
      const [own] = await rowsOf<{ pid: number }>(client, 'select pg_backend_pid() as pid');
      cancel = () =>
        void cancelStatement(connectionString, own?.pid ?? 0).finally(() => client.connection.stream.destroy());
      signal.addEventListener('abort', cancel);
      signal.throwIfAborted();
    }
    return await act(client, beganAt);
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof Error && 'nonRetryable' in error ? error : failureOf(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    void close(client).finally(ended);
  }
}

/** Ends when the server has let the connection go, or after a second. */
async function close(client: Client): Promise<void> {
  const { stream } = client.connection;
  const closed = new Promise<void>((resolve) => void stream.once('close', resolve));
  void client.end().catch(() => undefined);
  if (!stream.closed) await Promise.race([closed, sleep(CLOSE_MS, undefined, { ref: false })]);
  stream.destroy();
}

/** Over a connection more, for a moment: those who have theirs wait for what it ends. */
const cancelStatement = (connectionString: string, pid: number): Promise<unknown> =>
  connected(connectionString, (session) => session.query('select pg_cancel_backend($1)', [pid])).catch(() => undefined);

/** What libpq's programs are told by their environment, so that no password is among their arguments. */
export function libpqEnvironment(connectionString: string): Record<string, string> {
  const { host, port, user, password, database } = new Client({ connectionString });
  const asked = new URL(connectionString).searchParams;
  return Object.fromEntries(
    Object.entries({
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
      PGSSLMODE: asked.get('sslmode'),
      PGSSLROOTCERT: asked.get('sslrootcert'),
      PGCONNECT_TIMEOUT: String(CONNECT_MS / 1000),
    }).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

/** Rows of a query with parameters. */
export const rowsOf = async <R extends QueryResultRow>(
  session: Session,
  sql: string,
  values: unknown[] = [],
): Promise<R[]> => (await session.query<R>(sql, values)).rows;
