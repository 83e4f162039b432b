import { join } from 'node:path';
import { loadSecrets } from './secrets.ts';
import { answers, startTool } from './start-tool.ts';
import { ROOT, silent, type Say } from './tools.ts';

/** Migrations of the record, and those of the sample shop. */
const MIGRATIONS = { supabase: 'supabase/migrations', 'app-supabase': 'examples/shop/supabase/migrations' };

/**
 * Start Supabase Lite on a database of `startPostgres`; it applies the migrations first, then works through `poolUrl` where
 * there is a pool.
 */
export async function startSupabase(of: {
  stateDir: string;
  port: number;
  databaseUrl: string;
  poolUrl?: string | undefined;
  name?: keyof typeof MIGRATIONS;
  /** `accounts.json` with those who may sign in, and where they do; without it everybody can sign up. */
  people?: { accounts: string; siteUrl: string } | undefined;
  say?: Say;
}): Promise<{ url: string; publishableKey: string; secretKey: string }> {
  const { stateDir, port, databaseUrl, poolUrl = databaseUrl, name = 'supabase', people, say = silent } = of;
  const secrets = await loadSecrets(stateDir);
  say('starting…');
  const url = `http://127.0.0.1:${port}`;
  await startTool({
    stateDir,
    name,
    command: process.execPath,
    args: [join(ROOT, 'src/embedded/supabase-server.ts')],
    env: {
      HOLDFAST_STATE_DIR: stateDir,
      HOLDFAST_SUPABASE_PORT: String(port),
      HOLDFAST_SUPABASE_JWT_SECRET: secrets.supabaseJwtSecret,
      HOLDFAST_SUPABASE_MIGRATIONS: MIGRATIONS[name],
      HOLDFAST_SUPABASE_POOL_URL: poolUrl,
      ...(people && { HOLDFAST_SUPABASE_ACCOUNTS: people.accounts, HOLDFAST_SUPABASE_SITE_URL: people.siteUrl }),
      SUPABASE_DB_URL: databaseUrl,
      SUPABASE_PUBLISHABLE_KEY: secrets.supabasePublishableKey,
      SUPABASE_SECRET_KEY: secrets.supabaseSecretKey,
    },
    ready: () => answers(`${url}/rest/v1/`, { headers: { apikey: secrets.supabaseSecretKey } }),
  });
  return { url, publishableKey: secrets.supabasePublishableKey, secretKey: secrets.supabaseSecretKey };
}
