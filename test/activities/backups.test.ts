/** Two real servers of Postgres 18: one is backed up, the other proves it. */
import { copyFile, open, readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Client } from 'pg';
import { createActivities, env } from '../../activities/backups.ts';
import { Settings, type Backup } from '../../src/contracts/index.ts';
import { postgresClient } from '../../src/embedded/postgres-client.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { makeUnreadable } from '../support/unreadable.ts';
import { until } from '../support/until.ts';
import { scope, settings, startDatabaseRig, type DatabaseRig } from './database-rig.ts';
import { killedWhen } from './killed.ts';

jest.setTimeout(120_000);
const backedUp = Settings.parse({
  ...settings,
  services: [
    {
      name: 'shop',
      environments: {
        production: { url: 'http://127.0.0.1:1', deployment: { backup: { schemas: ['public', 'Sales "EU"'] } } },
        staging: { url: 'http://127.0.0.1:1' },
        elsewhere: { url: 'http://127.0.0.1:1', deployment: { backup: { schemas: ['absent'] } } },
      },
    },
  ],
});
const HOSTILE = '"; drop table orders; --';

let rig: DatabaseRig;
let scratch: Client;
let scratchUrl: string;
let variables: ReturnType<typeof env.parse>;
let number = 0;

beforeAll(async () => {
  rig = await startDatabaseRig();
  const record = await startPostgres({ stateDir: rig.stateDir, port: await freePort() });
  scratchUrl = record.superuserUrl;
  scratch = await rig.client(scratchUrl);
  variables = env.parse({
    BACKUP_DB_URL: rig.ownerUrl,
    BACKUP_SCRATCH_DB_URL: scratchUrl,
    BACKUP_DIR: join(rig.stateDir, 'backups'),
    PG_CLIENT_DIR: await postgresClient(),
  });
  await rig.admin.query(`
    create extension citext schema extensions;
    grant create on database holdfast to holdfast_owner;
    set role holdfast_owner;
    create table orders (id int generated always as identity primary key, t text, at timestamptz default now(),
      price numeric(10, 2), doubled numeric generated always as (price * 2) stored, mail extensions.citext, raw bytea);
    alter table orders enable row level security;
    create policy mine on orders for select to authenticated using (true);
    insert into orders (t, price, raw) select 'order ' || n, n / 7.0, sha256(n::text::bytea) from generate_series(1, 2000) as n;
    create table events (day date, what text) partition by range (day);
    create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
    insert into events values ('2026-03-01', 'sold'), ('2026-03-01', 'sold'), ('2026-03-02', null);
    create table empty ();
    create table "${HOSTILE.replaceAll('"', '""')}" as select 1 as one;
    create schema "Sales ""EU""";
    create table "Sales ""EU""".totals as select 1.5::float8 as amount;
    reset role`);
});
afterAll(() => rig[Symbol.asyncDispose]());

const quiet = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
const activitiesOf = (changed: Partial<typeof variables> = {}) =>
  createActivities({ ...variables, ...changed }, backedUp);
const backUp = (key: string, changed: Partial<typeof variables> = {}, environment = 'production'): Promise<Backup> =>
  quiet().run(() => activitiesOf(changed).backUp({ ...scope, environment, key })) as Promise<Backup>;
const prove = (backup: Backup, changed: Partial<typeof variables> = {}) =>
  quiet().run(() => activitiesOf(changed).proveBackup(backup)) as Promise<{ summary: string }>;
const nextKey = (): string => `deployment.shop.production/${(number += 1)}#backup`;
const scratchDatabases = async (): Promise<number> =>
  (await scratch.query(`select from pg_database where datname like 'holdfast_scratch_%'`)).rowCount ?? 0;
const foldersOf = async (environment = 'production'): Promise<string[]> =>
  readdir(join(variables.BACKUP_DIR, scope.service, environment)).catch(() => []);
const notProved = (message: string) => ({
  type: 'NotProved',
  nonRetryable: true,
  message: expect.stringContaining(message),
});

it('takes a backup and proves it by restoring it, and leaves no scratch database', async () => {
  const backup = await backUp(nextKey());
  expect(backup).toMatchObject({ ...scope, tables: 6, rows: 2000 + 3 + 1 + 1 });
  const bytes = await readFile(backup.file);
  expect(backup.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(backup.sizeBytes).toBe(bytes.length);
  expect(await prove(backup)).toEqual({ changed: false, summary: '6 tables, 2005 rows restored and equal' });
  expect(await prove(backup)).toMatchObject({ changed: false });
  expect(await scratchDatabases()).toBe(0);
  expect((await rig.admin.query('select from orders')).rowCount).toBe(2000); // the hostile name did nothing
});

it('takes one dump for one key', async () => {
  const key = nextKey();
  const before = (await foldersOf()).length;
  const first = await backUp(key);
  expect(await backUp(key)).toEqual(first);
  expect((await foldersOf()).length).toBe(before + 1);
});

it('holds none of the rows that are written while it is taken, and is proved all the same', async () => {
  const writer = await rig.client(rig.ownerUrl);
  let written = 0;
  let done = false;
  const writing = (async () => {
    while (!done) {
      await writer.query(`insert into orders (t) values ('meanwhile'); update orders set t = t || '.' where id = 1`);
      written += 1;
    }
  })();
  await until(() => written > 0);
  const before = written;
  const backup = await backUp(nextKey());
  const during = written - before;
  done = true;
  await writing;
  expect(during).toBeGreaterThan(0);
  expect(await prove(backup)).toMatchObject({ changed: false });
  await rig.admin.query(`delete from orders where t = 'meanwhile'`);
});

it('keeps a backup whose manifest cannot be read, and takes no other in its place', async () => {
  const key = nextKey();
  const { file, manifest } = await backUp(key);
  const dump = await readFile(file);
  await makeUnreadable(manifest);
  await expect(backUp(key)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  expect(await readFile(file)).toEqual(dump);
});

describe('a backup that is not what was taken', () => {
  let backup: Backup;
  beforeEach(async () => {
    backup = await backUp(nextKey());
  });
  const rewriteManifest = async (change: (table: { name: string; rows: number; checksum: string }) => void) => {
    const manifest = JSON.parse(await readFile(backup.manifest, 'utf8')) as { tables: [] };
    manifest.tables.forEach(change);
    await writeFile(backup.manifest, JSON.stringify(manifest));
  };
  afterEach(async () => expect(await scratchDatabases()).toBe(0));

  it('is not proved with one byte flipped', async () => {
    const file = await open(backup.file, 'r+');
    const at = Math.floor(backup.sizeBytes / 2);
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
    await file.close();
    await expect(prove(backup)).rejects.toMatchObject(notProved('is not what was taken'));
  });

  it('is not proved when it was cut short, nor when it is gone', async () => {
    await truncate(backup.file, backup.sizeBytes - 100);
    await expect(prove(backup)).rejects.toMatchObject(notProved('is not what was taken'));
    await expect(prove({ ...backup, file: `${backup.file}.gone` })).rejects.toMatchObject(notProved('cannot be read'));
  });

  it('is not proved when it cannot be restored, whatever its checksum says', async () => {
    await truncate(backup.file, 4000);
    const sha256 = createHash('sha256')
      .update(await readFile(backup.file))
      .digest('hex');
    await expect(prove({ ...backup, sha256 })).rejects.toMatchObject(notProved('pg_restore'));
  });

  it('is not proved when it must hold other rows, and names the first table that differs', async () => {
    await rewriteManifest((table) => {
      if (table.name === 'events_2026') table.rows += 1;
    });
    await expect(prove(backup)).rejects.toMatchObject(
      notProved('public.events_2026 had 4 rows when it was taken and has 3 restored'),
    );
  });

  it('is not proved when as many rows hold something else', async () => {
    await rewriteManifest((table) => {
      if (table.name === 'orders') table.checksum = '1';
    });
    await expect(prove(backup)).rejects.toMatchObject(notProved('the rows of public.orders are not those'));
  });

  it('is not proved without its manifest', async () => {
    await writeFile(backup.manifest, '{');
    await expect(prove(backup)).rejects.toMatchObject(notProved('does not say what'));
  });

  it('is refused where it lies outside of the store', async () => {
    const file = join(rig.stateDir, 'elsewhere.dump');
    await copyFile(backup.file, file);
    await expect(prove({ ...backup, file })).rejects.toMatchObject({ type: 'Refused' });
  });
});

describe('cut short', () => {
  const requestOf = (activity: string, argument: object) => ({
    provider: 'backups',
    activity,
    variables,
    settings: backedUp,
    argument,
  });
  /** The restore of this one takes a while. */
  beforeAll(() =>
    rig.admin.query(`
      set role holdfast_owner;
      create function slow() returns boolean language plpgsql as 'begin perform pg_sleep(0.5); return true; end';
      create table slow (id int check (public.slow()));
      insert into slow values (1);
      create sequence counter;
      reset role`),
  );
  afterAll(() => rig.admin.query('drop table slow; drop function slow(); drop sequence counter'));
  const restoring = async (): Promise<boolean> =>
    (
      await scratch.query(
        `select from pg_stat_activity where application_name = 'pg_restore' and wait_event = 'PgSleep'`,
      )
    ).rowCount === 1;

  it('by a kill inside the dump, leaves no half of it: the retry ends the one that goes on and takes it once', async () => {
    const key = nextKey();
    const before = await foldersOf();
    const holder = await rig.client(rig.superuserUrl);
    await holder.query('begin; drop sequence counter'); // the dump waits here; what is counted before it does not
    const waiting = async (): Promise<number[]> =>
      (
        await rig.admin.query<{ pid: number }>(
          `select pid from pg_stat_activity where application_name like 'holdfast backup %' and wait_event_type = 'Lock'`,
        )
      ).rows.map(({ pid }) => pid);
    await killedWhen(rig.stateDir, requestOf('backUp', { ...scope, key }), async () => (await waiting()).length === 1);
    const [orphan] = await waiting();
    expect((await foldersOf()).length).toBe(before.length + 1);
    const retried = backUp(key);
    await until(async () => {
      const now = await waiting();
      return now.length === 1 && now[0] !== orphan;
    });
    await holder.query('rollback');
    const backup = await retried;
    const added = (await foldersOf()).filter((name) => !before.includes(name));
    expect(added).toEqual([basename(dirname(backup.file))]);
    expect(await prove(backup)).toMatchObject({ changed: false });
  });

  it('by a kill inside the restore, leaves no scratch database once it is retried', async () => {
    const backup = await backUp(nextKey());
    await killedWhen(rig.stateDir, requestOf('proveBackup', backup), restoring);
    expect(await scratchDatabases()).toBe(1);
    expect(await prove(backup)).toMatchObject({ changed: false });
    expect(await scratchDatabases()).toBe(0);
  });

  it('by a cancellation, says so and drops the scratch database', async () => {
    const backup = await backUp(nextKey());
    const environment = quiet();
    const proving = environment.run(() => activitiesOf().proveBackup(backup)) as Promise<unknown>;
    proving.catch(() => undefined);
    await until(restoring);
    environment.cancel();
    await expect(proving).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(await scratchDatabases()).toBe(0);
  });
});

describe('what cannot be done', () => {
  const failureOf = (act: Promise<unknown>) =>
    act.then(
      () => ({ type: 'none', text: '' }),
      (error: Error & { type: string }) => ({
        type: error.type,
        text: `${error.message}\n${error.stack}\n${JSON.stringify(error)}`,
      }),
    );
  const changedUrl = (url: string, change: Partial<URL>) => Object.assign(new URL(url), change).href;

  it("refuses the application's own database for the proof, also by another of its names", async () => {
    const same = { BACKUP_SCRATCH_DB_URL: rig.superuserUrl };
    expect(await failureOf(backUp(nextKey(), same))).toMatchObject({ type: 'Refused' });
    const backup = await backUp(nextKey());
    expect(await failureOf(prove(backup, same))).toMatchObject({ type: 'Refused' });
    const renamed = { BACKUP_SCRATCH_DB_URL: changedUrl(rig.superuserUrl, { hostname: 'localhost' }) };
    expect(await failureOf(prove(backup, renamed))).toMatchObject({ type: 'Refused' });
    const beside = { BACKUP_SCRATCH_DB_URL: changedUrl(rig.superuserUrl, { pathname: '/postgres' }) };
    expect(await failureOf(prove(backup, beside))).toMatchObject({ type: 'none' });
  });

  it('says what is wrong by type, and the password nowhere', async () => {
    const { password } = new URL(rig.ownerUrl);
    const wrong = changedUrl(rig.ownerUrl, { password: 'wrong-secret' });
    const away = changedUrl(rig.ownerUrl, { port: String(await freePort()) });
    const backup = await backUp(nextKey());
    const failures = [
      await failureOf(backUp(nextKey(), { BACKUP_DB_URL: wrong })),
      await failureOf(backUp(nextKey(), { BACKUP_DB_URL: away })),
      await failureOf(backUp(nextKey(), { BACKUP_DB_URL: rig.url })),
      await failureOf(backUp(nextKey(), { PG_CLIENT_DIR: rig.stateDir })),
      await failureOf(backUp(nextKey(), {}, 'staging')),
      await failureOf(backUp(nextKey(), {}, 'elsewhere')),
      await failureOf(prove(backup, { BACKUP_SCRATCH_DB_URL: changedUrl(scratchUrl, { password: 'wrong-secret' }) })),
      await failureOf(prove(backup, { BACKUP_SCRATCH_DB_URL: away })),
    ];
    expect(failures.map(({ type }) => type)).toEqual([
      'NotAllowed',
      'Unavailable',
      'NotAllowed',
      'NotConfigured',
      'NotConfigured',
      'NotFound',
      'NotAllowed',
      'Unavailable',
    ]);
    for (const { text } of failures) {
      expect(text).not.toContain('wrong-secret');
      expect(text).not.toContain(password);
    }
  });

  it('does not queue for a lock that another holds', async () => {
    const holder = await rig.client(rig.ownerUrl);
    await holder.query('begin; lock table orders in access exclusive mode');
    expect(await failureOf(backUp(nextKey()))).toMatchObject({ type: 'Unavailable' });
    await holder.query('rollback');
    expect((await foldersOf()).filter((name) => /-[0-9a-f]{16}\./.test(name))).toEqual([]);
  });
});
