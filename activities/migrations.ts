/**
 * The schema of the application's database: the SQL files of a commit, applied once each. Applied ones are kept where Supabase's
 * CLI keeps them, so that either may go on where the other left off. The connection must be a direct one, not a pool's.
 */
import { cancellationSignal, sleep } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import type { Effect, MigrationPlan, Scope, Servable, Settings } from '../src/contracts/index.ts';
import type { Migrations } from '../src/contracts/ports.ts';
import { withSession, type Session } from '../src/database.ts';
import { failure } from '../src/errors.ts';
import { mirrorOf } from '../src/git.ts';
import { openJournal } from '../src/journal.ts';
import { appliedMigrations, apply, prepareTable, tryLock, type Applied, type Pending } from './migrations/apply.ts';
import { migrationFiles, type MigrationFile } from './migrations/files.ts';
import { readMigration } from './migrations/statements.ts';

const MOST_PENDING = 100;
/** So many seconds a rollback waits for a migration that is under way. */
const MOST_WAITED = 60;
const NAMED = 10;
/** A migration takes as long as it takes, but does not queue for a lock, where everybody else would queue behind it. */
const MIGRATING = {
  statement_timeout: 0,
  query_timeout: 0,
  lock_timeout: 5000,
  idle_in_transaction_session_timeout: 0,
};

export const env = z.object({
  /** Connection of the role that owns the schema. */
  MIGRATIONS_DB_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
});

export function createActivities(
  { MIGRATIONS_DB_URL: url, HOLDFAST_STATE_DIR: stateDir }: z.output<typeof env>,
  settings: Settings,
) {
  /** The migrations of a commit; none where the environment has no folder of them. */
  const filesAt = async ({ service, environment }: Scope, commit: string): Promise<MigrationFile[]> => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
    const folder = of.deployment.migrations;
    if (folder === undefined) return [];
    if (of.releases === undefined)
      throw failure('NotConfigured', `${service}/${environment}: set releases.repository, where the migrations are`);
    const { repository } = of.releases;
    const mirror = mirrorOf(stateDir, { service, environment }, repository, cancellationSignal());
    return await migrationFiles(mirror, commit, folder);
  };

  return {
    /** What a commit would change. @throws Refused (permanent) when one of its migrations cannot be applied as it is. */
    async migrationPlan(of: Scope & { commit: string }): Promise<MigrationPlan> {
      const files = await filesAt(of, of.commit);
      const applied = await withSession(url, appliedMigrations);
      const pending = await pendingOf(files, applied);
      const last = applied.at(-1);
      return {
        pending: pending.map(({ name, destroys, marked }) => ({ name, destroys, marked })),
        ...(last && { schema: shownName(last) }),
      };
    },
    /**
     * Apply what the database does not have, in order, each in a transaction of its own; in stage `expand` as far as nothing is
     * taken away. Idempotent on `key`: what is noted as applied is left out. Heartbeats every second.
     * @throws Refused (permanent) when one destroys without being marked: nothing was applied then; or when Postgres refuses one:
     * those before it stay. Fenced. Unavailable (transient) when a lock was not to be had within five seconds.
     */
    async migrate({
      commit,
      key,
      fence,
      stage,
      ...scope
    }: Scope & { commit: string; key: string; fence: number; stage?: 'expand' }): Promise<Effect> {
      const files = await filesAt(scope, commit);
      const wanted = async (session: Session): Promise<Pending[]> => {
        const pending = await pendingOf(files, await appliedMigrations(session));
        assertMarked(pending);
        const contract = stage === 'expand' ? pending.findIndex(takesAway) : -1;
        return contract < 0 ? pending : pending.slice(0, contract);
      };
      const journal = openJournal(stateDir, 'migrations', scope);
      const act = async (session: Session): Promise<Effect> => {
        const planned = await wanted(session);
        const { stage: done, summary } = await journal.begin({ key, fence, note: summaryOf(planned) });
        if (done === 'done') return { changed: false, summary };
        let changed = done === 'begun' && summary !== summaryOf([]);
        if (planned.length > 0) {
          while (!(await tryLock(session))) await sleep('1 second');
          await prepareTable(session);
          for (const migration of await wanted(session)) {
            await journal.begin({ key, fence });
            await apply(session, migration);
            changed = true;
          }
        }
        await journal.done(key, summary);
        return { changed, summary };
      };
      return await beating(async () => {
        return await withSession(url, act, MIGRATING, cancellationSignal());
      });
    },
    /**
     * A release is served as long as the schema has lost nothing that its commit does not know of: no migration that is marked as
     * a contract, or destroys, was applied that is not in its folder. `under` a grant (idempotent on its key) no migration of an
     * earlier one begins from now on. Heartbeats every second.
     * @throws Refused (permanent) when a migration is still under way after a minute; Fenced.
     */
    async servable(of: Scope & { commits: string[]; under?: { key: string; fence: number } }): Promise<Servable[]> {
      const { commits, under, ...scope } = of;
      const settled = async (session: Session): Promise<Applied[]> => {
        if (under === undefined) return await appliedMigrations(session);
        const journal = openJournal(stateDir, 'migrations', scope);
        await journal.begin(under);
        for (let seconds = 0; !(await tryLock(session)); seconds += 1) {
          if (seconds === MOST_WAITED) throw failure('Refused', 'a migration is still under way: wait for its end');
          await sleep('1 second');
        }
        await journal.done(under.key, 'no migration is under way');
        return await appliedMigrations(session);
      };
      const contracts = await contractsOf(
        await beating(() => withSession(url, settled, undefined, cancellationSignal())),
      );
      const judged = async (commit: string): Promise<Servable> => {
        const known = await filesAt(scope, commit).catch((error: Error & { type?: string }) => {
          if (error.type === 'NotFound') return undefined;
          throw error;
        });
        if (known === undefined) return { commit, servable: false, reason: 'the repository does not have it' };
        const beyond = contracts.find(({ version }) => !known.some((file) => file.version === version));
        if (beyond === undefined) return { commit, servable: true, reason: 'the schema has all that it knows' };
        return { commit, servable: false, reason: beyond.reason };
      };
      const all: Servable[] = [];
      for (const commit of commits) all.push(await judged(commit)); // one mirror, one git at a time
      return all;
    },
  } satisfies Migrations;
}

/** After it a release that does not know it cannot be served. */
const takesAway = ({ marked, destroys }: Pick<Pending, 'marked' | 'destroys'>): boolean =>
  marked || destroys.length > 0;

/** Whether what was applied is this file, as far as the database knows its name. */
const isOf = ({ name }: Applied, { title }: MigrationFile): boolean => !name || name === title;

const shownName = ({ version, name }: Applied): string => (name ? `${version}_${name}` : version);

function summaryOf(planned: Pending[]): string {
  if (planned.length === 0) return 'the schema is up to date';
  const names = planned.slice(0, NAMED).map(({ name }) => name);
  const more = planned.length > NAMED ? ` and ${planned.length - NAMED} more` : '';
  return `applied ${names.join(', ')}${more}`;
}

/** What the database does not have, read. @throws Refused when one cannot be applied as it is, or they are too many to be judged. */
async function pendingOf(files: MigrationFile[], applied: Applied[]): Promise<Pending[]> {
  const other = files.find((file) => applied.some((one) => one.version === file.version && !isOf(one, file)));
  if (other !== undefined)
    throw failure('Refused', `${other.name}: the database has another migration of this version: give it a higher one`);
  const has = new Set(applied.map(({ version }) => version));
  const missing = files.filter(({ version }) => !has.has(version));
  if (missing.length > MOST_PENDING)
    throw failure('Refused', `${missing.length} migrations are pending: apply the first ones by hand`);
  const pending: Pending[] = [];
  for (const file of missing) {
    const text = await file.sql();
    const reading = await readMigration(text);
    if (reading.flaw !== undefined) throw failure('Refused', `migration ${file.name}: ${reading.flaw}`);
    pending.push({ ...file, ...reading, text });
  }
  return pending;
}

function assertMarked(planned: Pending[]): void {
  const unmarked = planned.find(({ destroys, marked }) => destroys.length > 0 && !marked);
  if (unmarked === undefined) return;
  throw failure(
    'Refused',
    `migration ${unmarked.name} destroys (${unmarked.destroys.join(', ').slice(0, 300)}) and is not marked with ` +
      '"-- holdfast: contract"; nothing was applied',
  );
}

/** Applied migrations after which a release that does not know them cannot be served. */
async function contractsOf(applied: Applied[]): Promise<{ version: string; reason: string }[]> {
  const read = await Promise.all(applied.map(async (one) => ({ one, ...(await readMigration(one.sql ?? '')) })));
  return read.filter(takesAway).map(({ one, destroys }) => ({
    version: one.version,
    reason:
      `it does not know the migration ${shownName(one)}, which did: ${destroys.join(', ') || 'what a person marked as a contract'}`.slice(
        0,
        300,
      ),
  }));
}
