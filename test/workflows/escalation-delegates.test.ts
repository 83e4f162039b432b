/** Who has given deciding to another is not asked to decide meanwhile: the other is. */
import { simulatedPolicy } from '../../activities/simulator.ts';
import type { Page, Policy } from '../../src/contracts/index.ts';
import { incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';
import { until } from '../support/until.ts';

const HOUR_MS = 3_600_000;
let time: SkippedTime;
let pages: Page[];
beforeEach(async () => {
  time = await skippedTime();
  pages = [];
});
afterEach(() => time.close());

/** Everything as it is, but these have given deciding to `visitor`, hours from now on. */
async function away(names: string[], [from, until]: [number, number] = [-1, 24]): Promise<Policy> {
  const now = await time.env.currentTimeMs();
  const at = (hours: number): string => new Date(now + hours * HOUR_MS).toISOString();
  const delegates = [{ to: 'visitor', from: at(from), until: at(until) }];
  return policyOf({
    people: simulatedPolicy.people.map((one) => (names.includes(one.name) ? { ...one, delegates } : one)),
  });
}
const start = (type: string, policy: Policy, input: object = incident()) =>
  time.start(type, input, { policy: async () => policy, page: async ({ page }) => void pages.push(page) });
const asked = () => pages.filter(({ asks }) => asks !== undefined).map(({ person, level }) => `${person}, ${level}`);

it('pages and waits for whoever decides instead, says instead of whom, and takes that decision', async () => {
  const run = await start('highErrorRate', await away(['responder']));
  const { waitingFor, timeline } = await run.until(({ waitingFor: people }) => people.length > 0);
  expect(waitingFor).toEqual(['visitor']);
  expect(timeline).toContainEqual(
    expect.objectContaining({
      kind: 'paged',
      what: expect.stringContaining('(visitor instead of responder) to decide'),
    }),
  );
  await expect(run.decide('approved', 'responder')).rejects.toMatchObject({
    cause: { message: expect.stringContaining('visitor decides instead of responder') },
  });
  await run.decide('approved', 'visitor');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(asked()).toEqual(['visitor, development-team']);
  expect(pages[0]?.text).toMatch(/^You decide instead of responder\.\n/);
});

it('asks the next level as ever, and each person once', async () => {
  const ladder = [{ level: 'team', people: ['responder', 'lead', 'visitor'], wait: '5 minutes' }];
  const run = await start('highErrorRate', { ...(await away(['responder', 'lead'])), ladder });
  const { timeline } = await run.until(({ waitingFor }) => waitingFor.length > 0);
  expect(timeline.find(({ kind }) => kind === 'paged')?.what).toContain(
    '(visitor instead of responder and lead) to decide',
  );
  await until(() => asked().length > 0);
  expect(asked()).toEqual(['visitor, team']);
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
});

it('asks the person again where that has ended by the time the ladder comes there', async () => {
  const ladder = [
    { level: 'team', people: ['responder'], wait: '3 hours' },
    { level: 'leads', people: ['lead'], wait: '1 hour' },
  ];
  const run = await start('highErrorRate', { ...(await away(['responder', 'lead'], [-1, 2])), ladder });
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  expect(asked()).toEqual(['visitor, team', 'lead, leads']);
});

it('asks neither whoever wanted it, nor whoever decides instead of that person', async () => {
  const ladder = [
    { level: 'team', people: ['responder'], wait: '5 minutes' },
    { level: 'leads', people: ['lead'], wait: '5 minutes' },
  ];
  const wanted = { service: 'shop', environment: 'production', ref: '1.4.0', orderedBy: 'cli:responder' };
  const run = await start('productionDeployment', { ...(await away(['responder'])), ladder }, wanted);
  await run.until(({ waitingFor }) => waitingFor.length > 0);
  await until(() => asked().length > 0);
  expect(asked()).toEqual(['lead, leads']);
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
});

it('pages the person where a run hands over: there is nothing to decide', async () => {
  const run = await start('triage', await away(['responder']));
  await run.result();
  await until(() => pages.length > 0);
  expect(pages[0]).toMatchObject({ person: 'responder', level: 'development-team' });
  await run.ladder(0).signal('takeOver', { by: 'responder' });
});
