/** What of an environment cannot be read though it should be, and since when. */
import type { MonitorSettings } from '../contracts/index.ts';
import type { Told } from './alerting.ts';
import { secondsOf } from './objectives.ts';

/** By what is read: since when it cannot be, ms since the epoch; null while it can. */
export type Blindness = Record<string, number | null>;

/**
 * Note what cannot be read now, and say what is to be told of it: `over` where something could not be for as long as `blindAfter`,
 * `under` where all can be. What is not expected counts once it could be read.
 */
export function blindTo(
  of: { blindSince?: Blindness },
  readings: Record<string, { value: object | undefined; expected: boolean }>,
  { now, blindAfter }: { now: number } & Pick<MonitorSettings, 'blindAfter'>,
): { over: boolean; under: boolean; told: Omit<Told, 'scope'> } {
  const known = (of.blindSince ??= {});
  const blind = Object.entries(readings).flatMap(([what, { value, expected }]) => {
    if (value !== undefined) known[what] = null;
    else if (expected || what in known) known[what] ??= now;
    const since = known[what];
    return typeof since === 'number' ? [{ what, since }] : [];
  });
  const lasting = blind.filter(({ since }) => now - since >= secondsOf(blindAfter) * 1000);
  const unread = lasting.map(({ what, since }) => `${what} since ${new Date(since).toISOString()}`);
  const summary =
    unread.length === 0 ? 'all can be read again' : `monitoring is blind: it cannot read ${unread.join('; ')}`;
  return { over: lasting.length > 0, under: blind.length === 0, told: { name: 'MonitoringBlind', summary } };
}
