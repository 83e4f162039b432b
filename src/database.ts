import type { ApplicationFailure } from '@temporalio/common';
import { Client, DatabaseError, type ClientConfig, type QueryResultRow } from 'pg';
import { failure } from './errors.ts';

/** How Holdfast's own sessions are called, alone or before a space, so that it never counts or ends them. */
export const APPLICATION = 'holdfast';
const CONNECT_MS = 3000;

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
  return failure('UnexpectedResponse', `${text} (${code})`);
}

/**
 * Do something over one connection of its own, which ends with it; `signal` cancels the statement that runs in the server.
 * @throws Unavailable, NotAllowed, UnexpectedResponse; what `act` throws of the closed list comes through.
 */
export async function withSession<T>(
  connectionString: string,
  act: (session: Session) => Promise<T>,
  bounds: ClientConfig = {},
  signal?: AbortSignal,
): Promise<T> {
  const client = new Client({ connectionString, ...BOUNDS, ...bounds });
  client.on('error', () => undefined); // the query tells; a second report of the same would end the worker
  let cancel = (): void => undefined;
  try {
    signal?.throwIfAborted();
    await client.connect();
    if (signal !== undefined) {
      const [own] = await rowsOf<{ pid: number }>(client, 'select pg_backend_pid() as pid');
      cancel = () =>
        void cancelStatement(connectionString, own?.pid ?? 0).finally(() => client.connection.stream.destroy());
      signal.addEventListener('abort', cancel);
      signal.throwIfAborted();
    }
    return await act(client);
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof Error && 'nonRetryable' in error ? error : failureOf(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    void client.end().catch(() => undefined);
  }
}

const cancelStatement = (connectionString: string, pid: number): Promise<unknown> =>
  withSession(connectionString, (session) => session.query('select pg_cancel_backend($1)', [pid])).catch(
    () => undefined,
  );

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
