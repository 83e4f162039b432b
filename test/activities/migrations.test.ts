/** A real Postgres and a real git repository: migrations are applied once each, in order, and none that destroys unseen. */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities } from '../../activities/migrations.ts';
import { Settings, type Effect, type MigrationPlan, type Servable } from '../../src/contracts/index.ts';
import { openJournal } from '../../src/journal.ts';
import { runCommand } from '../../src/processes.ts';
import { until } from '../support/until.ts';
import { scope, settings, startDatabaseRig, type DatabaseRig } from './database-rig.ts';
import { killedWhen } from './killed.ts';

jest.setTimeout(60_000);
const FOLDER = 'supabase/migrations';
let rig: DatabaseRig;
let repository: string;
let variables: { MIGRATIONS_DB_URL: string; HOLDFAST_STATE_DIR: string };
let configured: Settings;
let fence = 0;

const git = async (...args: string[]): Promise<string> => {
  const as = ['-C', repository, '-c', 'user.name=Test', '-c', 'user.email=test@example.com'];
  return (await runCommand({ command: 'git', args: [...as, ...args] })).stdout;
};
/** A commit with these files in the folder of migrations, and no others. */
async function commitWith(files: Record<string, string>): Promise<string> {
  await rm(join(repository, 'supabase'), { recursive: true, force: true });
  await mkdir(join(repository, FOLDER), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(repository, FOLDER, name), text);
  await git('add', '--all');
  await git('commit', '--quiet', '--allow-empty', '-m', 'migrations');
  return await git('rev-parse', 'HEAD');
}

beforeAll(async () => {
  rig = await startDatabaseRig();
  repository = join(rig.stateDir, 'repository');
  await mkdir(repository);
  await git('init', '--quiet', '--initial-branch=main');
  await commitWith({});
  configured = Settings.parse({
    ...settings,
    services: [
      {
        name: 'shop',
        environments: {
          production: {
            url: 'http://127.0.0.1:1',
            releases: { repository, server: 'shop', listen: '127.0.0.1:1' },
            deployment: { migrations: FOLDER },
          },
          staging: { url: 'http://127.0.0.1:1' },
        },
      },
    ],
  });
  variables = { MIGRATIONS_DB_URL: rig.ownerUrl, HOLDFAST_STATE_DIR: rig.stateDir };
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());
beforeEach(() =>
  rig.admin.query(`
    drop schema public cascade; create schema public authorization holdfast_owner;
    drop schema if exists supabase_migrations cascade`),
);

const run = <T>(act: (activities: ReturnType<typeof createActivities>) => Promise<T>, environment = quiet()) =>
  environment.run(() => act(createActivities(variables, configured))) as Promise<T>;
const quiet = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
const plan = (commit: string): Promise<MigrationPlan> => run((it) => it.migrationPlan({ ...scope, commit }));
const orderFor = (commit: string) => ({ ...scope, commit, key: `deployment/${(fence += 1)}#migrate`, fence });
const migrate = (order: ReturnType<typeof orderFor>): Promise<Effect> => run((it) => it.migrate(order));
const servable = (...commits: string[]): Promise<Servable[]> => run((it) => it.servable({ ...scope, commits }));
/** As a rollback asks under its grant. */
const served = (commit: string, under: { key: string; fence: number }): Promise<Servable[]> =>
  run((it) => it.servable({ ...scope, commits: [commit], under }));
const applied = async (): Promise<{ version: string; name: string; statements: string[] }[]> =>
  (await rig.admin.query('select * from supabase_migrations.schema_migrations order by version')).rows;
const versions = async () => (await applied()).map(({ version }) => version);
const lines = async () => (await rig.admin.query('select * from log order by line')).rows.map(({ line }) => line);

const LOG = { '001_log.sql': 'create table log (line text)' };
const FIRST = { ...LOG, '002-first.sql': `insert into log values ('first')` };

it('plans and applies what the database does not have, in order, and keeps it as Supabase does', async () => {
  const first = await commitWith(FIRST);
  expect(await plan(first)).toEqual({
    pending: [
      { name: '001_log', destroys: [], marked: false },
      { name: '002-first', destroys: [], marked: false },
    ],
  });
  expect(await migrate(orderFor(first))).toEqual({ changed: true, summary: 'applied 001_log, 002-first' });
  expect(await applied()).toEqual([
    { version: '001', name: 'log', statements: [LOG['001_log.sql']] },
    { version: '002', name: 'first', statements: [FIRST['002-first.sql']] },
  ]);
  const second = await commitWith({ ...FIRST, '10_second.sql': `insert into log values ('second')` });
  expect(await plan(second)).toMatchObject({ pending: [{ name: '10_second' }], schema: '002_first' });
  expect(await migrate(orderFor(second))).toEqual({ changed: true, summary: 'applied 10_second' });
  expect(await lines()).toEqual(['first', 'second']);
});

it('applies nothing twice: not for the same key, nor for another', async () => {
  const commit = await commitWith(FIRST);
  const order = orderFor(commit);
  expect(await migrate(order)).toMatchObject({ changed: true });
  expect(await migrate(order)).toEqual({ changed: false, summary: 'applied 001_log, 002-first' });
  expect(await migrate(orderFor(commit))).toEqual({ changed: false, summary: 'the schema is up to date' });
  expect(await lines()).toEqual(['first']);
});

it('goes on where the CLI of Supabase left off', async () => {
  await rig.admin.query(`
    set role holdfast_owner; create table log (line text); create schema supabase_migrations;
    create table supabase_migrations.schema_migrations (version text not null primary key);
    insert into supabase_migrations.schema_migrations values ('001'); reset role`);
  const commit = await commitWith(FIRST);
  expect(await plan(commit)).toMatchObject({ pending: [{ name: '002-first' }], schema: '001' });
  await migrate(orderFor(commit));
  expect(await versions()).toEqual(['001', '002']);
});

it('lets two workers at once apply each migration once', async () => {
  const commit = await commitWith({ ...FIRST, '003_slow.sql': 'select pg_sleep(0.5)' });
  const order = orderFor(commit);
  await Promise.all([migrate(order), migrate({ ...order, key: `${order.key}:other` })]);
  expect(await lines()).toEqual(['first']);
  expect(await versions()).toEqual(['001', '002', '003']);
});

it('refuses what destroys without being marked, before anything is applied', async () => {
  const commit = await commitWith({
    ...FIRST,
    '003_drop.sql': 'alter table log add x int; alter table log drop column line',
  });
  expect((await plan(commit)).pending.at(-1)).toEqual({
    name: '003_drop',
    destroys: ['drop column log.line'],
    marked: false,
  });
  await expect(migrate(orderFor(commit))).rejects.toMatchObject({
    type: 'Refused',
    message: expect.stringContaining('migration 003_drop destroys (drop column log.line) and is not marked'),
  });
  expect(
    (await rig.admin.query(`select from pg_tables where schemaname in ('public', 'supabase_migrations')`)).rowCount,
  ).toBe(0);
});

it('applies what is marked, and serves from then on only releases that know of it', async () => {
  const before = await commitWith(FIRST);
  const without = await commitWith({});
  const after = await commitWith({
    ...FIRST,
    '003_drop.sql': '-- The line has moved.\n-- holdfast: contract\nalter table log drop column line;',
  });
  await migrate(orderFor(before));
  expect(await servable(before, after)).toMatchObject([{ servable: true }, { servable: true }]);
  await migrate(orderFor(after));
  expect(await servable(before, without, after, 'f'.repeat(40))).toEqual([
    { commit: before, servable: false, reason: expect.stringMatching(/003_drop, which did: drop column log\.line/) },
    { commit: without, servable: false, reason: expect.stringContaining('003_drop') },
    { commit: after, servable: true, reason: expect.any(String) },
    { commit: 'f'.repeat(40), servable: false, reason: 'the repository does not have it' },
  ]);
});

it('applies in stage expand only what comes before the first that takes something away', async () => {
  const commit = await commitWith({
    ...FIRST,
    '003_drop.sql': '-- holdfast: contract\nalter table log drop column line;',
    '004_more.sql': 'alter table log add x int',
  });
  const order = orderFor(commit);
  expect(await run((it) => it.migrate({ ...order, stage: 'expand' }))).toEqual({
    changed: true,
    summary: 'applied 001_log, 002-first',
  });
  expect(await versions()).toEqual(['001', '002']);
  expect(await migrate(orderFor(commit))).toEqual({ changed: true, summary: 'applied 003_drop, 004_more' });
});

it('leaves nothing of a migration that Postgres refuses, and keeps those before it', async () => {
  const commit = await commitWith({
    ...FIRST,
    '003_bad.sql': `insert into log values ('half'); select 1 / 0`,
    '004_x.sql': 'select 1',
  });
  await expect(migrate(orderFor(commit))).rejects.toMatchObject({
    type: 'Refused',
    message: expect.stringContaining('migration 003_bad was not applied: database: division by zero'),
  });
  expect(await versions()).toEqual(['001', '002']);
  expect(await lines()).toEqual(['first']);
});

it('does not queue for a lock: it fails as one that may be tried again', async () => {
  await migrate(orderFor(await commitWith(LOG)));
  const commit = await commitWith({ ...LOG, '002_more.sql': 'alter table log add more int' });
  const holder = await rig.client(rig.ownerUrl);
  await holder.query('begin; select * from log');
  const order = orderFor(commit);
  await expect(migrate(order)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  await holder.query('commit');
  expect(await migrate(order)).toMatchObject({ changed: true });
  expect(await versions()).toEqual(['001', '002']);
});

it('does not let the settings of one migration reach the next', async () => {
  const commit = await commitWith({
    '001_log.sql': `create table log (line text); set search_path = ''; set lock_timeout = 0; set role authenticated`,
    '002_first.sql': `insert into log select current_user || current_setting('lock_timeout')`,
  });
  await migrate(orderFor(commit));
  expect(await lines()).toEqual(['holdfast_owner5s']);
});

it('refuses an order that is older than the last', async () => {
  const commit = await commitWith(LOG);
  const old = orderFor(commit);
  await migrate(orderFor(commit));
  await expect(migrate(old)).rejects.toMatchObject({ type: 'Fenced' });
});

it('lets none begin that is older than a rollback, which waits for the one that is under way', async () => {
  const before = await commitWith(FIRST);
  await migrate(orderFor(before));
  const drop = { '003_drop.sql': '-- holdfast: contract\nalter table log drop column line;' };
  const after = await commitWith({ ...FIRST, ...drop, '004_more.sql': 'create table more (line text)' });
  const user = new Client({ connectionString: rig.ownerUrl });
  await user.connect();
  await user.query('begin; select * from log');
  const migrating = migrate(orderFor(after));
  migrating.catch(() => undefined);
  const waiting = () => rig.admin.query(`select from pg_stat_activity where wait_event_type = 'Lock'`);
  await until(async () => (await waiting()).rowCount === 1);
  const under = { key: 'rollback:settled', fence: (fence += 1) };
  const rollback = served(before, under);
  await until(() => openJournal(rig.stateDir, 'migrations', scope).knows(under.key));
  await user.end();
  await expect(migrating).rejects.toMatchObject({ type: 'Fenced' });
  expect(await rollback).toMatchObject([{ servable: false, reason: expect.stringContaining('003_drop') }]);
  expect(await versions()).not.toContain('004');
});

it('ends the statement in the server when it is cancelled', async () => {
  const commit = await commitWith({ ...LOG, '002_slow.sql': 'select pg_sleep(50)' });
  const environment = quiet();
  const order = orderFor(commit);
  const migrating = run((it) => it.migrate(order), environment);
  migrating.catch(() => undefined);
  const sleeping = async () =>
    (await rig.admin.query(`select from pg_stat_activity where wait_event = 'PgSleep'`)).rowCount;
  await until(async () => (await sleeping()) === 1);
  environment.cancel();
  await expect(migrating).rejects.toMatchObject({ name: 'CancelledFailure' });
  await until(async () => (await sleeping()) === 0);
  expect(await versions()).toEqual(['001']);
});

describe('a worker that is killed', () => {
  const killedAt = (order: object, waits: string) =>
    killedWhen(
      rig.stateDir,
      { provider: 'migrations', activity: 'migrate', variables, settings: configured, argument: order },
      async () =>
        (await rig.admin.query('select from pg_stat_activity where query ~ $1 and state = $2', [waits, 'active']))
          .rowCount === 1,
    );

  it('inside a migration has applied nothing of it: the retry applies it once', async () => {
    const commit = await commitWith({ ...LOG, '002_slow.sql': `insert into log values ('slow'); select pg_sleep(2)` });
    const order = orderFor(commit);
    await killedAt(order, '^insert into log');
    expect(await migrate(order)).toEqual({ changed: true, summary: 'applied 001_log, 002_slow' });
    expect(await migrate(order)).toMatchObject({ changed: false });
    expect(await lines()).toEqual(['slow']);
    expect(await versions()).toEqual(['001', '002']);
  });

  it('inside an index that is made concurrently: the retry makes it anew', async () => {
    await migrate(orderFor(await commitWith(LOG)));
    const commit = await commitWith({ ...LOG, '002_index.sql': 'create index concurrently by_line on log (line);' });
    const holder = await rig.client(rig.ownerUrl);
    await holder.query(`begin; insert into log values ('open')`);
    const order = orderFor(commit);
    await killedAt(order, '^create index concurrently');
    const retried = migrate(order);
    const valid = async () =>
      (await rig.admin.query(`select indisvalid from pg_index where indexrelid = to_regclass('by_line')`)).rows[0]
        ?.indisvalid;
    await until(async () => (await valid()) === false);
    await holder.query('commit');
    expect(await retried).toMatchObject({ changed: true });
    expect(await valid()).toBe(true);
    expect(await versions()).toEqual(['001', '002']);
  });
});

describe('what cannot be applied as it is', () => {
  it('refuses another migration of a version that the database has', async () => {
    const first = await commitWith({ '0901_one.sql': 'create table nine (id int);' });
    await migrate(orderFor(first));
    const other = await commitWith({ '0901_other.sql': 'drop table nine;' });
    await expect(plan(other)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining('0901_other'),
    });
  });

  it.each([
    ['ends its own transaction', { '001_a.sql': 'begin; select 1; commit;' }, /begins or ends transactions itself/],
    [
      'mixes concurrent statements with others',
      { '001_a.sql': 'create table a (b int); create index concurrently c on a (b)' },
      /file without others/,
    ],
    [
      'makes an index without a name concurrently',
      { '001_a.sql': 'create index concurrently on a (b)' },
      /a name for each index/,
    ],
    ['has no version', { 'add things.sql': 'select 1' }, /begin the name of a migration with its version/],
    ['hides a command in its name', { '001_$(touch x); drop table log.sql': 'select 1' }, /begin the name/],
    [
      'has the version of another',
      { '001_a.sql': 'select 1', '001_b.sql': 'select 2' },
      /two migrations have the version 001/,
    ],
  ])('is refused when it %s', async (_, files, message) => {
    const commit = await commitWith(files);
    await expect(plan(commit)).rejects.toMatchObject({ type: 'Refused', message: expect.stringMatching(message) });
    await expect(migrate(orderFor(commit))).rejects.toMatchObject({ type: 'Refused' });
  });

  it('leaves alone what is no SQL file: a note, a folder, a link', async () => {
    await commitWith({ ...LOG, 'README.md': 'see', 'notes\n002_x.txt': 'x' });
    await mkdir(join(repository, FOLDER, '003_folder.sql'));
    await writeFile(join(repository, FOLDER, '003_folder.sql', '004_in.sql'), 'select 1');
    await symlink('/etc/passwd', join(repository, FOLDER, '005_link.sql'));
    await git('add', '--all');
    await git('commit', '--quiet', '-m', 'others');
    expect((await plan(await git('rev-parse', 'HEAD'))).pending.map(({ name }) => name)).toEqual(['001_log']);
  });

  it('has nothing to apply where no folder is configured, or the commit does not have it', async () => {
    await rm(join(repository, 'supabase'), { recursive: true, force: true });
    await git('commit', '--quiet', '--all', '--allow-empty', '-m', 'none');
    const commit = await git('rev-parse', 'HEAD');
    expect(await plan(commit)).toEqual({ pending: [] });
    expect(await run((it) => it.migrationPlan({ service: 'shop', environment: 'staging', commit }))).toEqual({
      pending: [],
    });
    expect(await migrate(orderFor(commit))).toEqual({ changed: false, summary: 'the schema is up to date' });
  });

  it('says what is wrong by type, and the password nowhere', async () => {
    const failure = (act: Promise<unknown>) =>
      act.then(
        () => 'none',
        (error: Error & { type: string }) => `${error.type}: ${error.message}`,
      );
    const commit = await commitWith(LOG);
    expect(await failure(plan('--upload-pack=x'))).toMatch(/^Refused: .*is not a git ref/);
    expect(await failure(plan('0'.repeat(40)))).toMatch(/^NotFound: /);
    const { password } = new URL(variables.MIGRATIONS_DB_URL);
    const right = variables;
    variables = { ...right, MIGRATIONS_DB_URL: right.MIGRATIONS_DB_URL.replace(password, 'wrong-secret') };
    const denied = await failure(plan(commit));
    variables = right;
    expect(denied).toMatch(/^NotAllowed: /);
    expect(denied).not.toContain('wrong-secret');
  });
});
