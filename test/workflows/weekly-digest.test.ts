import type { Announcement, Learned } from '../../src/contracts/index.ts';
import { digestOf, nextDigest } from '../../src/runbook/digest.ts';
import { learnedOf, reviewOf } from '../../src/runbook/review.ts';
import { endedStatus } from '../support/ended.ts';
import { policyOf, skippedTime } from '../support/skipped-time.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 168 * HOUR_MS;
const learned = (): Learned => learnedOf(reviewOf(endedStatus(), policyOf(), { budgetSpent: 0.021, unknown: [] }));

it.each([
  ['2026-11-27T07:00:00Z', '2026-11-30T09:00:00Z'],
  ['2026-11-30T08:59:59Z', '2026-11-30T09:00:00Z'],
  ['2026-11-30T09:00:00Z', '2026-12-07T09:00:00Z'],
])('comes, seen from %s, at %s', (now, next) => {
  expect(nextDigest(Date.parse(now))).toBe(Date.parse(next));
});

it('tells what happened, how fast, at which price, and what is overdue', () => {
  const text = digestOf([learned()], { since: '2026-11-23T09:00:00Z', now: '2027-01-04T09:00:00Z' });
  expect(text?.split('\n')).toEqual([
    '1 review since 2026-11-23: 1 mitigated',
    'Detected after 3 minutes, acknowledged after 3 minutes, mitigated after 5 minutes (medians)',
    'Error budget of thirty days spent: 2.1 %',
    '- 2026-11-24 High error rate: mitigated; cause (suspected): the release v2',
    '2 action items are open, 2 overdue',
    '- overdue since 2026-12-01: Mend v2 and release it again; until then it is held (responder)',
    '- overdue since 2026-12-01: Let "load" be read again (responder)',
  ]);
});

it('is announced every Monday, each week once, and not where there is nothing to say', async () => {
  const time = await skippedTime();
  try {
    const announced: Announcement[] = [];
    const asked: string[] = [];
    const { keep, handle } = await time.start(
      'weeklyDigest',
      { service: 'shop', environment: 'production' },
      {
        policy: async () => policyOf({ announce: ['slack', 'mail'] }),
        learnedSince: async ({ since }) => (asked.push(since) === 2 ? [] : [learned()]),
        announce: async ({ announcement }) => void announced.push(announcement),
      },
    );
    await time.env.sleep(3 * WEEK_MS + HOUR_MS);
    expect(asked).toHaveLength(3);
    expect(announced).toHaveLength(4); // two channels, two of three weeks
    expect(new Set(announced.map(({ at }) => `${new Date(at).getUTCDay()} ${at.slice(11, 16)}`))).toEqual(
      new Set(['1 09:00']),
    );
    expect(Date.parse(asked[2] ?? '') - Date.parse(asked[1] ?? '')).toBeLessThan(WEEK_MS + HOUR_MS);
    await keep('watching', handle.firstExecutionRunId);
  } finally {
    await time.close();
  }
});
