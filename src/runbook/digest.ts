import type { Learned } from '../contracts/index.ts';
import { spanOf } from './review-causes.ts';

const MONDAY = 1;
const HOUR = 9;
const WEEK_MS = 7 * 86_400_000;
const SHOWN = 10;

/** The next Monday at nine, UTC, after a moment (ms since the epoch). */
export function nextDigest(now: number): number {
  const at = new Date(now);
  at.setUTCHours(HOUR, 0, 0, 0);
  const days = (MONDAY - at.getUTCDay() + 7) % 7;
  const next = at.getTime() + days * 86_400_000;
  return next > now ? next : next + WEEK_MS;
}

const median = (values: number[]): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** What a service has learned since a moment, as plain text; undefined where there is nothing to tell. */
export function digestOf(learned: Learned[], { since, now }: { since: string; now: string }): string | undefined {
  const ended = learned.filter(({ times, drill }) => times.endedAt >= since && drill === undefined);
  const open = learned.flatMap(({ openItems }) => openItems);
  const overdue = open.filter(({ dueAt }) => dueAt < now);
  if (ended.length === 0 && open.length === 0) return undefined;
  const between = (from: 'beganAt' | 'detectedAt', to: 'detectedAt' | 'acknowledgedAt' | 'mitigatedAt'): string => {
    const spans = ended.flatMap(({ times }) => {
      const at = times[to];
      return at === undefined ? [] : [Date.parse(at) - Date.parse(times[from])];
    });
    const middle = median(spans);
    return middle === undefined ? '-' : spanOf(middle);
  };
  const spent = ended.reduce((sum, { budgetSpent = 0 }) => sum + budgetSpent, 0);
  const outcomes = Map.groupBy(ended, ({ outcome }) => outcome);
  const counts = [...outcomes].map(([outcome, all]) => `${all.length} ${outcome}`).join(', ');
  return [
    `${ended.length} ${ended.length === 1 ? 'review' : 'reviews'} since ${since.slice(0, 10)}${counts === '' ? '' : `: ${counts}`}`,
    ...(ended.length === 0
      ? []
      : [
          `Detected after ${between('beganAt', 'detectedAt')}, acknowledged after ${between('detectedAt', 'acknowledgedAt')}, mitigated after ${between('detectedAt', 'mitigatedAt')} (medians)`,
          `Error budget of thirty days spent: ${(spent * 100).toFixed(1)} %`,
        ]),
    ...ended.slice(0, SHOWN).map(({ title, times, causes, outcome }) => {
      const cause = causes[0] === undefined ? '' : `; cause (${causes[0].state}): ${causes[0].what}`;
      return `- ${times.detectedAt.slice(0, 10)} ${title}: ${outcome}${cause}`;
    }),
    `${open.length} action items are open, ${overdue.length} overdue`,
    ...overdue
      .slice(0, SHOWN)
      .map(({ title, owner, dueAt }) => `- overdue since ${dueAt.slice(0, 10)}: ${title} (${owner})`),
  ]
    .join('\n')
    .slice(0, 4000);
}
