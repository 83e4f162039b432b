import type { DeploymentOrder } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const running = { version: '1.3.0', commit: 'c-1.3.0', deployedAt: '2026-11-23T08:00:00Z', weight: 1, instances: 1 };
const order: DeploymentOrder = { service: 'shop', environment: 'staging', orderedBy: 'cli:responder' };
async function start(overrides: Partial<Ports> = {}, of: Partial<DeploymentOrder> = {}) {
  const done: string[] = [];
  const reports: object[] = [];
  const run = await time.start(
    'stagingDeployment',
    { ...order, ...of },
    {
      policy: async () =>
        policyOf({
          deployment: {
            ...policyOf().deployment,
            procedure: 'staging',
            canary: { ...policyOf().deployment.canary, weights: [] },
          },
        }),
      recentReleases: async () => ({ running, recent: [], maxInstances: 4 }),
      createReleaseBranch: async ({ version, commit }) => {
        done.push(`release/${version} at ${commit}`);
        return { changed: true, summary: 'made' };
      },
      release: async ({ ref, commit }) => {
        done.push(`${ref} at ${commit}`);
        return { changed: true, summary: `${ref} runs` };
      },
      reportChange: async (report) => void reports.push(report),
      ...overrides,
    },
  );
  return { ...run, done, reports };
}

it('makes the branch, runs the pipeline, deploys, tests and verifies, with nobody asked', async () => {
  const run = await start();
  expect(await run.result()).toMatchObject({ outcome: 'released', note: '1.4.0 runs in staging and is verified good' });
  expect(run.done).toEqual(['release/1.4.0 at commit-of-main', '1.4.0 at commit-of-main']);
  expect(run.reports).toMatchObject([{ result: 'verified', release: { version: '1.4.0', digest: 'tree:main' } }]);
  expect(run.pages).toEqual([]);
  expect((await run.status()).steps?.map(({ name, state }) => `${name}: ${state}`)).toEqual([
    'Create the release branch: done',
    'Run the CI pipeline: done',
    'Wait for its turn: done',
    'Migrate the database: done',
    'Give it all of the traffic: done',
    'Run smoke tests: done',
    'Verify functionality: done',
  ]);
});

it('takes the version that was given', async () => {
  const run = await start({}, { ref: 'feature-x', version: '2.0.0' });
  await run.result();
  expect(run.done[0]).toBe('release/2.0.0 at commit-of-feature-x');
});

it('ends before it deploys when the pipeline fails, and says where its log is', async () => {
  const run = await start({
    runPipeline: async () => ({ passed: false, summary: '`npm test` ended with 1', log: '/logs/1.log' }),
  });
  expect(await run.result()).toEqual({
    outcome: 'failed',
    note: 'the pipeline failed: `npm test` ended with 1; its log: /logs/1.log; the traffic was not touched',
    version: '1.4.0',
  });
  expect(run.done).toHaveLength(1);
  expect(run.calls).not.toContain('requestChange');
});

describe('while its pipeline runs elsewhere', () => {
  const runs = { passed: false, running: true, summary: 'ci.yml #1 runs', log: 'https://ci.example/1' };
  /** A pipeline that runs until it is told to end. */
  const elsewhere = () => {
    const state = { ended: false, asked: 0, cancelled: 0 };
    const ports: Partial<Ports> = {
      async runPipeline() {
        state.asked += 1;
        return state.ended ? { passed: true, summary: 'ci.yml #1 ended with success', log: runs.log } : runs;
      },
      async cancelPipeline() {
        state.cancelled += 1;
        return { changed: true, summary: 'cancelled' };
      },
    };
    return { state, ports };
  };

  it('looks every half minute, and goes on when it has passed', async () => {
    const { state, ports } = elsewhere();
    const run = await start(ports);
    await run.until(() => state.asked === 1);
    await time.env.sleep('95 seconds');
    expect(state.asked).toBeGreaterThanOrEqual(3);
    expect(state.asked).toBeLessThanOrEqual(5);
    state.ended = true;
    expect(await run.result()).toMatchObject({ outcome: 'released' });
    expect(state.cancelled).toBe(0);
  });

  it('looks at once when it is woken', async () => {
    const { state, ports } = elsewhere();
    const run = await start(ports);
    await run.until(() => state.asked === 1);
    const before = await time.env.currentTimeMs();
    state.ended = true;
    await run.handle.signal('wake');
    await run.until(({ steps }) => steps?.find(({ name }) => name === 'Run the CI pipeline')?.state === 'done');
    expect((await time.env.currentTimeMs()) - before).toBeLessThan(15_000);
    expect(await run.result()).toMatchObject({ outcome: 'released' });
  });

  it('cancels it there when a person stops the deployment, without waiting for it', async () => {
    const { state, ports } = elsewhere();
    const run = await start(ports);
    await run.until(() => state.asked === 1);
    await run.handle.signal('stop', { by: 'lead' });
    expect(await run.result()).toMatchObject({ outcome: 'stopped' });
    expect(state).toMatchObject({ cancelled: 1 });
    expect(run.done).toHaveLength(1);
  });

  it('cancels it there when the workflow is cancelled in Temporal', async () => {
    const { state, ports } = elsewhere();
    const run = await start(ports);
    await run.until(() => state.asked === 1);
    await run.handle.cancel();
    await expect(run.handle.result()).rejects.toThrow('cancelled');
    expect(state).toMatchObject({ cancelled: 1 });
  });
});

it('returns to what ran before when the functionality is not verified, and holds the version', async () => {
  const run = await start({
    verifyFunctionality: async () => ({ passed: false, tests: [{ name: 'verify', passed: false, detail: 'no cart' }] }),
  });
  expect(await run.result()).toMatchObject({ outcome: 'rolled-back', note: expect.stringContaining('no cart') });
  expect(run.done.at(-1)).toBe('1.3.0 at c-1.3.0');
  expect(run.reports).toMatchObject([{ result: 'undone', running: '1.3.0', held: { version: '1.4.0' } }]);
});

it('hands over with both reasons when what ran before cannot be given its traffic again', async () => {
  const run = await start({
    verifyFunctionality: async () => ({ passed: false, tests: [{ name: 'verify', passed: false, detail: 'no cart' }] }),
    release: async ({ ref }) => {
      if (ref === running.version) throw failure('ReleaseFailed', 'no space left');
      return { changed: true, summary: `${ref} runs` };
    },
  });
  const { outcome, note } = await run.result();
  expect(outcome).toBe('handed-over');
  expect(note).toMatch(/no cart.*no space left/);
});

it.each([
  ['kill-switch', 'the kill switch is on (cto: audit)'],
  ['mode', 'shop is in mode propose in staging'],
] as const)('is refused, and waits for nothing, where the authority grants nothing: %s', async (because, reason) => {
  const run = await start({ requestChange: async () => ({ granted: false, because, reason }) });
  expect(await run.result()).toEqual({ outcome: 'refused', note: reason, version: '1.4.0' });
});

it.each(['observe', 'propose'] as const)('makes not even a branch in mode %s', async (mode) => {
  const run = await start({ policy: async () => policyOf({ mode }) });
  expect(await run.result()).toEqual({
    outcome: 'refused',
    note: expect.stringContaining(`shop is in mode ${mode} in staging: Holdfast changes nothing there`),
  });
  expect(run.done).toEqual([]);
  expect(run.calls).not.toContain('candidate');
});

it('asks a person when a step fails for good, and tries again when told to', async () => {
  let tries = 0;
  const run = await start({
    release: async ({ ref }) => {
      tries += 1;
      if (tries === 1) throw failure('ReleaseFailed', 'no space left');
      return { changed: true, summary: `${ref} runs` };
    },
  });
  await run.decide('approved', 'lead', 'retry');
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect(tries).toBe(2);
});

it('rolls back when nobody answers what is to be done about a failed step', async () => {
  const run = await start({
    createReleaseBranch: async () => {
      throw failure('Refused', 'release/1.4.0 is another commit');
    },
  });
  expect(await run.result()).toMatchObject({ outcome: 'failed', note: expect.stringContaining('another commit') });
  expect(run.pages.filter(({ asks }) => asks).map(({ person }) => person)).toEqual(['lead', 'cto']);
});
