/** Deployments, rollbacks and mitigations of one service, all at once, before the real safety authority. */
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import type { ChangeRequest, Grant, Ledger, Result } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import type { Control } from '../../workflows/service-control.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { incident, policyOf } from '../support/skipped-time.ts';

const scope = { service: 'shop', environment: 'production' };
const at = '2026-11-23T08:00:00Z';
const good = { version: 'v0', commit: 'c-v0', digest: 'tree:v0', at };
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

/** One environment's provider: one change at a time, none with a lower fence than it has seen, each effect noted. */
function provider() {
  const world = { running: 'v0', previous: 'v-1', fence: 0 };
  const effects: { from: number; to: number; fence: number; running: string }[] = [];
  let last: Promise<unknown> = Promise.resolve();
  const change = (fence: number, runs: () => string) => {
    const mine = last.then(async () => {
      if (fence < world.fence) throw failure('Fenced', `a later change (${world.fence}) has acted since ${fence}`);
      const from = performance.now();
      const running = runs();
      await new Promise((resolve) => setImmediate(resolve));
      Object.assign(world, { fence, running, previous: world.running === running ? world.previous : world.running });
      effects.push({ from, to: performance.now(), fence, running });
      return { changed: true, summary: `${running} runs` };
    });
    last = mine.catch(() => undefined);
    return mine;
  };
  return { world, effects, change };
}

it('never interleaves them: each ends as done, superseded, refused or handed over with the reason, and the ledger knows what runs', async () => {
  const seed: Ledger = { environment: 'production', running: 'v0', verified: [good], changes: [] };
  const off = { on: false, by: '', reason: '' };
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const client = new Client({ connection: await Connection.connect({ address }) });
  const start = (type: string, id: string, input: object) =>
    client.workflow.start(type, { workflowId: `${type}-${id}`, taskQueue: 'contention', args: [input] });
  const ledgers = { production: seed };
  const control = await start('serviceControl', '1', { service: 'shop', fence: 0, killSwitch: off, ledgers });
  const { world, effects, change } = provider();
  const running = (version: string) => ({ version, commit: `c-${version}`, deployedAt: at, weight: 1, instances: 2 });
  const medium = { ...policyOf().approval.medium, byPolicy: true };
  const canary = { ...policyOf().deployment.canary, weights: [] };
  const ports: Partial<Ports> = {
    policy: async () =>
      policyOf({
        measure: { windowSeconds: 0.5, lasting: '500 ms', every: '250 ms', minimumRequests: 20 },
        approval: { ...policyOf().approval, medium },
        deployment: { ...policyOf().deployment, procedure: 'staging', canary, migrations: false },
      }),
    requestChange: (request) =>
      control.executeUpdate<Grant, [ChangeRequest & { coolDownMs: number; leaseMs: number }]>('requestChange', {
        args: [{ ...request, coolDownMs: 60_000, leaseMs: 3_600_000 }],
      }),
    reportChange: (report) => control.executeUpdate('reportChange', { args: [report] }),
    ledger: async () => (await control.query<Control>('control')).ledgers['production'] ?? seed,
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
    workflowBundle: await workflowBundle('.holdfast'),
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
  for (const [i, { from, fence }] of effects.entries()) {
    expect(from).toBeGreaterThanOrEqual(effects[i - 1]?.to ?? 0);
    expect(fence).toBeGreaterThanOrEqual(effects[i - 1]?.fence ?? 0);
  }
  expect(ledger?.running).toBe(world.running);
  expect(ledger?.changes.filter(({ result }) => result === 'open')).toEqual([]);
  await connection.close();
  await client.connection.close();
}, 240_000);
