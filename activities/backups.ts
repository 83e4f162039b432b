/** Backups of the application's database: dumped and counted in one snapshot, and proved by restoring them elsewhere. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import { Backup, Scope, type Effect, type Settings } from '../src/contracts/index.ts';
import type { Backups } from '../src/contracts/ports.ts';
import { APPLICATION, libpqEnvironment, withSession, type Session } from '../src/database.ts';
import { failure } from '../src/errors.ts';
import { readIfThere, writeWhole } from '../src/processes.ts';
import { Origin, Table, beginSnapshot, contentsOf, firstDifference, originOf } from './backups/contents.ts';
import { createPrograms } from './backups/programs.ts';
import { urlOf, withScratch } from './backups/scratch.ts';

/** Reading everything takes as long as it takes; it does not queue for a lock, where others would queue behind it. */
const READING = { statement_timeout: 0, query_timeout: 0, lock_timeout: 5000, idle_in_transaction_session_timeout: 0 };

const postgresUrl = z.url({ protocol: /^postgres(ql)?$/ });
export const env = z.object({
  /** May read everything that is backed up. */
  BACKUP_DB_URL: postgresUrl,
  /** May create databases on a server that is not production's. */
  BACKUP_SCRATCH_DB_URL: postgresUrl,
  BACKUP_DIR: z.string().min(1),
  /** Where `pg_dump` and `pg_restore` are, of the server's version or later; else they are searched in `PATH`. */
  PG_CLIENT_DIR: z.string().optional(),
});

const Manifest = z.object({
  key: z.string(),
  takenAt: Backup.shape.takenAt,
  sha256: Backup.shape.sha256,
  sizeBytes: Backup.shape.sizeBytes,
  schemas: z.array(z.string()),
  origin: Origin,
  tables: z.array(Table),
});
type Manifest = z.output<typeof Manifest>;

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { BACKUP_DB_URL: url, BACKUP_SCRATCH_DB_URL: scratchUrl, BACKUP_DIR, PG_CLIENT_DIR } = variables;
  const store = resolve(BACKUP_DIR);
  const programs = createPrograms(PG_CLIENT_DIR);

  const schemasOf = ({ service, environment }: Scope): string[] => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of?.deployment.backup === undefined)
      throw failure('NotConfigured', `${service}/${environment}: deployment.backup is not configured`);
    return of.deployment.backup.schemas;
  };
  const assertScratchIsApart = (): void => {
    const [{ PGHOST, PGPORT, PGDATABASE }, scratch] = [libpqEnvironment(url), libpqEnvironment(scratchUrl)];
    if (PGHOST === scratch['PGHOST'] && PGPORT === scratch['PGPORT'] && PGDATABASE === scratch['PGDATABASE'])
      throw failure('Refused', 'BACKUP_SCRATCH_DB_URL is the database that is backed up: name another server');
  };

  /** Dump and count in one snapshot; the manifest is written last. */
  const takeInto = async (draft: string, key: string, schemas: string[]): Promise<Manifest> => {
    const [file, application] = [dumpIn(draft), `${APPLICATION} backup ${digest(key)}`];
    const taken = await withSession(
      url,
      async (session) => {
        await endEarlier(session, application);
        const takenAt = new Date().toISOString();
        const snapshot = await beginSnapshot(session);
        const tables = await contentsOf(session, schemas);
        const origin = await originOf(session, schemas);
        await programs.dump({ url, application, snapshot, schemas, file });
        return { key, takenAt, schemas, origin, tables };
      },
      { ...READING, application_name: application },
      cancellationSignal(),
    );
    const manifest = { ...taken, sha256: await sha256Of(file), sizeBytes: (await stat(file)).size };
    await writeWhole(manifestIn(draft), JSON.stringify(manifest, null, 2));
    return manifest;
  };

  return {
    /**
     * Dump the configured schemas into a folder of `BACKUP_DIR`, with the rows and checksum of each table as of the same moment.
     * Idempotent on `key`: what a killed worker left is made anew. Heartbeats every second.
     * @throws Refused, NotConfigured, NotAllowed (permanent); Unavailable when a lock was not to be had.
     */
    async backUp({ service, environment, key }: Scope & { key: string }): Promise<Backup> {
      const scope = Scope.parse({ service, environment });
      const schemas = schemasOf(scope);
      assertScratchIsApart();
      const folder = join(store, service, environment, folderName(key));
      const kept = await readManifest(manifestIn(folder));
      if (kept?.key === key) return describeBackup(scope, folder, kept);
      return await beating(async () => {
        await removeUnfinished(folder);
        const draft = `${folder}.${randomUUID()}`;
        await mkdir(draft, { recursive: true, mode: 0o700 });
        try {
          const manifest = await takeInto(draft, key, schemas);
          await rename(draft, folder);
          return describeBackup(scope, folder, manifest);
        } finally {
          await rm(draft, { recursive: true, force: true });
        }
      });
    },
    /**
     * Restore a backup into a database of its own on the scratch server and compare what it holds, table by table. Changes
     * nothing that stays; may be repeated. Heartbeats every second.
     * @throws NotProved (permanent) with the first table that differs; Refused when the scratch server is the application's own.
     */
    async proveBackup(backup: Backup): Promise<Effect> {
      const { file, sha256, manifest: noted } = Backup.parse(backup);
      assertScratchIsApart();
      for (const path of [file, noted])
        if (!resolve(path).startsWith(store + sep)) throw failure('Refused', `${path} is not in BACKUP_DIR`);
      const manifest = await readManifest(noted);
      if (manifest === undefined) throw failure('NotProved', `${noted} does not say what the backup must hold`);
      return await beating(async () => {
        const found = await sha256Of(file).catch(() => {
          cancellationSignal().throwIfAborted();
          throw failure('NotProved', `${file} cannot be read`);
        });
        if (found !== sha256) throw failure('NotProved', `${file} is not what was taken: its SHA-256 is another`);
        const { origin, schemas, tables } = manifest;
        const name = `holdfast_scratch_${sha256.slice(0, 32)}`;
        const signal = cancellationSignal();
        const restored = await withScratch(
          { serverUrl: scratchUrl, name, origin, schemas, signal },
          async (missing) => {
            const list = `${file}.entries`;
            await writeWhole(list, await programs.entries(file));
            await programs.restore({ url: scratchUrl, database: name, list, file }).catch((error: Error) => {
              if (missing.length > 0) error.message += `\n(the scratch server has no extension ${missing.join(', ')})`;
              throw error;
            });
            return await withSession(
              urlOf(scratchUrl, name),
              async (session) => {
                await beginSnapshot(session);
                return await contentsOf(session, schemas);
              },
              READING,
              signal,
            );
          },
        );
        const difference = firstDifference(tables, restored);
        if (difference !== undefined) throw failure('NotProved', difference);
        return { changed: false, summary: `${tables.length} tables, ${rowsIn(tables)} rows restored and equal` };
      });
    },
  } satisfies Backups;
}

const digest = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 16);
const folderName = (key: string): string => `${key.replaceAll(/[^\w.-]+/g, '-').slice(0, 80)}-${digest(key)}`;
const dumpIn = (folder: string): string => join(folder, 'database.dump');
const manifestIn = (folder: string): string => join(folder, 'manifest.json');
const rowsIn = (tables: Table[]): number => tables.reduce((total, { rows }) => total + rows, 0);

function describeBackup(scope: Scope, folder: string, { sha256, sizeBytes, takenAt, tables }: Manifest): Backup {
  const files = { file: dumpIn(folder), manifest: manifestIn(folder) };
  return { ...scope, ...files, sha256, sizeBytes, takenAt, tables: tables.length, rows: rowsIn(tables) };
}

/** Undefined where there is none, or one that was not written to its end. */
async function readManifest(file: string): Promise<Manifest | undefined> {
  const text = (await readIfThere(file)) ?? '';
  try {
    return Manifest.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** A draft has the folder's name and a dot more; a folder without its manifest is no backup. */
async function removeUnfinished(folder: string): Promise<void> {
  const names = await readdir(dirname(folder)).catch(() => []);
  const unfinished = names.filter((name) => name === basename(folder) || name.startsWith(`${basename(folder)}.`));
  await Promise.all(unfinished.map((name) => rm(join(dirname(folder), name), { recursive: true, force: true })));
}

/** End the dump of a worker that was killed: it goes on without it. */
const endEarlier = (session: Session, application: string): Promise<unknown> =>
  session.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = $1 and usename = current_user and pid <> pg_backend_pid()`,
    [application],
  );

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal: cancellationSignal() });
  return hash.digest('hex');
}
