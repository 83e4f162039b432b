import { rowsOf, withSession } from '../../database.ts';
import { checked, failed, ok, warning, type Finding } from './finding.ts';

interface Rights {
  role: string;
  superuser: boolean;
  createrole: boolean;
  createdb: boolean;
  bypassrls: boolean;
  monitor: boolean;
  signal: boolean;
  /** Tables of the application that it can read. */
  reads: number;
  tables: number;
}
type Right = keyof Omit<Rights, 'role' | 'reads' | 'tables'>;

const RIGHTS = `
  select current_user as role, rolsuper as superuser, rolcreaterole as createrole, rolcreatedb as createdb,
    rolbypassrls as bypassrls, pg_has_role(current_user, 'pg_monitor', 'usage') as monitor,
    pg_has_role(current_user, 'pg_signal_backend', 'usage') as signal, readable.*
  from pg_roles, (
    select count(*)::int as tables, (count(*) filter (where has_table_privilege(c.oid, 'select')))::int as reads
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname = 'public') as readable
  where rolname = current_user`;
const MEANING: Record<Right, string> = {
  superuser: 'is superuser',
  createrole: 'makes roles',
  createdb: 'makes databases',
  bypassrls: 'passes row level security',
  monitor: 'sees what sessions do (pg_monitor)',
  signal: 'ends sessions (pg_signal_backend)',
};

interface Use {
  needs: Right[];
  tooMuch: Right[];
  /** Whether it has to read the tables, or must not. */
  reads: 'all' | 'none' | 'any';
  remedy: string;
}
const OWNER = { needs: [], tooMuch: ['superuser', 'createrole'] } satisfies Partial<Use>;
const USES: Record<string, Use> = {
  SUPABASE_DB_URL: {
    needs: ['monitor', 'signal'],
    tooMuch: ['superuser', 'createrole', 'createdb', 'bypassrls'],
    reads: 'none',
    remedy: 'use the role of supabase/roles.sql',
  },
  MIGRATIONS_DB_URL: { ...OWNER, reads: 'any', remedy: 'use the role that owns the tables, and is no superuser' },
  BACKUP_DB_URL: { ...OWNER, reads: 'all', remedy: 'use the role that owns the tables, and is no superuser' },
  BACKUP_SCRATCH_DB_URL: { needs: ['createdb'], tooMuch: [], reads: 'any', remedy: 'give its role createdb' },
};

/** Each database that is set: whether its role may do what it is for, and what it may do beyond that. */
export async function checkDatabases(env: Readonly<Record<string, string | undefined>>): Promise<Finding[]> {
  const found = await Promise.all(
    Object.entries(USES).map(async ([variable, use]) => {
      const url = env[variable];
      if (url === undefined) return [];
      return await checked(variable, `correct ${variable}`, () =>
        withSession(url, async (session) => {
          const [rights] = await rowsOf<Rights & Record<string, unknown>>(session, RIGHTS);
          return rights === undefined ? [] : judge(variable, use, rights);
        }),
      );
    }),
  );
  return found.flat();
}

function judge(variable: string, { needs, tooMuch, reads, remedy }: Use, rights: Rights): Finding[] {
  const has = (right: Right): boolean => rights[right] || (right === 'createdb' && rights.superuser);
  const { role, tables } = rights;
  const lacking = needs.filter((right) => !has(right)).map((right) => MEANING[right]);
  const beyond = tooMuch.filter((right) => rights[right]).map((right) => MEANING[right]);
  if (reads === 'all' && rights.reads < tables) lacking.push(`reads all ${tables} tables (it reads ${rights.reads})`);
  if (reads === 'none' && rights.reads > 0) beyond.push(`reads ${rights.reads} of ${tables} tables`);
  return [
    ...(lacking.length > 0
      ? [failed(variable, `the role ${role} should be one that ${lacking.join(', ')}`, remedy)]
      : []),
    ...(beyond.length > 0
      ? [warning(variable, `the role ${role} may do too much: it ${beyond.join(', ')}`, remedy)]
      : []),
    ...(lacking.length + beyond.length === 0 ? [ok(variable, `the role ${role} may do what it must`)] : []),
  ];
}
