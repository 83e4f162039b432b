import { setTimeout as sleep } from 'node:timers/promises';
import type { Watched } from '../../../workflows/index.ts';
import { endProcess, runCommand, startProcess } from '../../processes.ts';
import { usageError, type Context } from '../context.ts';
import { ROOT } from '../platform.ts';
import type { Fault } from './faults.ts';

const PASS_WITHIN_MS = 120_000;
const POLL_MS = 1000;
const VISITORS = `visitors-${process.pid}`;
const nothing = async (): Promise<() => Promise<void>> => async () => undefined;

/** Only visitors can tell that their vitals pass again: without them the alert would fire on. Two minutes at most. */
async function vitalsPass(client: Context['client']): Promise<void> {
  const monitor = client.workflow.getHandle('monitor.shop');
  for (const deadline = Date.now() + PASS_WITHIN_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const watched = await monitor.query<Watched[]>('watched').catch(() => []);
    if (watched.every(({ alerts }) => alerts['WebVitalsFailing']?.firingSince === undefined)) return;
  }
}

/** Releases of the shop that are slow, each in its own way; by the name of the release. */
export const SLOW_RELEASES: Record<string, Fault> = {
  'slow-route': {
    what: 'a release asks a partner, who takes his time, at every visit',
    outcome: 'mitigated',
    release: 'slow-route',
    strike: nothing,
  },
  'slow-query': {
    what: 'a release asks the database once per product, each time through a large table without an index',
    outcome: 'mitigated',
    release: 'slow-query',
    rate: 10,
    async strike({ config }: Context) {
      const databaseUrl = config.env['SHOP_DATABASE_URL'];
      if (databaseUrl === undefined) throw usageError('this game day needs the database of the shop', 1);
      const run = (name: string) =>
        runCommand({
          command: process.execPath,
          args: ['examples/shop/faults.ts', name],
          cwd: ROOT,
          env: { SHOP_DATABASE_URL: databaseUrl },
        });
      await run('reviews');
      return async () => void (await run('no-reviews'));
    },
  },
  leak: {
    what: 'a release keeps whatever it has answered, for ever',
    outcome: 'mitigated',
    release: 'leak',
    strike: nothing,
  },
  'heavy-bundle': {
    what: 'a release sends browsers a whole library, and shows nothing until it is there',
    outcome: 'mitigated',
    release: 'heavy-bundle',
    rate: 5,
    async strike({ client, config, settings }: Context) {
      const browser = config.env['CHROMIUM_PATH'];
      if (browser === undefined) throw usageError('this game day needs a browser: apt-get install chromium', 1);
      const url = settings.services.find(({ name }) => name === 'shop')?.environments['production']?.url ?? '';
      await startProcess({
        stateDir: config.HOLDFAST_STATE_DIR,
        name: VISITORS,
        command: process.execPath,
        args: ['examples/shop/visitors.ts', '--url', url],
        cwd: ROOT,
        env: { CHROMIUM_PATH: browser },
      });
      return async () => {
        await vitalsPass(client);
        await endProcess(config.HOLDFAST_STATE_DIR, VISITORS);
      };
    },
  },
};
