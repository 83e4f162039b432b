/** A production deployment while people take their time, change their minds, or have changed the world meanwhile. */
import type { Comparison, DeploymentOrder, MigrationPlan, Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { policyOf, skippedTime, type SkippedRun, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const at = '2026-11-23T08:00:00Z';
const good = (version: string) => ({ version, commit: `commit-of-${version}`, digest: `tree:${version}`, at });
const running = { environment: 'production', running: '1.3.0', verified: [good('1.3.0')], changes: [] };
const order: DeploymentOrder = { service: 'shop', environment: 'production', ref: '1.4.0', orderedBy: 'cli:responder' };
const well = { requests: 1000, errorRatio: 0, p95Ms: 90 };
const few: Comparison = { canary: { ...well, requests: 3 }, running: well, windowSeconds: 60 };
const bad: Comparison = { canary: { ...well, errorRatio: 0.3 }, running: well, windowSeconds: 60 };

async function start(overrides: Partial<Ports> = {}, of: Partial<DeploymentOrder> = {}) {
  const did: string[] = [];
  const noted = (what: string) => {
    did.push(what);
    return { changed: true, summary: what };
  };
  const run = await time.start(
    'productionDeployment',
    { ...order, ...of },
    {
      ledger: async () => running,
      recentReleases: async () => ({
        running: { ...good('1.3.0'), deployedAt: at, weight: 1, instances: 2 },
        recent: [],
        maxInstances: 4,
      }),
      errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
      shiftTraffic: async ({ ref, weight }) => noted(`${ref}:${weight}`),
      release: async ({ ref }) => noted(`${ref}:all`),
      migrate: async ({ stage }) => noted(stage ?? 'contract'),
      ...overrides,
    },
  );
  return { ...run, did };
}
const approved = async (run: Pick<SkippedRun, 'decide'>) => {
  await run.decide('approved', 'lead');
  await run.decide('approved', 'cto');
};
const askedToGoOn = ({ phase, proposal }: Status) => phase === 'waiting' && proposal?.action.kind === 'go-on';

it('takes a canary back that turns bad while people are asked about it, without waiting for them', async () => {
  let comparison = few;
  const run = await start({ compareReleases: async () => comparison });
  await approved(run);
  await run.until(askedToGoOn);
  comparison = bad;
  expect(await run.result()).toMatchObject({
    outcome: 'rolled-back',
    note: expect.stringContaining('1.4.0 is worse than 1.3.0'),
  });
  expect(run.did).toEqual(['expand', '1.4.0:5', '1.4.0:0']);
});

it('takes a canary back that turns bad while the deployment is paused', async () => {
  let comparison: Comparison = { canary: well, running: well, windowSeconds: 60 };
  const run = await start({ compareReleases: async () => comparison });
  await approved(run);
  await run.until(({ steps = [] }) =>
    steps.some(({ name, state }) => name.startsWith('Canary') && state === 'running'),
  );
  await run.handle.signal('pause', { by: 'lead' });
  comparison = bad;
  expect(await run.result()).toMatchObject({ outcome: 'rolled-back' });
  expect(run.did.at(-1)).toBe('1.4.0:0');
});

const plan: MigrationPlan = {
  schema: '0001',
  pending: [
    { name: '0002-add', destroys: [], marked: false },
    { name: '0003-drop', destroys: ['drop column orders.express'], marked: true },
  ],
};

it('takes from the database what the release before may need only when the new one is verified', async () => {
  const reports: object[] = [];
  const run = await start({
    migrationPlan: async () => plan,
    reportChange: async (report) => void reports.push(report),
  });
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal?.why.join('\n')).toContain('Take from the database what nothing needs any more');
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'released', note: expect.stringContaining('verified good') });
  expect(run.did).toEqual(['expand', '1.4.0:5', '1.4.0:25', '1.4.0:all', 'contract']);
  expect(reports).toMatchObject([{ result: 'verified', release: { schema: '0003-drop' } }]);
});

it.each([
  ['stop', 'stopped'],
  ['takeOver', 'taken-over'],
])(
  'gives no traffic back to what the schema may no longer serve, when %s comes while it is changed',
  async (name, outcome) => {
    const run: Awaited<ReturnType<typeof start>> = await start({
      migrationPlan: async () => plan,
      migrate: async ({ stage }) => {
        if (stage === undefined) await run.handle.signal(name, { by: 'lead' });
        return { changed: true, summary: 'taken away' };
      },
    });
    await approved(run);
    expect(await run.result()).toMatchObject({ outcome });
    expect(run.did).toEqual(['1.4.0:5', '1.4.0:25', '1.4.0:all']);
  },
);

it('keeps the release where that last step fails and people leave it out', async () => {
  const reports: object[] = [];
  const run = await start({
    migrationPlan: async () => plan,
    reportChange: async (report) => void reports.push(report),
    migrate: async ({ stage }) => {
      if (stage === undefined) throw failure('Refused', 'another one depends on it');
      return { changed: true, summary: 'added' };
    },
  });
  await approved(run);
  const asked = await run.until(askedToGoOn);
  expect(asked.proposal?.summary).toContain('Rejecting leaves it out');
  await run.decide('declined', 'lead');
  expect(await run.result()).toMatchObject({ outcome: 'released', note: expect.stringContaining('verified good') });
  expect(reports).toMatchObject([{ result: 'verified', release: { schema: '0002-add' } }]);
});

it('does not count whoever made the token that ordered it', async () => {
  const run = await start({}, { orderedBy: 'token:ci', onBehalfOf: 'lead' });
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal?.notBy).toEqual(['lead']);
  await run.handle.signal('stop', { by: 'responder' });
  await run.result();
});

it('is refused when the version was taken back and held while people were asked', async () => {
  let ledger: object = running;
  const run = await start({ ledger: async () => ledger as never });
  await run.until(({ phase }) => phase === 'waiting');
  ledger = { ...running, held: [{ version: '1.4.0', reason: 'it loses orders', at }] };
  await approved(run);
  expect(await run.result()).toMatchObject({ outcome: 'refused', note: 'by now 1.4.0 is held: it loses orders' });
  expect(run.did).toEqual([]);
});

it('tells those who approve which flags differ from where it was verified', async () => {
  const flag = (name: string, enabled: boolean) => ({ flag: name, variant: 'on', off: 'off', enabled });
  const run = await start({
    policy: async () => policyOf({ deployment: { ...policyOf().deployment, after: 'staging' } }),
    ledger: async ({ environment }) =>
      environment === 'staging' ? { ...running, verified: [good('1.4.0')] } : running,
    flagStates: async ({ environment }) => [flag('express', environment === 'staging'), flag('gifts', true)],
  });
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal?.why).toContain('flags: other than in staging: express off here, on there');
  await run.decide('declined', 'lead');
  await run.result();
});

it('waits for what is under way when Temporal cancels it, before it takes anything back', async () => {
  let letGo = (): void => undefined;
  const released = new Promise<void>((resolve) => (letGo = resolve));
  const run = await start({
    release: async ({ ref }) => {
      if (ref === '1.4.0') await released;
      run.did.push(`${ref}:all`);
      return { changed: true, summary: ref };
    },
  });
  await approved(run);
  await run.until(({ steps = [] }) => steps.some(({ name, state }) => name.startsWith('Give') && state === 'running'));
  await run.handle.cancel();
  await run.until(({ timeline }) => timeline.length > 0);
  letGo();
  await expect(run.result()).rejects.toThrow('cancelled');
  expect(await run.status()).toMatchObject({ outcome: 'stopped' });
  const once = [...new Set(run.did)]; // what is slow, and does not beat, is tried again
  expect(once.slice(3, 5)).toEqual(['1.4.0:all', '1.3.0:all']);
});

it('pages nobody further when nobody has approved it, for nothing was done', async () => {
  const run = await start();
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  expect(run.did).toEqual([]);
  await expect(run.ladder(0).describe()).rejects.toThrow('not found');
  expect(run.pages.every(({ asks }) => asks)).toBe(true);
});

it('tells those who approve which files change, those that change most first', async () => {
  const run = await start({
    candidate: async ({ ref }) => ({
      version: '1.4.0',
      commit: `commit-of-${ref}`,
      digest: `tree:${ref}`,
      commits: [],
      commitCount: 3,
      files: [{ path: 'checkout.ts', added: 40, removed: 2 }],
      fileCount: 31,
    }),
  });
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal?.why).toContain('31 files: checkout.ts (+40 -2)');
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
});

describe('an override of the window alone', () => {
  const closed: Partial<Ports> = { deploymentWindow: async () => ({ open: false, reason: 'it is Friday night' }) };
  const alone = { override: 'a customer is down', overrides: 'window' } as const;

  it('lets it act outside of its window, when somebody else than who asked has agreed to the reason', async () => {
    const run = await start(closed, alone);
    const { proposal } = await run.until(({ phase }) => phase === 'waiting');
    expect(proposal?.why[0]).toBe('override: a customer is down; it breaks: windows and freezes');
    expect(proposal?.notBy).toEqual(['responder']);
    await approved(run);
    expect(await run.result()).toMatchObject({ outcome: 'released' });
    expect(run.calls).not.toContain('deploymentWindow');
  });

  it('breaks no other rule', async () => {
    const held = [{ version: '1.4.0', reason: 'it was rolled back', at }];
    const run = await start({ ...closed, ledger: async () => ({ ...running, held }) }, alone);
    expect(await run.result()).toMatchObject({
      outcome: 'refused',
      note: expect.stringContaining('1.4.0 is held: it was rolled back'),
    });
    expect(run.did).toEqual([]);
  });
});
