/** Deployments, rollbacks and mitigations of one service, all at once, before the real safety authority. */
import { join } from 'node:path';
import { setTimeout as nextTurn } from 'node:timers/promises';
import { activityInfo } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import { beating } from '../../src/beating.ts';
import type { ChangeRequest, Grant, Ledger, Result } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import type { Control, Terms } from '../../workflows/service-control.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { ROOT } from '../../workers/bundle.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { TIMES } from '../support/hurried.ts';
import { incident, policyOf } from '../support/skipped-time.ts';

const scope = { service: 'shop', environment: 'production' };
const at = '2026-11-23T08:00:00Z';
const good = (version: string) => ({ version, commit: `c-${version}`, digest: `tree:${version}`, at });
const TURNS = 20;
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

type Kind = 'stagingDeployment' | 'rollback' | 'highErrorRate';
interface Call {
  by: Kind;
  fence: number;
  /** Positions in the order of all entries and exits. */
  entry: number;
  exit: number;
  fenced: boolean;
  /** A later change had come: nothing was begun. */
  late: boolean;
}

/**
 * One environment's provider. It queues nothing: calls that come at once are under way at once. The first lasts until a later
 * change comes, each other until then or for some turns of the event loop; a lower fence than one that has come is refused, at its
 * entry or, with nothing done, at its exit.
 */
function provider() {
  const world = { running: 'v0', previous: 'v-1', fence: 0 };
  const calls: Call[] = [];
  const begun = Promise.withResolvers<void>();
  let position = 0;
  const change = (fence: number, runs: () => string) =>
    beating(async () => {
      const isLater = (): boolean => fence < world.fence;
      const by = activityInfo().workflowType as Kind;
      const call = { by, fence, entry: (position += 1), exit: 0, fenced: true, late: isLater() };
      const turns = calls.push(call) === 1 ? Infinity : TURNS;
      const refuse = () => failure('Fenced', `a later change (${world.fence}) has acted since ${fence}`);
      try {
        if (call.late) throw refuse();
        world.fence = fence;
        const running = runs();
        begun.resolve();
        for (let turn = 0; turn < turns && !isLater(); turn += 1) await nextTurn(1);
        if (isLater()) throw refuse();
        call.fenced = false;
        Object.assign(world, { running, previous: world.running === running ? world.previous : world.running });
        return { changed: true, summary: `${running} runs` };
      } finally {
        call.exit = position += 1;
      }
    });
  return { world, calls, change, begun: begun.promise };
}

it('never interleaves them: each ends as done, superseded, refused or handed over with the reason, and the ledger knows what runs', async () => {
  const seed: Ledger = { environment: 'production', running: 'v0', verified: ['v0', 'v-1'].map(good), changes: [] };
  const off = { on: false, by: '', reason: '' };
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const client = new Client({ connection: await Connection.connect({ address }) });
  const start = (type: string, id: string, input: object) =>
    client.workflow.start(type, { workflowId: `${type}-${id}`, taskQueue: 'contention', args: [input] });
  const ledgers = { production: seed };
  const control = await start('serviceControl', '1', { service: 'shop', fence: 0, killSwitch: off, ledgers });
  const { world, calls, change, begun } = provider();
  const running = (version: string) => ({ version, commit: `c-${version}`, deployedAt: at, weight: 1, instances: 2 });
  const medium = { ...policyOf().approval.medium, byPolicy: true };
  const canary = { ...policyOf().deployment.canary, weights: [] };
  const ports: Partial<Ports> = {
    policy: async () =>
      policyOf({
        measure: { windowSeconds: 0.5, lasting: '1 second', every: '500 ms', minimumRequests: 20 },
        approval: { ...policyOf().approval, medium },
        deployment: { ...policyOf().deployment, procedure: 'staging', canary, migrations: false },
      }),
    requestChange: (request) =>
      control.executeUpdate<Grant, [ChangeRequest & Terms]>('requestChange', {
        args: [{ ...request, coolDownMs: 60_000 / TIMES, leaseMs: 3_600_000 }],
      }),
    reportChange: (report) => control.executeUpdate('reportChange', { args: [report] }),
    async ledger() {
      await begun; // a rollback finds a deployment that acts
      return (await control.query<Control>('control')).ledgers['production'] ?? seed;
    },
    recentReleases: async () => ({
      running: running(world.running),
      previous: running(world.previous),
      recent: [],
      maxInstances: 4,
    }),
    candidate: async ({ ref }) => ({
      version: ref,
      commit: `c-${ref}`,
      digest: `tree:${ref}`,
      commits: [],
      commitCount: 0,
    }),
    release: ({ ref, fence }) => change(fence, () => ref),
    rollBack: ({ proposal: { action }, fence }) =>
      change(fence, () => {
        if (world.running !== action.from) throw failure('StaleApproval', `${world.running} runs, not ${action.from}`);
        return action.to;
      }),
    undoRollBack: ({ proposal: { action }, fence }) => change(fence, () => action.from),
    errorPatterns: async () => [
      { id: '1', title: 'TypeError', count: 40, firstSeen: at, lastSeen: at, newInRelease: world.running !== 'v0' },
    ],
    errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
  };
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    taskQueue: 'contention',
    workflowBundle: await bundleWorkflowCode({
      workflowsPath: join(ROOT, 'workflows/index.ts'),
      preloadModules: [join(ROOT, 'workers/preload.ts')],
      workflowInterceptorModules: [join(ROOT, 'test/support/hurried.ts')],
      logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error },
    }),
    activities: createSimulator(ports).ports,
    sinks: { failures: { workflowFailed: { fn: () => undefined } } },
  });
  const order = { ...scope, orderedBy: 'cli:lead' };
  const each = (count: number, type: string, input: (i: number) => object) =>
    Array.from({ length: count }, (_, i) => start(type, String(i + 1), input(i + 1)));
  const { ended: results, ledger } = await worker.runUntil(async () => {
    const runs = await Promise.all([
      ...each(20, 'stagingDeployment', (i) => ({ ...order, ref: `r${i}`, version: `1.0.${i}` })),
      ...each(5, 'rollback', () => order),
      ...each(5, 'highErrorRate', () => incident()),
    ]);
    const ended = await Promise.all(runs.map((run) => run.result() as Promise<Result>));
    return { ended, ledger: (await control.query<Control>('control')).ledgers['production'] };
  });

  const allowed = ['released', 'superseded', 'refused', 'mitigated', 'handed-over'];
  expect(results.filter(({ outcome }) => !allowed.includes(outcome))).toEqual([]);
  expect(results.filter(({ note }) => note === '')).toEqual([]);
  expect(results.filter(({ outcome }) => outcome === 'released').length).toBeGreaterThan(5);
  const done = calls.filter(({ fenced }) => !fenced).toSorted((a, b) => a.exit - b.exit);
  expect(done.map(({ fence }) => fence)).toEqual(done.map(({ fence }) => fence).toSorted((a, b) => a - b));
  const begunCalls = calls.filter(({ late }) => !late); // what a slow worker tries again comes late, and begins nothing
  const meetings = begunCalls.flatMap((one, i) =>
    begunCalls.slice(i + 1).flatMap((other) => (other.entry < one.exit ? [[one, other]] : [])),
  );
  expect(meetings.length).toBeGreaterThan(0); // or nothing was seen that could interleave
  for (const [before, after] of meetings)
    expect([before, after]).toMatchObject([
      { by: 'stagingDeployment', fenced: true },
      { by: expect.not.stringContaining('staging') },
    ]);
  expect(calls.filter(({ by, fenced }) => fenced && by !== 'stagingDeployment')).toEqual([]);
  expect(ledger?.running).toBe(world.running);
  expect(ledger?.changes.filter(({ result }) => result === 'open')).toEqual([]);
  await connection.close();
  await client.connection.close();
}, 240_000);
