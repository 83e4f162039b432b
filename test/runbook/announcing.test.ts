import { pageKey, type Announcement, type Status } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const policy = async () => policyOf({ announce: ['slack'] });
const asked = ({ phase, waitingFor }: Status) => phase === 'waiting' && waitingFor.length > 0;
const states = (told: Announcement[]) => told.map(({ state, asks }) => `${state}${asks === undefined ? '' : ', asks'}`);

it('tells those who follow once per change of state', async () => {
  const told: Announcement[] = [];
  const run = await time.start('highErrorRate', incident(), {
    policy,
    announce: async ({ announcement }) => void told.push(announcement),
  });
  const { proposal, runId } = await run.until(asked);
  await run.handle.signal('acknowledge', { by: 'responder' });
  await run.until(({ acknowledgedBy }) => acknowledgedBy === 'responder');
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(states(told)).toEqual(['open', 'open, asks', 'acknowledged, asks', 'open', 'closed']);
  expect(told[1]).toMatchObject({
    runId,
    subject: expect.stringContaining('High error rate: shop production'),
    asks: { digest: proposal?.digest },
  });
  expect(told.map(({ at }) => at)).toEqual(told.map(({ at }) => at).toSorted());
});

it('leaves it open where a person must go on, until one has', async () => {
  const told: Announcement[] = [];
  const run = await time.start('highErrorRate', incident(), {
    policy: async () => policyOf({ announce: ['slack'], mode: 'observe' }),
    announce: async ({ announcement }) => void told.push(announcement),
  });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  expect(states(told)).toEqual(['open']);
  await run.handedOver();
  await run.ladder(0).signal('acknowledge', { by: 'lead' });
  await run.ladder(0).signal('takeOver', { by: 'lead' });
  await run.ladder(0).result();
  expect(states(told).at(-1)).toBe('closed');
  expect(new Set(told.map(({ workflowId, runId }) => `${workflowId}/${runId}`)).size).toBe(1);
});

it('never waits for them', async () => {
  let tries = 0;
  const run = await time.start('highErrorRate', incident(), {
    policy,
    announce: async () => {
      tries += 1;
      throw failure('Unavailable', 'Slack is away');
    },
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(tries).toBeGreaterThan(0);
});

it('names every page of the run, of each of its ladders, so that a channel can take them back', async () => {
  const told: Announcement[] = [];
  const keys = new Set<string>();
  const run = await time.start('highErrorRate', incident(), {
    policy,
    page: async ({ page: { key, runId, person, level, asks } }) => {
      keys.add(`${runId} ${key}`);
      run.pages.push({ person, level, asks: asks !== undefined });
    },
    announce: async ({ announcement }) => void told.push(announcement),
  });
  const sent = () => [...keys].toSorted();
  const named = () => {
    const { runId, paged = {} } = told.at(-1) ?? {};
    return Object.entries(paged)
      .flatMap(([first, { times }]) => Array.from({ length: times }, (_, i) => `${runId} ${pageKey(first, i + 1)}`))
      .toSorted();
  };
  await run.until(asked);
  await run.handle.signal('acknowledge', { by: 'responder' });
  await run.until(() => told.at(-1)?.state === 'acknowledged');
  expect(named()).toEqual(sent());
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  await run.handedOver();
  await run.ladder(0).signal('takeOver', { by: 'lead' });
  await run.ladder(0).result();
  expect(told.at(-1)?.state).toBe('closed');
  expect(sent()).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/#1:development-team:responder:2$/),
      expect.stringMatching(/:closed:/),
    ]),
  );
  expect(named()).toEqual(sent());
});
