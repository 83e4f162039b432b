import { findProcess, endProcess, startProcess } from '../../processes.ts';
import { usageError, type Context } from '../context.ts';
import { ROOT } from '../platform.ts';

/** Something real that goes wrong with the database of the shop, and what the runbook promises to come of it. */
interface Fault {
  what: string;
  outcome: 'mitigated' | 'handed-over';
  /** Returns how it is ended, where it has not ended by itself. */
  strike(context: Context): Promise<() => Promise<void>>;
}

const NAME = `fault-${process.pid}`;

/** A program of the shop's that misbehaves, until it is ended. */
const program =
  (name: string) =>
  async ({ config }: Context): Promise<() => Promise<void>> => {
    const { HOLDFAST_STATE_DIR: stateDir, env } = config;
    const databaseUrl = env['SHOP_DATABASE_URL'];
    if (databaseUrl === undefined || env['PGBOUNCER_ADMIN_URL'] === undefined)
      throw usageError('this game day needs PgBouncer: apt-get install pgbouncer, then start the platform again', 1);
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

export const FAULTS: Record<string, Fault> = {
  'idle-in-transaction': {
    what: 'A worker of the shop has forgotten a transaction that locks the products; requests pile up behind it.',
    outcome: 'mitigated',
    strike: program('idle-in-transaction'),
  },
  'slow-query': {
    what: 'A report of the shop reads a table of a million rows without an index, again and again; the pool is full of it.',
    outcome: 'mitigated',
    strike: program('slow-query'),
  },
  refused: {
    what: 'The database of the shop takes no new connection any more.',
    outcome: 'handed-over',
    async strike({ config: { HOLDFAST_STATE_DIR: stateDir } }) {
      const server = await findProcess(stateDir, 'app-postgres');
      if (server === undefined) throw new Error('the database of the shop does not run');
      process.kill(-server.pid, 'SIGSTOP');
      return async () => void process.kill(-server.pid, 'SIGCONT');
    },
  },
};
