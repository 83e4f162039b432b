import { ReviewSettings, type DeploymentOrder, type Ledger } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const at = '2026-11-23T08:00:00Z';
const good = (version: string) => ({ version, commit: `commit-of-${version}`, digest: `tree:${version}`, at });
const ledger = (change: Partial<Ledger> = {}): Ledger => ({
  environment: 'production',
  running: '1.4.0',
  verified: ['1.4.0', '1.3.0', '1.2.0'].map(good),
  changes: [],
  ...change,
});
const release = (version: string) => ({
  version,
  commit: `commit-of-${version}`,
  deployedAt: at,
  weight: 1,
  instances: 2,
});
async function start(overrides: Partial<Ports> = {}, of: Partial<DeploymentOrder> = {}) {
  const traffic: string[] = [];
  const asked: object[] = [];
  const reports: object[] = [];
  const order = { service: 'shop', environment: 'production', orderedBy: 'cli:responder', ...of };
  const run = await time.start('rollback', order, {
    ledger: async () => ledger(),
    recentReleases: async () => ({ running: release('1.4.0'), recent: [], maxInstances: 4 }),
    errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
    release: async ({ ref, commit }) => {
      traffic.push(`${ref} at ${commit}`);
      return { changed: true, summary: `${ref} runs` };
    },
    requestChange: async ({ kind }) => {
      asked.push({ kind });
      return { granted: true, fence: 9 };
    },
    reportChange: async (report) => void reports.push(report),
    ...overrides,
  });
  return { ...run, traffic, asked, reports };
}

it('returns to the last verified good version without an approval, holds the bad one, and tells the team', async () => {
  const run = await start();
  const note = '1.3.0 runs in production again instead of 1.4.0';
  expect(await run.result()).toEqual({ outcome: 'released', note, version: '1.3.0' });
  expect(run.traffic).toEqual(['1.3.0 at commit-of-1.3.0']);
  expect(run.asked).toEqual([{ kind: 'roll-back' }]);
  expect(run.reports).toMatchObject([{ result: 'verified', running: '1.3.0', held: { version: '1.4.0' } }]);
  expect(run.pages).toEqual([{ person: 'responder', level: 'development-team', asks: false }]);
  expect(run.calls).not.toContain('deploymentWindow');
});

it('is recorded and reviewed, and the release that it took back is suspected and is to be mended', async () => {
  const run = await start({ policy: async () => policyOf({ review: ReviewSettings.parse({}) }) });
  await run.result();
  while (run.reviews.at(-1)?.document === undefined) await time.env.sleep('1 second');
  const status = await run.status();
  const { at } = status.attempts?.[0] ?? {};
  expect(run.reviews.at(-1)).toMatchObject({
    id: `review.${status.workflowId}.${status.runId}`,
    runbook: 'rollback',
    outcome: 'released',
    times: { mitigatedAt: at },
    attempts: [{ kind: 'roll-back', target: '1.4.0', result: 'helped' }],
    causes: [{ what: 'the release 1.4.0', evidence: ['roll back to 1.3.0: it helped'], state: 'suspected' }],
    gaps: ['no alert raised it: responder did'],
    actionItems: [{ title: 'Mend 1.4.0 and release it again; until then it is held' }],
  });
  expect(run.documents.at(-1)).toContain('Revert the deployment: 1.3.0 runs');
  expect(run.records.at(-1)).toMatchObject({ outcome: 'released', attempts: [{ target: '1.4.0' }] });
});

it('has no review where it found nothing to return to', async () => {
  const review = ReviewSettings.parse({});
  const run = await start({ policy: async () => policyOf({ review }) }, { ref: '0.9.0' });
  expect(await run.result()).toMatchObject({ outcome: 'refused' });
  expect(run.calls).not.toContain('publishReview');
});

it('refuses to roll back to what runs already, which it would hold', async () => {
  const run = await start({}, { ref: '1.4.0' });
  expect(await run.result()).toMatchObject({ outcome: 'refused', note: '1.4.0 is what runs now: name another' });
  expect([run.traffic, run.reports]).toEqual([[], []]);
});

it('skips what is held, and what the schema can no longer serve', async () => {
  const held = [{ version: '1.3.0', reason: 'rolled back', at }];
  const skipping = await start({ ledger: async () => ledger({ held }) });
  await skipping.result();
  expect(skipping.traffic).toEqual(['1.2.0 at commit-of-1.2.0']);
});

const unserved: Partial<Ports> = {
  servable: async ({ commits }) =>
    commits.map((commit) => {
      const servable = commit.endsWith('1.2.0');
      return { commit, servable, reason: servable ? 'it has all' : '0007-drop.sql took orders.note away' };
    }),
};
it('waits for as long as another change is being made, and says what to do about that', async () => {
  let asked = 0;
  const run = await start({
    requestChange: async () => {
      asked += 1;
      if (asked > 50) return { granted: true, fence: 9 };
      return { granted: false, because: 'busy', reason: 'another change runs: make an index (incident.shop)' };
    },
  });
  const { doing } = await run.until(({ doing: now }) => now.includes('another change'));
  expect(doing).toContain('(incident.shop); take that over, and this goes on when its act has ended');
  expect(await run.result()).toMatchObject({ outcome: 'released' });
});

it('goes nowhere where a deployment that it took over from has taken from the schema what the target needs', async () => {
  const asked: object[] = [];
  const run = await start({
    servable: async ({ commits, under }) => {
      if (under !== undefined) asked.push(under);
      const servable = under === undefined;
      return commits.map((commit) => ({ commit, servable, reason: '0007-drop.sql took orders.note away' }));
    },
  });
  const note = '1.3.0: 0007-drop.sql took orders.note away';
  expect(await run.result()).toMatchObject({ outcome: 'refused', note });
  expect(asked).toMatchObject([{ fence: 9 }]);
  expect(run.traffic).toEqual([]);
});

it('takes the next older one where the schema can no longer serve the newest', async () => {
  const run = await start(unserved);
  await run.result();
  expect(run.traffic).toEqual(['1.2.0 at commit-of-1.2.0']);
});

it('refuses a version by name that the schema can no longer serve, with the reason, and one that was never good', async () => {
  const run = await start(unserved, { ref: '1.3.0' });
  expect(await run.result()).toEqual({ outcome: 'refused', note: '1.3.0: 0007-drop.sql took orders.note away' });
  expect(run.traffic).toEqual([]);
});

it('refuses what was never verified good', async () => {
  const run = await start({}, { ref: '0.9.0' });
  expect(await run.result()).toEqual({ outcome: 'refused', note: 'no verified good version 0.9.0 is known' });
});

it('pages a person when the version it returned to is not healthy either', async () => {
  const run = await start({ errorRatio: async () => ({ ratio: 0.4, requests: 1000, windowSeconds: 300 }) });
  const note = 'errors or response times are beyond their objectives: 40 % of 1000 requests failed';
  expect(await run.result()).toMatchObject({ note: expect.stringContaining(note) });
  expect((await run.status()).attempts).toMatchObject([{ target: '1.4.0', result: 'not-helped' }]);
  await run.handedOver();
  expect(run.pages.filter(({ asks }) => !asks)).toHaveLength(1);
});

it('takes a canary away, and holds it, where a deployment is under way: what runs was good', async () => {
  const run = await start({
    recentReleases: async () => ({
      running: release('1.4.0'),
      canary: { version: '1.5.0', weight: 0.05 },
      recent: [],
      maxInstances: 4,
    }),
  });
  expect(await run.result()).toMatchObject({ note: '1.4.0 runs in production again instead of 1.5.0' });
  expect(run.traffic).toEqual(['1.4.0 at commit-of-1.4.0']);
  expect(run.reports).toMatchObject([{ running: '1.4.0', held: { version: '1.5.0' } }]);
});

it('is not held by a database that cannot be asked about its schema, and says so', async () => {
  const run = await start({
    servable: async () => {
      throw failure('NotAllowed', 'database: password authentication failed');
    },
  });
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  expect(JSON.stringify((await run.status()).steps)).toContain('not checked against the schema: database: password');
});

it('tells the ledger what really has the traffic, when the version it returned to is not healthy either', async () => {
  const run = await start({ errorRatio: async () => ({ ratio: 0.4, requests: 1000, windowSeconds: 300 }) });
  expect((await run.result()).note).toContain('1.3.0 has the traffic');
  expect(run.reports).toMatchObject([{ result: 'failed', running: '1.3.0' }]);
});

it('touches nothing in mode propose, whoever has started it', async () => {
  const run = await start({ policy: async () => policyOf({ mode: 'propose' }) });
  expect(await run.result()).toMatchObject({ outcome: 'refused', note: expect.stringContaining("set mode: 'act'") });
  expect([run.traffic, run.asked]).toEqual([[], []]);
});
