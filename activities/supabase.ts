/** Whether the application's Supabase answers, by REST and by SQL. */
import { z } from 'zod';
import type { SupabaseHealth } from '../src/contracts/index.ts';
import type { DatabaseHealth } from '../src/contracts/ports.ts';
import { withSession } from '../src/database.ts';
import { request } from '../src/http.ts';
import { keyHeaders } from '../src/supabase-key.ts';

const REST_MS = 4000;
const SQL_MS = 3000;

export const env = z.object({
  SUPABASE_URL: z.url(),
  SUPABASE_SECRET_KEY: z.string().min(1),
  SUPABASE_DB_URL: z.string().min(1).optional(),
});

/**
 * Try it; what it fails with is its detail, unless it was not tried. `attempt` returns when it began, by `performance.now()`.
 */
async function reach(
  attempt: () => Promise<number>,
  untried: (error: unknown) => boolean = () => false,
): Promise<SupabaseHealth['rest']> {
  const askedAt = performance.now();
  const sinceMs = (beganAt: number): number => Math.round((performance.now() - beganAt) * 10) / 10;
  try {
    return { ok: true, ms: sinceMs(await attempt()), detail: '' };
  } catch (error) {
    if (untried(error)) throw error;
    return { ok: false, ms: sinceMs(askedAt), detail: describe(error) };
  }
}
/** That Holdfast's own connections are in use says nothing of the database. */
const noneFree = (error: unknown): boolean => (error as { type?: string }).type === 'RateLimited';

/** The text of a failure, without what a connection string would tell. An `AggregateError` has its text inside. */
const describe = (error: unknown): string => {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const text = inner instanceof Error ? inner.message : String(inner);
  return text.replace(/\/\/[^@\s/]*@/g, '//').slice(0, 300);
};

export function createActivities(variables: z.output<typeof env>) {
  const { SUPABASE_URL, SUPABASE_SECRET_KEY, SUPABASE_DB_URL } = variables;

  const rest = async (): Promise<number> => {
    const beganAt = performance.now();
    const response = await request(new URL('/rest/v1/', SUPABASE_URL).href, {
      what: 'Supabase REST',
      headers: keyHeaders(SUPABASE_SECRET_KEY),
      signal: AbortSignal.timeout(REST_MS),
    });
    await response.body?.cancel();
    return beganAt;
  };

  const sql = (connectionString: string): Promise<number> =>
    withSession(
      connectionString,
      async (session, beganAt) => {
        await session.query('select 1');
        return beganAt;
      },
      { statement_timeout: SQL_MS, query_timeout: SQL_MS },
    );

  return {
    /**
     * Ask both at once. What does not answer is `ok: false` with its reason, not a failure: that is the finding.
     * @throws RateLimited when Holdfast's connections to the database stay in use.
     */
    async supabaseHealth(): Promise<SupabaseHealth> {
      const [byRest, bySql] = await Promise.all([
        reach(rest),
        SUPABASE_DB_URL === undefined ? undefined : reach(() => sql(SUPABASE_DB_URL), noneFree),
      ]);
      return { rest: byRest, ...(bySql === undefined ? {} : { sql: bySql }) };
    },
  } satisfies DatabaseHealth;
}
