import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { Client } from 'pg';

/** Any two starts agree on this number, so that only one migrates at a time. */
const LOCK = 4_100_733;

/**
 * Apply the `.sql` files of some folders, folder by folder in name order, once each, each in a transaction. A missing folder
 * is an empty one. A file's name is its path from `root`. Returns the names of what was applied now.
 * @throws Error that names the file when one fails, or when one that was applied has been changed since.
 */
export async function migrate(of: { url: string; root: string; folders: string[] }): Promise<string[]> {
  const client = new Client({ connectionString: of.url });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK]);
    await client.query(`
      create table if not exists holdfast_migrations (
        name text primary key, digest text not null, applied_at timestamptz not null default now());
      alter table holdfast_migrations enable row level security;
      revoke all on holdfast_migrations from anon, authenticated, service_role;`);
    const kept = await client.query<{ name: string; digest: string }>('select name, digest from holdfast_migrations');
    const digests = new Map(kept.rows.map(({ name, digest }) => [name, digest]));
    const applied: string[] = [];
    for (const file of await sqlFiles(of.folders)) {
      const name = relative(of.root, file);
      const sql = await readFile(file, 'utf8');
      const digest = createHash('sha256').update(sql).digest('hex');
      if (digests.get(name) === digest) continue;
      if (digests.has(name))
        throw new Error(
          `migration ${name} was changed after it was applied: restore it and put the change into a new file, ` +
            'or begin with an empty database',
        );
      await apply(client, name, sql, digest);
      applied.push(name);
    }
    await noteForSupabase(client, await sqlFiles(of.folders));
    return applied;
  } finally {
    await client.end();
  }
}

/** Note them where Supabase's CLI does, too: whoever goes on with the schema (a deployment) finds them applied. */
async function noteForSupabase(client: Client, files: string[]): Promise<void> {
  await client.query(`create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text primary key, name text, statements text[])`);
  for (const file of files) {
    const [, version, name = ''] = /^(\d+)[_-]?(.*)\.sql$/.exec(basename(file)) ?? [];
    if (version === undefined) continue;
    await client.query(
      'insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3) on conflict do nothing',
      [version, name, [await readFile(file, 'utf8')]],
    );
  }
}

async function sqlFiles(folders: string[]): Promise<string[]> {
  const perFolder = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      return names
        .filter((name) => name.endsWith('.sql'))
        .toSorted()
        .map((name) => join(folder, name));
    }),
  );
  return perFolder.flat();
}

async function apply(client: Client, name: string, sql: string, digest: string): Promise<void> {
  try {
    await client.query('begin');
    await client.query(sql);
    await client.query('insert into holdfast_migrations (name, digest) values ($1, $2)', [name, digest]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error });
  }
}
