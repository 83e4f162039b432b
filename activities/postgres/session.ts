import { Client, DatabaseError, type ClientConfig, type QueryResultRow } from 'pg';
import { failure } from '../../src/errors.ts';

/** How Holdfast's own sessions are called, so that it never counts or ends them. */
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
export function failureOf(error: unknown): Error {
  const { message } = error instanceof AggregateError ? (error.errors[0] as Error) : (error as Error);
  const text = `database: ${String(message).slice(0, 300)}`;
  if (!(error instanceof DatabaseError)) return failure('Unavailable', text); // it did not get as far as an answer
  const code = error.code ?? '';
  if (PASSING.test(code)) return failure('Unavailable', text);
  if (DENIED.test(code)) return failure('NotAllowed', text);
  return failure('UnexpectedResponse', `${text} (${code})`);
}

/**
 * Do something over one connection of its own, which ends with it. @throws Unavailable, NotAllowed, UnexpectedResponse; what
 * `act` throws of the closed list comes through.
 */
export async function withSession<T>(
  connectionString: string,
  act: (session: Session) => Promise<T>,
  bounds: ClientConfig = {},
): Promise<T> {
  const client = new Client({ connectionString, ...BOUNDS, ...bounds });
  client.on('error', () => undefined); // the query tells; a second report of the same would end the worker
  try {
    await client.connect();
    return await act(client);
  } catch (error) {
    throw error instanceof Error && 'nonRetryable' in error ? error : failureOf(error);
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** Rows of a query with parameters. */
export const rowsOf = async <R extends QueryResultRow>(
  session: Session,
  sql: string,
  values: unknown[] = [],
): Promise<R[]> => (await session.query<R>(sql, values)).rows;
