import { Pool } from 'pg';
import { config } from './config.ts';

const pool =
  config.databaseUrl === undefined
    ? undefined
    : new Pool({
        connectionString: config.databaseUrl,
        application_name: 'shop',
        max: 5,
        connectionTimeoutMillis: 3000,
        query_timeout: 5000,
      });
pool?.on('error', (error) => console.log(`a connection was lost: ${error.message}`));

/** How many orders there were; undefined where the shop was given no database. */
export async function ordersSoFar(): Promise<number | undefined> {
  const result = await pool?.query<{ orders: number }>('select count(*)::int as orders from orders');
  return result?.rows[0]?.orders;
}
