import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import { ReviewSettings, type Review, type Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { assertDocumented } from '../support/documented.ts';
import { endedStatus } from '../support/ended.ts';
import { incident, lookUntil, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const DAY_MS = 86_400_000;
const reviewed = (change: Partial<ReviewSettings> = {}) =>
  policyOf({ announce: ['console'], review: ReviewSettings.parse(change) });

/** An incident that ends now, and its review. */
async function startReview(
  overrides: Partial<Ports> = {},
  settings: Partial<ReviewSettings> = {},
  change: Partial<Status> = {},
) {
  const shift = (await time.env.currentTimeMs()) - Date.parse('2026-11-24T09:14:00Z');
  const shifted = JSON.parse(JSON.stringify(endedStatus(change)), (_, value: unknown) =>
    typeof value === 'string' && /^2026-11-24T\S+Z$/.test(value)
      ? new Date(Date.parse(value) + shift).toISOString()
      : value,
  ) as Status;
  const run = await time.start(
    'postIncident',
    { status: shifted, policy: reviewed(settings) },
    { policy: async () => reviewed(settings), ...overrides },
  );
  const review = () => run.handle.query<Review>('review');
  return {
    ...run,
    shifted,
    review,
    async until(condition: (review: Review) => boolean): Promise<Review> {
      const look = () => review().catch(() => undefined);
      return (await lookUntil(time.env, look, (now) => now !== undefined && condition(now))) as Review;
    },
    say: (update: string, word: object) => run.handle.executeUpdate<Review, [object]>(update, { args: [word] }),
    closeItems: async (now: Review) => {
      for (const { id } of now.actionItems.filter(({ id, state }) => state === 'open' && id !== 'confirm-the-cause'))
        await run.handle.executeUpdate('closeItem', { args: [{ by: 'responder', item: id, text: 'mended' }] });
    },
  };
}

it('begins when an incident ends, and publishes and records all that the incident told', async () => {
  const run = await time.start('highErrorRate', incident(), { policy: async () => reviewed() });
  await run.decide('approved', 'lead');
  await run.result();
  const status = await run.status();
  const id = `review.${status.workflowId}.${status.runId}`;
  const handle = time.env.client.workflow.getHandle(id);
  while (run.reviews.at(-1)?.document === undefined) await time.env.sleep('1 second');
  expect(await handle.query<Review>('review')).toEqual(run.reviews.at(-1));
  expect(run.reviews.at(-1)).toMatchObject({
    id,
    outcome: 'mitigated',
    state: 'open',
    impact: { users: { count: 12 }, requests: 1000, unknown: [] },
    attempts: [{ kind: 'roll-back', target: 'v2', result: 'helped' }],
    causes: [{ id: 'roll-back:v2', state: 'suspected' }, { id: 'check:correlated releases and flags' }],
  });
  assertDocumented(run.documents.at(-1) ?? '', status, await handle.query<Review>('review'));
});

it('begins none where the configuration has no reviews', async () => {
  const run = await time.start('highErrorRate', incident());
  await run.decide('approved', 'lead');
  await run.result();
  expect(run.calls).not.toContain('publishReview');
});

it('is open until its cause is confirmed and its action items are done, and keeps who said what', async () => {
  const run = await startReview();
  const before = await run.until(({ document }) => document !== undefined);
  await expect(run.say('confirmCause', { by: 'nobody', cause: '1' })).rejects.toThrow();
  await expect(run.say('closeItem', { by: 'lead', item: 'confirm-the-cause' })).rejects.toThrow();
  await run.say('confirmCause', { by: 'lead', cause: '1', reason: 'the price was renamed' });
  await run.say('changeItem', { by: 'lead', item: 'unknown-check', owner: 'cto' });
  expect((await run.review()).actionItems).toContainEqual(
    expect.objectContaining({ id: 'unknown-check', owner: 'cto' }),
  );
  await run.closeItems(before);
  const ended = (await run.result()) as unknown as Review;
  expect(ended).toMatchObject({
    state: 'closed',
    causes: [{ what: 'the release v2', state: 'confirmed' }, { state: 'ruled-out' }],
    decisions: [
      { by: 'lead', reason: 'the price was renamed', before: ['the release v2 (suspected)', expect.any(String)] },
    ],
  });
  expect(run.documents.at(-1)).toContain('lead said: the release v2, because the price was renamed');
  expect(run.reviews.at(-1)).toMatchObject({ state: 'closed', revision: ended.revision });
});

it('may be skipped with a reason, by somebody who is known, and still sees to its action items', async () => {
  const run = await startReview();
  const before = await run.until(({ document }) => document !== undefined);
  await run.handle.signal('skipReview', { by: 'nobody', text: 'I say so' });
  await run.handle.signal('skipReview', { by: 'lead', text: '' });
  await run.handle.signal('skipReview', { by: 'lead', text: 'a drill' });
  await run.until(({ skipped }) => skipped !== undefined);
  await run.closeItems(before);
  expect(await run.result()).toMatchObject({ state: 'skipped', skipped: { by: 'lead', reason: 'a drill' } });
  expect(run.documents.at(-1)).toContain('Review: skipped by lead: a drill');
});

describe('a colleague who is new in the configuration', () => {
  /** A review that is open, and the configuration when somebody has joined. */
  async function withNewcomer() {
    let people = reviewed().people;
    const reads: string[] = [];
    const run = await startReview({
      policy: async () => {
        reads.push('policy');
        return { ...reviewed(), people };
      },
    });
    await run.until(({ document }) => document !== undefined);
    const join = () => (people = [...people, { name: 'newcomer', roles: ['responder'], channels: [] }]);
    return { run, join, reads };
  }

  it('is taken at their word at once', async () => {
    const { run, join, reads } = await withNewcomer();
    const word = { by: 'newcomer', cause: '1', item: 'unknown-check' };
    for (const update of ['confirmCause', 'closeItem'])
      await expect(run.say(update, word)).rejects.toMatchObject({
        cause: { message: expect.stringContaining('"newcomer" is nobody') },
      });
    await expect(run.say('changeItem', { ...word, by: 'lead', owner: 'newcomer' })).rejects.toThrow();
    join();
    const owned = await run.say('changeItem', { ...word, by: 'lead', owner: 'newcomer' });
    expect(owned.actionItems).toContainEqual(expect.objectContaining({ id: 'unknown-check', owner: 'newcomer' }));
    const before = reads.length;
    const { decisions } = await run.say('confirmCause', word);
    expect(decisions).toMatchObject([{ by: 'newcomer' }]);
    const { actionItems } = await run.say('closeItem', word);
    expect(actionItems).toContainEqual(expect.objectContaining({ id: 'unknown-check', closedBy: 'newcomer' }));
    expect(reads).toHaveLength(before); // known by then
    await run.closeItems(await run.review());
    await run.result();
  });

  it('may skip it by a signal', async () => {
    const { run, join } = await withNewcomer();
    join();
    await run.handle.signal('skipReview', { by: 'newcomer', text: 'a drill' });
    expect((await run.until(({ skipped }) => skipped !== undefined)).skipped).toMatchObject({ by: 'newcomer' });
  });
});

it('loses nothing while record and repository are away for a day, and reminds meanwhile', async () => {
  const since = await time.env.currentTimeMs();
  const reviews: Review[] = [];
  const away = async () => {
    if ((await time.env.currentTimeMs()) - since < DAY_MS) throw failure('Unavailable', 'it is away');
  };
  const run = await startReview({
    recordReview: async (review) => {
      await away();
      reviews.push(review);
    },
    publishReview: async () => {
      await away();
      return { path: 'postmortems/a.md', commit: 'a' };
    },
  });
  await run.until(() => run.pages.length > 0);
  await run.say('confirmCause', { by: 'lead', cause: '1' });
  await time.env.sleep('26 hours');
  expect(reviews.at(-1)).toEqual(await run.review());
  expect(reviews.at(-1)).toMatchObject({ decisions: [{ by: 'lead' }], document: { commit: 'a' } });
});

it('reminds for two months, each time once, while the workers are restarted in between', async () => {
  const pages = new Map<string, number>();
  const simulator = createSimulator({
    policy: async () => reviewed(),
    page: async ({ page: { key, person, subject } }) => {
      if (subject.startsWith('Action item')) pages.set(`${key} ${person}`, (pages.get(`${key} ${person}`) ?? 0) + 1);
    },
  });
  const bundle = await workflowBundle('.holdfast');
  const workDays = async (days: number): Promise<void> => {
    const worker = await Worker.create({
      connection: time.env.nativeConnection,
      taskQueue: 'reviews',
      workflowBundle: bundle,
      activities: simulator.ports,
      maxCachedWorkflows: 0, // the test server waits for ever on the queue of a worker that is gone
      sinks: { failures: { workflowFailed: { fn: () => undefined } } },
    });
    await worker.runUntil(() => time.env.sleep(days * DAY_MS));
  };
  const status = endedStatus({ findings: [] });
  const endedAt = new Date(await time.env.currentTimeMs()).toISOString();
  const timeline = status.timeline.map((line) => ({ ...line, at: endedAt }));
  const handle = await time.env.client.workflow.start('postIncident', {
    workflowId: 'two-months',
    taskQueue: 'reviews',
    args: [{ status: { ...status, timeline }, policy: reviewed() }],
  });
  for (let rounds = 0; rounds < 6; rounds += 1) await workDays(10);
  await handle.terminate();
  const people = (item: string, person: string) =>
    [...pages.keys()].filter((key) => key.includes(`:${item}:`) && key.endsWith(` ${person}`));
  expect([...pages.values()].every((times) => times === 1)).toBe(true);
  for (const item of ['confirm-the-cause', 'mend-the-release']) {
    expect(people(item, 'responder')).toHaveLength(9); // a day before, when due, and each of seven weeks after
    expect(people(item, 'lead')).toHaveLength(1);
    expect(people(item, 'cto')).toHaveLength(6);
  }
});

it('goes on in a new run when this one has grown long, with all that was said', async () => {
  const run = await startReview();
  await run.until(({ document }) => document !== undefined);
  const first = (await run.handle.describe()).runId;
  const handle = time.env.client.workflow.getHandle(run.handle.workflowId);
  for (let times = 0; (await handle.describe()).runId === first; times += 1)
    await handle.executeUpdate('changeItem', {
      args: [{ by: 'lead', item: 'unknown-check', owner: times % 2 === 0 ? 'cto' : 'lead' }],
    });
  await handle.executeUpdate('confirmCause', { args: [{ by: 'lead', cause: '1' }] });
  const told = run.pages.length;
  const now = await handle.query<Review>('review');
  expect(now).toMatchObject({ document: { commit: expect.any(String) }, decisions: [{ by: 'lead' }] });
  expect(now.revision).toBeGreaterThan(50);
  expect(run.pages).toHaveLength(told);
});

it('reviews a run of 5,000 lines within what Temporal takes, with both ends of it in the document, and goes on so', async () => {
  const { timeline } = endedStatus();
  const told = (i: number) => ({
    at: '2026-11-24T09:10:00.000Z',
    kind: i % 2 === 0 ? 'checked' : 'note',
    what: `${i} ${'x'.repeat(180)}`,
  });
  const lines = Array.from({ length: 5000 - timeline.length }, (_, i) => told(i));
  const run = await startReview({}, {}, { timeline: [...timeline.slice(0, -1), ...lines, ...timeline.slice(-1)] });
  expect(run.shifted.timeline).toHaveLength(5000);
  const review = await run.until(({ document }) => document !== undefined);
  const document = run.documents.at(-1) ?? '';
  assertDocumented(document, run.shifted, review);
  expect(document).toContain('4800 lines are left out here');
  const { runId, workflowId } = await run.handle.describe();
  const handle = time.env.client.workflow.getHandle(workflowId);
  await handle.signal('upgrade');
  await lookUntil(
    time.env,
    () => handle.describe(),
    (now) => now.runId !== runId,
  );
  expect(await handle.query<Review>('review')).toMatchObject({ document: review.document });
  const [, ...before] = (await time.env.client.workflow.getHandle(workflowId, runId).fetchHistory()).events ?? [];
  const after = (await handle.fetchHistory()).events ?? [];
  const { HistoryEvent } = temporal.api.history.v1;
  const largest = Math.max(...[...before, ...after].map((event) => HistoryEvent.encode(event).finish().length));
  expect(largest).toBeLessThan(256 * 1024);
});

it('shares what was learnt once: where everybody follows, and with each owner what is theirs', async () => {
  const [announced, paged]: [object[], string[]] = [[], []];
  const run = await startReview({
    announce: async ({ channel, announcement: { subject, text } }) => void announced.push({ channel, subject, text }),
    page: async ({ page: { person, subject } }) => void paged.push(`${person}: ${subject}`),
  });
  await run.until(() => announced.length > 0 && paged.length > 0);
  await time.env.sleep('2 hours');
  expect(announced).toEqual([
    {
      channel: 'console',
      subject: 'Review of High error rate on shop: mitigated',
      text: expect.stringContaining('the release v2'),
    },
  ]);
  expect(paged).toEqual(['responder: Yours after High error rate: 3 action items']);
});

it('files its action items as issues where that is configured, and closes those that the tracker has closed', async () => {
  const closed = new Set<string>();
  const run = await startReview(
    {
      fileIssue: async ({ item }) => ({ url: `https://tracker.test/${item.id}` }),
      issueClosed: async ({ url }) => closed.has(url),
    },
    { issues: true },
  );
  await run.until(({ actionItems }) => actionItems.every(({ issue }) => issue !== undefined));
  for (const id of ['unknown-check', 'confirm-the-cause']) closed.add(`https://tracker.test/${id}`);
  await time.env.sleep('25 hours');
  const { actionItems } = await run.review();
  expect(actionItems.find(({ id }) => id === 'unknown-check')).toMatchObject({ state: 'done', closedBy: 'tracker' });
  expect(actionItems.find(({ id }) => id === 'confirm-the-cause')).toMatchObject({ state: 'open' }); // a person's to say
});

it('tells those who approve which incident this one resembles, and what helped then', async () => {
  const then = {
    workflowId: 'incident.shop.high-error-rate',
    at: '2026-11-24T09:04:00.000Z',
    likeness: 1,
    outcome: 'mitigated' as const,
    attempts: [{ kind: 'roll-back' as const, target: 'v1', result: 'helped' as const, tookMs: 240_000 }],
  };
  const run = await time.start('highErrorRate', incident(), {
    policy: async () => reviewed(),
    resembling: async ({ fingerprint }) => (fingerprint.includes('says:no price') ? [then] : []),
  });
  const waiting = await run.until(({ phase }) => phase === 'waiting');
  const says = 'this resembles incident.shop.high-error-rate of 2026-11-24 (100 % alike): roll-back helped, 4 minutes';
  expect(waiting.proposal?.why.at(-1)).toBe(says);
  expect(waiting.timeline.map(({ what }) => what)).toContain(says);
});

it('says how much later than the first error of the bad release it was detected, though another runs by then', async () => {
  const asked: unknown[] = [];
  const run = await startReview({
    errorPatterns: async ({ release }) => {
      asked.push(release);
      const firstSeen = new Date((await time.env.currentTimeMs()) - 15 * 60_000).toISOString();
      return [
        { id: '1', title: 'TypeError', count: 40, firstSeen, lastSeen: firstSeen, newInRelease: release === 'v2' },
      ];
    },
  });
  const { gaps } = await run.until(({ impact }) => impact.firstErrorAt !== undefined);
  expect(asked).toEqual(['v2']);
  expect(gaps).toContainEqual(expect.stringMatching(/^it was opened (4\.\d|5) minutes after the first error$/));
});
