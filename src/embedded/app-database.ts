import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { startPostgres } from './postgres.ts';
import { loadSecrets } from './secrets.ts';
import { ROOT, type Say } from './tools.ts';

/**
 * Start the application's own Postgres, apart from the record's, with Holdfast's role on it. `url` is the application's,
 * `holdfastUrl` that of the role which may look, end sessions and, become the owner, make indexes.
 */
export async function startAppPostgres(of: {
  stateDir: string;
  port: number;
  say?: Say;
}): Promise<{ url: string; holdfastUrl: string; superuserUrl: string }> {
  const { url, superuserUrl } = await startPostgres({ ...of, name: 'app-postgres' });
  const { holdfastPassword } = await loadSecrets(of.stateDir);
  const admin = new Client({ connectionString: superuserUrl });
  await admin.connect();
  try {
    await admin.query(await readFile(join(ROOT, 'supabase', 'roles.sql'), 'utf8'));
    await admin.query(`alter role holdfast password ${admin.escapeLiteral(holdfastPassword)}`);
    await admin.query('grant holdfast_owner to holdfast with inherit false, set true');
  } finally {
    await admin.end();
  }
  const { pathname } = new URL(url);
  return {
    url,
    superuserUrl: superuserUrl.replace(/\/postgres$/, pathname),
    holdfastUrl: `postgresql://holdfast:${holdfastPassword}@127.0.0.1:${of.port}${pathname}`,
  };
}
