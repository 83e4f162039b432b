/** Whether the application's Supabase answers, by REST and by SQL. */
import { Client } from 'pg';
import { z } from 'zod';
import type { SupabaseHealth } from '../src/contracts/index.ts';
import type { DatabaseHealth } from '../src/contracts/ports.ts';
import { request } from '../src/http.ts';

const REST_MS = 4000;
const SQL_MS = 3000;

export const env = z.object({
  SUPABASE_URL: z.url(),
  SUPABASE_SECRET_KEY: z.string().min(1),
  SUPABASE_DB_URL: z.string().min(1).optional(),
});

/** Time an attempt; what it fails with is its detail. */
async function reach(attempt: () => Promise<void>): Promise<SupabaseHealth['rest']> {
  const startedAt = performance.now();
  const [ok, detail] = await attempt().then(
    () => [true, ''] as const,
    (error: unknown) => [false, describe(error)] as const,
  );
  return { ok, ms: Math.round((performance.now() - startedAt) * 10) / 10, detail };
}

/** The text of a failure, without what a connection string would tell. An `AggregateError` has its text inside. */
const describe = (error: unknown): string => {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const text = inner instanceof Error ? inner.message : String(inner);
  return text.replace(/\/\/[^@\s/]*@/g, '//').slice(0, 300);
};

export function createActivities(variables: z.output<typeof env>) {
  const { SUPABASE_URL, SUPABASE_SECRET_KEY, SUPABASE_DB_URL } = variables;

  const rest = async (): Promise<void> => {
    const response = await request(new URL('/rest/v1/', SUPABASE_URL).href, {
      what: 'Supabase REST',
      headers: { apikey: SUPABASE_SECRET_KEY },
      signal: AbortSignal.timeout(REST_MS),
    });
    await response.body?.cancel();
  };

  const sql = async (connectionString: string): Promise<void> => {
    const client = new Client({ connectionString, connectionTimeoutMillis: SQL_MS, query_timeout: SQL_MS });
    client.on('error', () => undefined); // the query tells; a second report of the same would end the worker
    try {
      await client.connect();
      await client.query('select 1');
    } finally {
      void client.end().catch(() => undefined);
    }
  };

  return {
    /** Ask both at once. What does not answer is `ok: false` with its reason, not a failure: that is the finding. */
    async supabaseHealth(): Promise<SupabaseHealth> {
      const [byRest, bySql] = await Promise.all([
        reach(rest),
        SUPABASE_DB_URL === undefined ? undefined : reach(() => sql(SUPABASE_DB_URL)),
      ]);
      return { rest: byRest, ...(bySql === undefined ? {} : { sql: bySql }) };
    },
  } satisfies DatabaseHealth;
}
