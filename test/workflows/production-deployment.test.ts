import {
  ReviewSettings,
  type DeploymentOrder,
  type Grant,
  type LedgerRelease,
  type Review,
  type Status,
} from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { reviewId } from '../../src/runbook/review.ts';
import { assertDocumented } from '../support/documented.ts';
import { policyOf, skippedTime, type SkippedRun, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const order: DeploymentOrder = { service: 'shop', environment: 'production', ref: '1.4.0', orderedBy: 'cli:responder' };
const scope = { service: 'shop', environment: 'production' };
const good = (version: string): LedgerRelease & { at: string } => ({
  version,
  commit: `commit-of-${version}`,
  digest: `tree:${version}`,
  at: '2026-11-23T08:00:00Z',
});
const release = (version: string) => ({
  version,
  commit: `commit-of-${version}`,
  deployedAt: good('').at,
  weight: 1,
  instances: 2,
});
const running = { environment: 'production', running: '1.3.0', verified: [good('1.3.0')], changes: [] };

/** A deployment of 1.4.0 where 1.3.0 runs, with every traffic order noted. */
async function start(overrides: Partial<Ports> = {}, of: Partial<DeploymentOrder> = {}) {
  const traffic: string[] = [];
  const reports: object[] = [];
  const run = await time.start(
    'productionDeployment',
    { ...order, ...of },
    {
      ledger: async () => running,
      recentReleases: async () => ({ running: release('1.3.0'), recent: [], maxInstances: 4 }),
      errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
      shiftTraffic: async ({ ref, weight }) => {
        traffic.push(`${ref}:${weight}`);
        return { changed: true, summary: `${ref} has ${weight} % of the traffic` };
      },
      release: async ({ ref }) => {
        traffic.push(`${ref}:all`);
        return { changed: true, summary: `${ref} runs` };
      },
      reportChange: async (report) => void reports.push(report),
      ...overrides,
    },
  );
  return { ...run, traffic, reports };
}
const approved = async (run: Pick<SkippedRun, 'decide'>) => {
  await run.decide('approved', 'lead');
  await run.decide('approved', 'cto');
};
const statesOf = ({ steps = [] }: Status) => Object.fromEntries(steps.map(({ name, state }) => [name, state]));
const bad = { requests: 100, errorRatio: 0.3, p95Ms: 90 };
const well = { requests: 1000, errorRatio: 0, p95Ms: 90 };

it('goes step by step to verified good, after those who may have approved the exact plan', async () => {
  const run = await start();
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal).toMatchObject({
    risk: 'high',
    notBy: ['responder'],
    undo: '1.3.0 has all of the traffic again',
    action: { kind: 'deploy', version: '1.4.0', commit: 'commit-of-1.4.0', digest: 'tree:1.4.0', from: '1.3.0' },
  });
  expect(proposal?.why.join('\n')).toContain('1 commit: feat: sell more (Ada)');
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect(run.traffic).toEqual(['1.4.0:5', '1.4.0:25', '1.4.0:all']);
  expect(run.reports).toMatchObject([
    { result: 'verified', running: '1.4.0', release: { digest: 'tree:1.4.0', schema: '0001' } },
  ]);
  expect(Object.values(statesOf(await run.status()))).toEqual(Array.from({ length: 9 }, () => 'done'));
});

it('does nothing when it is declined, and never counts whoever ordered it', async () => {
  const run = await start();
  await expect(run.decide('approved', 'responder')).rejects.toMatchObject({
    cause: { message: expect.stringContaining('responder asked for it') },
  });
  await run.decide('declined', 'lead');
  expect(await run.result()).toMatchObject({ outcome: 'declined' });
  expect(run.traffic).toEqual([]);
});

it('returns all of the traffic when the command of the service fails after its smoke tests', async () => {
  const asked: object[] = [];
  const run = await start({
    async verifyFunctionality(of) {
      asked.push(of);
      return { passed: false, tests: [{ name: 'node verify.ts', passed: false, detail: 'ended with 1: no receipt' }] };
    },
  });
  await approved(run);
  expect(await run.result()).toMatchObject({
    outcome: 'rolled-back',
    note: expect.stringContaining('node verify.ts: ended with 1: no receipt'),
  });
  expect(asked).toEqual([{ ...scope, commit: 'commit-of-1.4.0', key: expect.stringMatching(/:verify$/) }]);
  expect(run.calls.indexOf('smokeTests')).toBeLessThan(run.calls.indexOf('verifyFunctionality'));
  expect(run.traffic.slice(0, 4)).toEqual(['1.4.0:5', '1.4.0:25', '1.4.0:all', '1.3.0:all']);
  expect(run.reports).toMatchObject([{ result: 'undone', running: '1.3.0', held: { version: '1.4.0' } }]);
});

it('takes a canary back at once that fails more than what runs, holds it, and wakes somebody', async () => {
  const run = await start({ compareReleases: async () => ({ canary: bad, running: well, windowSeconds: 60 }) });
  await approved(run);
  expect(await run.result()).toMatchObject({
    outcome: 'rolled-back',
    note: expect.stringContaining('is worse than 1.3.0'),
  });
  expect(run.traffic).toEqual(['1.4.0:5', '1.4.0:0']);
  expect(run.reports).toMatchObject([{ result: 'undone', running: '1.3.0', held: { version: '1.4.0' } }]);
  expect(statesOf(await run.status())['Canary with 5 % of the traffic']).toBe('undone');
  await run.handedOver();
  expect(run.pages.filter(({ asks }) => !asks).map(({ person }) => person)).toEqual(['responder']);
});

it('holds what it took back though the worker was killed before it could tell that it had', async () => {
  const run = await start({
    compareReleases: async () => ({ canary: bad, running: well, windowSeconds: 60 }),
    shiftTraffic: async ({ weight }) =>
      weight === 0
        ? { changed: false, repeated: true, summary: 'done already' }
        : { changed: true, summary: `${weight} %` },
  });
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'rolled-back', tookTraffic: true });
  expect(run.reports).toMatchObject([{ result: 'undone', running: '1.3.0', held: { version: '1.4.0' } }]);
  expect(statesOf(await run.status())['Canary with 5 % of the traffic']).toBe('undone');
});

it('takes a canary back whose errors and times are well, but not what is declared of it, and asks where that cannot be read', async () => {
  let check: { value?: number; why?: string } = { why: 'Prometheus: no answer' };
  const run = await start({
    compareReleases: async () => ({
      canary: { ...well, requests: 100 },
      running: well,
      windowSeconds: 60,
      checks: [{ name: 'event loop lag', atMost: 0.1, ...check }],
    }),
  });
  await approved(run);
  const asked = await run.until(({ phase, proposal }) => phase === 'waiting' && proposal?.action.kind === 'go-on');
  expect(asked.proposal?.why.join()).toContain('event loop lag is not known: Prometheus: no answer');
  check = { value: 0.4567 };
  expect(await run.result()).toMatchObject({
    outcome: 'rolled-back',
    note: expect.stringContaining('event loop lag 0.457 of 0.1 at most'),
  });
  expect(run.traffic).toEqual(['1.4.0:5', '1.4.0:0']);
  expect(run.reports).toMatchObject([{ result: 'undone', held: { version: '1.4.0' } }]);
});

it('asks when a canary had too few requests, and goes on where a person says so', async () => {
  const few = { requests: 3, errorRatio: 0, p95Ms: 90 };
  const run = await start({ compareReleases: async () => ({ canary: few, running: well, windowSeconds: 60 }) });
  await approved(run);
  const asked = await run.until(({ phase, proposal }) => phase === 'waiting' && proposal?.action.kind === 'go-on');
  expect(asked.proposal).toMatchObject({
    options: ['retry', 'skip'],
    why: [expect.stringContaining('too few requests')],
  });
  await expect(run.decide('approved', 'responder', 'skip', 'enough')).rejects.toThrow();
  await expect(run.decide('approved', 'lead', 'skip')).rejects.toMatchObject({
    cause: { message: expect.stringContaining('needs a reason') },
  });
  await run.decide('approved', 'lead', 'skip', 'a quiet night');
  await run.until(({ proposal }) => JSON.stringify(proposal?.action).includes('25 %'));
  await run.decide('declined', 'lead');
  expect(await run.result()).toMatchObject({ outcome: 'rolled-back' });
  expect(run.traffic).toEqual(['1.4.0:5', '1.4.0:25', '1.4.0:0', '1.4.0:0']);
});

it('stops at a backup that cannot be proved, before anything has changed', async () => {
  const run = await start({
    proveBackup: async () => {
      throw failure('NotProved', 'orders has 19 rows, not 20');
    },
  });
  await approved(run);
  await run.until(({ phase, proposal }) => phase === 'waiting' && proposal?.action.kind === 'go-on');
  await expect(run.decide('approved', 'lead', 'skip', 'why not')).rejects.toMatchObject({
    cause: { message: expect.stringContaining('there is no option "skip"') },
  });
  await run.decide('declined', 'lead');
  expect(await run.result()).toMatchObject({ outcome: 'failed', note: expect.stringContaining('19 rows') });
  expect(run.traffic).toEqual([]);
});

it('returns all of the traffic when a smoke test fails after the canary', async () => {
  const run = await start({
    smokeTests: async () => ({ passed: false, tests: [{ name: 'checkout', passed: false, detail: '500, not 201' }] }),
  });
  await approved(run);
  expect(await run.result()).toMatchObject({
    outcome: 'rolled-back',
    note: expect.stringContaining('checkout: 500, not 201'),
  });
  expect(run.traffic).toEqual(['1.4.0:5', '1.4.0:25', '1.4.0:all', '1.3.0:all', '1.4.0:0', '1.4.0:0']);
});

it('leaves a document of what it took back that is as its own history has it', async () => {
  const run = await start({
    policy: async () => policyOf({ review: ReviewSettings.parse({}) }),
    compareReleases: async () => ({ canary: bad, running: well, windowSeconds: 60 }),
  });
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'rolled-back' });
  while (run.reviews.at(-1)?.document === undefined) await time.env.sleep('1 second');
  const status = await run.status();
  const review = await time.env.client.workflow.getHandle(reviewId(status)).query<Review>('review');
  const document = run.documents.at(-1) ?? '';
  assertDocumented(document, status, review);
  expect(document).toContain('| Canary with 5 % of the traffic | undone |');
  expect(review.actionItems.map(({ id }) => id)).toContain('mend-the-release');
});

it('hands over with the exact state, and pages, when taking back fails too', async () => {
  const run = await start({
    compareReleases: async () => ({ canary: bad, running: well, windowSeconds: 60 }),
    shiftTraffic: async ({ weight }) => {
      if (weight === 0) throw failure('Refused', 'the load balancer says no');
      return { changed: true, summary: 'shifted' };
    },
  });
  await approved(run);
  expect(await run.result()).toMatchObject({
    outcome: 'handed-over',
    note: expect.stringContaining(
      'taking back "Canary with 5 % of the traffic" failed, look at once: the load balancer says no',
    ),
  });
  await run.handedOver();
  expect(run.pages.filter(({ asks }) => !asks)).toHaveLength(1);
});

describe('is refused, with the reason,', () => {
  it('when a migration would take something away unmarked', async () => {
    const pending = [{ name: '0007-drop.sql', destroys: ['drop column orders.note'], marked: false }];
    const run = await start({ migrationPlan: async () => ({ pending }) });
    expect(await run.result()).toEqual({
      outcome: 'refused',
      note: '0007-drop.sql would drop column orders.note: expand first, or mark it "-- holdfast: contract"',
    });
  });

  const staged = policyOf({ deployment: { ...policyOf().deployment, after: 'staging' } });
  const ledgers = (staging: string[], held: string[] = []): Partial<Ports> => ({
    policy: async () => staged,
    ledger: async ({ environment }) =>
      environment === 'staging'
        ? { environment, changes: [], verified: staging.map(good) }
        : { ...running, held: held.map((version) => ({ version, reason: 'it was rolled back', at: good('x').at })) },
  });
  it('when the same content was never verified in the environment before', async () => {
    const run = await start(ledgers(['1.3.9']));
    expect((await run.result()).note).toContain('this content was never verified in staging');
    expect(run.calls).not.toContain('requestChange');
  });

  it('when the version is held', async () => {
    const run = await start(ledgers(['1.4.0'], ['1.4.0']));
    expect((await run.result()).note).toContain('1.4.0 is held: it was rolled back');
  });

  it('but an override with a reason lets it, to which a second person agrees', async () => {
    const run = await start(ledgers([], ['1.4.0']), { override: 'the fix for the outage' });
    const { proposal } = await run.until(({ phase }) => phase === 'waiting');
    expect(proposal?.why[0]).toContain('override: the fix for the outage; it breaks: this content was never verified');
    expect(proposal?.notBy).toEqual(['responder']);
    await approved(run);
    expect(await run.result()).toMatchObject({ outcome: 'released' });
  });

  it('takes what was verified last before, at its very commit, when no ref is named', async () => {
    const refs: string[] = [];
    const { ref: _, ...without } = order;
    const run = await time.start('productionDeployment', without, {
      ...ledgers(['1.4.0', '1.3.0']),
      candidate: async ({ ref }) => {
        refs.push(ref);
        return { version: '1.4.0', commit: ref, digest: 'tree:1.4.0', commits: [], commitCount: 0 };
      },
    });
    expect((await run.until(({ phase }) => phase === 'waiting')).proposal?.action).toMatchObject({ version: '1.4.0' });
    expect(refs).toEqual(['commit-of-1.4.0']);
    await run.handle.signal('stop', { by: 'test' });
    expect(await run.result()).toMatchObject({ outcome: 'stopped' });
  });
});

it('is refused when something else runs by the time it may act, for its undo would return to the wrong release', async () => {
  let version = '1.3.0';
  const run = await start({
    recentReleases: async () => ({ running: release(version), recent: [], maxInstances: 4 }),
  });
  await run.until(({ phase }) => phase === 'waiting');
  version = '1.2.0';
  await approved(run);
  expect(await run.result()).toEqual({
    outcome: 'refused',
    note: '1.2.0 runs by now, not 1.3.0 as when it was approved: deploy again',
    version: '1.4.0',
  });
  expect(run.traffic).toEqual([]);
  expect(run.reports).toEqual([expect.not.objectContaining({ running: expect.anything() })]);
});

it('waits outside of its window, says until when, and goes on when it opens', async () => {
  let opens: number | undefined;
  const run = await start({
    deploymentWindow: async ({ at }) => {
      opens ??= Date.parse(at) + 9 * 3600 * 1000;
      const open = Date.parse(at) >= opens;
      return { open, reason: open ? 'open' : 'deployments are made on weekdays', until: new Date(opens).toISOString() };
    },
  });
  await approved(run);
  const waiting = await run.until(({ doing }) => doing.includes('weekdays'));
  expect(waiting.waitingUntil).toBe(new Date(opens ?? 0).toISOString());
  expect(run.traffic).toEqual([]);
  expect(await run.result()).toMatchObject({ outcome: 'released' });
});

it('may not widen while a freeze lasts that began in its bake, watches on, and goes on after it', async () => {
  let asked = 0;
  let looked = 0;
  const requestChange = async (): Promise<Grant> => {
    asked += 1;
    return asked > 3 && asked < 10
      ? { granted: false, because: 'frozen', reason: 'production is frozen by cto: audit' }
      : { granted: true, fence: asked };
  };
  const run = await start({
    requestChange,
    compareReleases: async () => {
      looked += 1;
      return { canary: well, running: well, windowSeconds: 60 };
    },
  });
  await approved(run);
  await run.until(({ doing }) => doing.includes('frozen by cto'));
  const before = looked;
  expect(run.traffic).toEqual(['1.4.0:5']);
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect(looked).toBeGreaterThan(before + 4);
});

it('takes a canary back that turns bad while a freeze lasts that began in its bake, without waiting for its end', async () => {
  let asked = 0;
  let canary = well;
  const run = await start({
    requestChange: async (): Promise<Grant> => {
      asked += 1;
      return asked > 3
        ? { granted: false, because: 'frozen', reason: 'production is frozen by cto: audit' }
        : { granted: true, fence: asked };
    },
    compareReleases: async () => ({ canary, running: well, windowSeconds: 60 }),
  });
  await approved(run);
  await run.until(({ doing }) => doing.includes('frozen by cto'));
  expect(run.traffic).toEqual(['1.4.0:5']);
  canary = bad;
  expect(await run.result()).toMatchObject({
    outcome: 'rolled-back',
    note: expect.stringContaining('is worse than 1.3.0'),
  });
  expect(run.traffic.slice(0, 2)).toEqual(['1.4.0:5', '1.4.0:0']);
  expect(run.traffic.filter((shift) => !shift.endsWith(':0'))).toEqual(['1.4.0:5']);
  expect(run.reports).toMatchObject([{ result: 'undone', running: '1.3.0', held: { version: '1.4.0' } }]);
});

it('leaves the traffic to a rollback that has taken over', async () => {
  const run = await start();
  await approved(run);
  await run.until(({ steps = [] }) => steps.some(({ name, state }) => name.includes('25 %') && state === 'running'));
  await run.handle.signal('supersede', { by: 'rollback.shop.production' });
  expect(await run.result()).toMatchObject({ outcome: 'superseded' });
  expect(run.traffic).toEqual(['1.4.0:5', '1.4.0:25']);
});

it('ends when a later change has acted meanwhile, without touching the traffic again', async () => {
  const run = await start({
    shiftTraffic: async ({ weight }) => {
      if (weight === 25) throw failure('Fenced', 'a later change (7) has acted');
      return { changed: true, summary: 'shifted' };
    },
  });
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'superseded' });
  expect(run.calls.filter((call) => call === 'shiftTraffic')).toHaveLength(2);
});

it('takes back what was done when a person stops it', async () => {
  const run = await start();
  await approved(run);
  await run.until(({ steps = [] }) => steps.some(({ name, state }) => name.includes('5 %') && state === 'running'));
  await run.handle.signal('stop', { by: 'lead' });
  expect(await run.result()).toMatchObject({ outcome: 'stopped', note: expect.stringContaining('taken back') });
  expect(run.traffic.at(-1)).toBe('1.4.0:0');
});

it('leaves everything as it is when a person takes over', async () => {
  const run = await start();
  await approved(run);
  await run.until(({ steps = [] }) => steps.some(({ name, state }) => name.includes('5 %') && state === 'running'));
  await run.handle.signal('takeOver', { by: 'lead' });
  expect(await run.result()).toMatchObject({ outcome: 'taken-over' });
  expect(run.traffic).toEqual(['1.4.0:5']);
});

it('gives the first release of an environment all of the traffic, for there is nothing to compare it with', async () => {
  const run = await start({
    ledger: async () => ({ ...scope, changes: [] }),
    recentReleases: async () => ({ recent: [], maxInstances: 4 }),
  });
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect(run.traffic).toEqual(['1.4.0:all']);
});
