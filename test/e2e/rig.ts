import { existsSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import type { GameDayReport } from '../../src/cli/gameday/follow.ts';
import type { Review, Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { EXIT } from '../../src/node-options.ts';
import { endProcess, findProcess, runCommand, startProcess } from '../../src/processes.ts';
import { reviewId } from '../../src/runbook/review.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { assertDocumented } from '../support/documented.ts';

export const ROOT = join(__dirname, '..', '..');
/** Longer than any step of a run takes; what it stands at then is said. */
const LONGEST_MS = 200_000;
const LONGEST_COMMAND_MS = 400_000;
const PORTS = [
  'HOLDFAST_TEMPORAL_PORT',
  'HOLDFAST_TEMPORAL_UI_PORT',
  'HOLDFAST_POSTGRES_PORT',
  'HOLDFAST_SUPABASE_PORT',
  'HOLDFAST_APP_POSTGRES_PORT',
  'HOLDFAST_PGBOUNCER_PORT',
  'HOLDFAST_APP_SUPABASE_PORT',
  'HOLDFAST_BUGSINK_PORT',
  'HOLDFAST_CADDY_ADMIN_PORT',
  'SHOP_PORT',
  'SHOP_STAGING_PORT',
  'HOLDFAST_GATEWAY_PORT',
];

/** What tests read of the release provider's own state: what it has begun, and what it has done, newest first. */
interface ReleasesState {
  intent?: { key: string };
  history: { key: string }[];
  done: { key: string }[];
}

/** The whole platform on ports of its own, or those parts of it; `cli` is the command line beside it. */
export async function startPlatform(parts?: string[]) {
  const [stateDir, outer] = [scratchFolder(), scratchFolder()];
  const env: Record<string, string> = {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_TOOLS_DIR: process.env['HOLDFAST_TOOLS_DIR'] ?? join(ROOT, '.holdfast', 'tools'),
  };
  for (const name of PORTS) env[name] = String(await freePort());
  const args = ['src/embedded/main.ts', ...(parts === undefined ? [] : ['--only', parts.join()])];
  await startProcess({ stateDir: outer, name: 'platform', command: process.execPath, args, cwd: ROOT, env });
  await until(() => existsSync(join(stateDir, 'platform.json')));
  const platform = parseEnv(readFileSync(join(stateDir, 'platform.env'), 'utf8'));
  const client = new Client({ connection: await Connection.connect({ address: platform['TEMPORAL_ADDRESS'] ?? '' }) });
  const status = (id: string): Promise<Status> =>
    client.connection.withDeadline(Date.now() + 5000, () => client.workflow.getHandle(id).query<Status>('status'));
  const releasesIn = (environment: string) => join(stateDir, 'releases', 'shop', environment);
  const releases = (environment = 'production') =>
    JSON.parse(readFileSync(join(releasesIn(environment), 'state.json'), 'utf8')) as ReleasesState;
  return {
    stateDir,
    env,
    platform,
    client,
    cli: (...command: string[]) =>
      runCommand({
        command: process.execPath,
        args: [...EXIT, 'src/cli/main.ts', ...command],
        cwd: ROOT,
        env,
        timeoutMs: LONGEST_COMMAND_MS,
      }),
    status,
    /** The status once it holds, of a run other than `after`; a worker that is away at a moment is asked again. */
    async statusOnce(id: string, holds: (status: Status) => boolean, after = ''): Promise<Status> {
      let found: Status | undefined;
      await until(
        async () => {
          found = await status(id).catch(() => undefined);
          return found !== undefined && found.runId !== after && holds(found);
        },
        { withinMs: LONGEST_MS, says: () => `${id} stands at ${JSON.stringify(found)}` },
      );
      return found as Status;
    },
    lastRun: (id: string): Promise<string> =>
      status(id).then(
        ({ runId }) => runId,
        () => '',
      ),
    /** Hold the document of the review that a run has left behind against the run's own history, field by field. */
    async assertDocumented({ workflowId, runId }: GameDayReport['incident']): Promise<void> {
      const desk = client.workflow.getHandle(reviewId({ workflowId, runId }));
      let review: Review | undefined;
      await until(async () => {
        review = await desk.query<Review>('review').catch(() => undefined);
        return review?.document !== undefined;
      });
      const { path, commit } = (review as Review).document ?? { path: '', commit: '' };
      const cwd = join(stateDir, 'postmortems.git');
      const { stdout } = await runCommand({ command: 'git', args: ['show', `${commit}:${path}`], cwd });
      const ended = await client.workflow.getHandle(workflowId, runId).query<Status>('status');
      assertDocumented(stdout, ended, review as Review);
    },
    /** kill -9, at once or in the moment in which `when` holds, and wait until the supervisor has started another. */
    async killWorker(when: Promise<void> = Promise.resolve()): Promise<void> {
      const before = await findProcess(stateDir, 'worker');
      if (before === undefined) throw new Error('there is no worker to kill');
      await when;
      process.kill(before.pid, 'SIGKILL');
      await until(async () => {
        const now = await findProcess(stateDir, 'worker');
        return now !== undefined && now.pid !== before.pid;
      });
    },
    releases,
    /** As soon as the release provider's own state holds so: Temporal has yet to be told of it. */
    releasesOnce: (holds: (state: ReleasesState) => boolean, environment = 'production'): Promise<void> =>
      new Promise((resolve) => {
        const watcher = watch(releasesIn(environment), () => {
          if (!holds(releases(environment))) return;
          watcher.close();
          resolve();
        });
      }),
    async end(): Promise<void> {
      await client.connection.close();
      await endProcess(outer, 'platform', 60_000);
      await removeScratch(stateDir);
      await removeScratch(outer);
    },
  };
}
export type PlatformRig = Awaited<ReturnType<typeof startPlatform>>;

/** What is wanted, but no longer than the command goes on: one that ends early fails the test. */
export async function during<T>(command: Promise<unknown>, wanted: Promise<T>): Promise<T> {
  const ended = command.then(() => {
    throw new Error('the command ended first');
  });
  return await Promise.race([wanted, ended]);
}
export const isWaiting = ({ phase, waitingFor }: Status): boolean => phase === 'waiting' && waitingFor.length > 0;
