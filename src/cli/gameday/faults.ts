import { findProcess, endProcess, startProcess } from '../../processes.ts';
import { usageError, type Context } from '../context.ts';
import { ROOT } from '../platform.ts';

/** Something real that goes wrong with the shop, and what the runbook promises to come of it. */
export interface Fault {
  what: string;
  outcome: 'mitigated' | 'handed-over';
  /** Where it is a release of the shop that does it. */
  release?: string;
  /** Requests per second, where it is other than usual. */
  rate?: number;
  /** Returns how it is ended, where it has not ended by itself. */
  strike(context: Context): Promise<() => Promise<void>>;
}

const NAME = `fault-${process.pid}`;

/** The connection string of the shop's database through its pool. @throws a usage error where there is none. */
function assertPooled({ env }: Context['config']): string {
  const databaseUrl = env['SHOP_DATABASE_URL'];
  if (databaseUrl === undefined || env['PGBOUNCER_ADMIN_URL'] === undefined)
    throw usageError('this game day needs PgBouncer: apt-get install pgbouncer, then start the platform again', 1);
  return databaseUrl;
}

/** A program of the shop's that misbehaves, until it is ended. */
const program =
  (name: string) =>
  async ({ config }: Context): Promise<() => Promise<void>> => {
    const databaseUrl = assertPooled(config);
    const stateDir = config.HOLDFAST_STATE_DIR;
    await startProcess({
      stateDir,
      name: NAME,
      command: process.execPath,
      args: ['examples/shop/faults.ts', name],
      cwd: ROOT,
      env: { SHOP_DATABASE_URL: databaseUrl },
    });
    return () => endProcess(stateDir, NAME);
  };

export const FAULTS = {
  'bad-release': {
    what: 'a release has a bug in its checkout',
    outcome: 'mitigated',
    release: 'v2',
    strike: async () => async () => undefined,
  },
  leak: {
    what: 'a release never returns its connections',
    outcome: 'mitigated',
    release: 'connection-leak',
    async strike({ config }) {
      assertPooled(config);
      return async () => undefined;
    },
  },
  'idle-in-transaction': {
    what: 'a worker of the shop has forgotten a transaction that locks the products, and requests pile up behind it',
    outcome: 'mitigated',
    strike: program('idle-in-transaction'),
  },
  'slow-query': {
    what: 'a report of the shop reads a table of a million rows without an index, again and again, and fills the pool',
    outcome: 'mitigated',
    strike: program('slow-query'),
  },
  refused: {
    what: 'the database of the shop takes no new connection any more',
    outcome: 'handed-over',
    async strike({ config: { HOLDFAST_STATE_DIR: stateDir } }) {
      const server = await findProcess(stateDir, 'app-postgres');
      if (server === undefined) throw new Error('the database of the shop does not run');
      process.kill(-server.pid, 'SIGSTOP');
      return async () => void process.kill(-server.pid, 'SIGCONT');
    },
  },
} satisfies Record<string, Fault>;
