import { accessSync, chownSync, constants } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';
import { loadConfig } from '../config.ts';
import { writeWhole } from '../processes.ts';
import { postgresUser } from './postgres.ts';
import { loadSecrets } from './secrets.ts';
import { startTool } from './start-tool.ts';
import { silent, type Say } from './tools.ts';

const ADMIN = 'pool_admin';
export const POOL = 'app';

/** Path of PgBouncer, which no registry carries: undefined where the system has none. */
export const pgbouncerBinary = (): string | undefined =>
  [...(loadConfig().env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
    .map((folder) => join(folder, 'pgbouncer'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

/**
 * Start PgBouncer in transaction mode before the database of a connection string. `url` is the same through the pool, named
 * `app`; `adminUrl` is its console. @throws Error when it is not installed.
 */
export async function startPgBouncer(of: {
  stateDir: string;
  port: number;
  databaseUrl: string;
  poolSize?: number;
  say?: Say;
}): Promise<{ url: string; adminUrl: string }> {
  const { stateDir, port, databaseUrl, poolSize = 10, say = silent } = of;
  const command = pgbouncerBinary();
  if (command === undefined) throw new Error('PgBouncer is not installed: apt-get install pgbouncer');
  say('starting…');
  const { username, password, hostname, port: databasePort, pathname } = new URL(databaseUrl);
  const { poolAdminPassword } = await loadSecrets(stateDir);
  const home = join(stateDir, 'pgbouncer');
  await mkdir(home, { recursive: true });
  const [users, ini] = [join(home, 'users.txt'), join(home, 'pgbouncer.ini')];
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    admin_users: ADMIN,
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    max_client_conn: 200,
    query_wait_timeout: 3, // seconds: who waits longer is told so
    server_login_retry: 1,
    ignore_startup_parameters: 'extra_float_digits,search_path',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const database = `${POOL} = host=${hostname} port=${databasePort} dbname=${pathname.slice(1)}`;
  await writeWhole(users, `"${username}" "${password}"\n"${ADMIN}" "${poolAdminPassword}"\n`);
  await writeWhole(ini, ['[databases]', database, '[pgbouncer]', ...lines, ''].join('\n'));
  const owner = process.getuid?.() === 0 ? await postgresUser() : undefined; // it refuses to run as root
  if (owner !== undefined) for (const file of [users, ini]) chownSync(file, owner.uid, owner.gid);
  const at = (user: string, secret: string, name: string) => `postgresql://${user}:${secret}@127.0.0.1:${port}/${name}`;
  const adminUrl = at(ADMIN, poolAdminPassword, 'pgbouncer');
  await startTool({
    stateDir,
    name: 'pgbouncer',
    command,
    args: [ini],
    cwd: '/',
    ...owner,
    ready: () => opens(adminUrl),
  });
  return { url: at(username, password, POOL), adminUrl };
}

async function opens(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  return await client.connect().then(
    () => client.end().then(() => true),
    () => false,
  );
}
