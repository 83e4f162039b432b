/** Who holds the database up, and how to end it. Source of the columns: PostgreSQL manual, "The Cumulative Statistics System". */
import { z } from 'zod';
import { SessionInTheWay, type SessionRef } from '../../src/contracts/index.ts';
import { APPLICATION, rowsOf, type Session } from '../../src/database.ts';
import { withoutLiterals } from '../../src/redaction.ts';

const SHOWN = 10;
const END_MS = 2000;
/** Programs that read the whole database for a backup. */
const BACKUPS = ['pg_dump', 'pg_dumpall', 'pg_restore', 'pg_basebackup'];

const exact = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** One row per client session, with the reason why it is left alone. */
const SESSIONS = `
  select a.pid, ${exact('a.backend_start')} as "backendStart", ${exact('a.xact_start')} as "xactStart",
    coalesce(a.usename, '') as "user", a.application_name as application, coalesce(a.state, '') as state,
    left(a.query, 200) as query, a.wait_event_type = 'Lock' as waits,
    extract(epoch from clock_timestamp() - case a.state when 'active' then a.query_start else a.state_change end) as seconds,
    case when r.rolsuper then 'a superuser''s' when r.rolreplication then 'of replication'
      when a.application_name = any ($1) then 'a backup'
      when a.application_name = '${APPLICATION}' or a.application_name like '${APPLICATION} %' or a.usename = current_user then 'Holdfast''s own' end as spared
  from pg_stat_activity a join pg_roles r on r.rolname = a.usename
  where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()`;

const Row = z
  .object({
    ...SessionInTheWay.shape,
    xactStart: z.string().nullable(),
    spared: z.string().nullable(),
    waits: z.boolean().nullable(),
    seconds: z.coerce.number().nullable(),
    blocks: z.coerce.number(),
    waitedSeconds: z.coerce.number().nullable(),
  })
  .transform(({ xactStart, spared, waits, seconds, waitedSeconds, query, ...row }) => ({
    ...row,
    query: withoutLiterals(query),
    waits: waits === true,
    seconds: Math.round(seconds ?? 0),
    ...(waitedSeconds === null ? {} : { waitedSeconds: Math.round(waitedSeconds) }),
    ...(xactStart === null ? {} : { xactStart }),
    ...(spared === null ? {} : { spared }),
  }));

/** Sessions that are idle in a transaction or at one statement for longer than this, or that others wait for; worst first. */
export async function sessionsInTheWay(session: Session, longSeconds: number): Promise<SessionInTheWay[]> {
  const rows = await rowsOf(
    session,
    `with recursive sessions as (${SESSIONS}),
       waits as (select pid, unnest(pg_blocking_pids(pid)) as blocker from sessions where waits),
       behind as (select blocker, pid from waits
         union select behind.blocker, waits.pid from behind join waits on waits.blocker = behind.pid)
     select * from (select sessions.*, (select count(distinct pid) from behind where behind.blocker = sessions.pid) as blocks,
         (select max(waiting.seconds) from behind join sessions as waiting using (pid)
           where behind.blocker = sessions.pid) as "waitedSeconds"
       from sessions) as one
     where blocks > 0 or (seconds > $2 and (state = 'active' or state like 'idle in transaction%'))
     order by blocks desc, seconds desc limit ${SHOWN}`,
    [BACKUPS, longSeconds],
  );
  return z.array(Row).parse(rows);
}

/** Which of these are there still, in the same transaction, and may be ended. */
export async function stillThere(session: Session, sessions: SessionRef[]): Promise<number[]> {
  const rows = await rowsOf<{ pid: number }>(
    session,
    `select pid from (${SESSIONS}) as one join unnest($2::int[], $3::text[], $4::text[])
       as wanted (pid, started, transaction) using (pid)
     where "backendStart" = started and "xactStart" is not distinct from transaction and spared is null`,
    [BACKUPS, ...columnsOf(sessions)],
  );
  return rows.map(({ pid }) => pid);
}

/** End those that are there still; each is looked at in the statement that ends it. Returns the pids that are gone. */
export async function terminate(session: Session, sessions: SessionRef[]): Promise<number[]> {
  const rows = await rowsOf<{ pid: number; gone: boolean }>(
    session,
    `select pid, pg_terminate_backend(pid, ${END_MS}) as gone from (${SESSIONS} offset 0) as one
       join unnest($2::int[], $3::text[], $4::text[]) as wanted (pid, started, transaction) using (pid)
     where "backendStart" = started and "xactStart" is not distinct from transaction and spared is null`,
    [BACKUPS, ...columnsOf(sessions)],
  );
  return rows.filter(({ gone }) => gone).map(({ pid }) => pid);
}

const columnsOf = (sessions: SessionRef[]): [number[], string[], (string | null)[]] => [
  sessions.map(({ pid }) => pid),
  sessions.map(({ backendStart }) => backendStart),
  sessions.map(({ xactStart }) => xactStart ?? null),
];
