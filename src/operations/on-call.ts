import { z } from 'zod';
import { delegateOf, type Schedule, type Settings } from '../contracts/index.ts';
import { LOOK_AHEAD_DAYS, personOnCall, shiftsOf, type Shift } from '../on-call.ts';

const LOOK_AHEAD_MS = LOOK_AHEAD_DAYS * 86_400_000;
const at = (ms: number): string => new Date(ms).toISOString();

const Turn = z.object({ person: z.string().nullable(), from: z.string(), until: z.string() });

/** Who is on call by each schedule, now and next, and whom each level of the ladder would page now. */
export const OnCallReport = z.object({
  schedules: z.array(
    z.object({
      schedule: z.string(),
      timeZone: z.string(),
      now: z.string().nullable(),
      /** Absent where nobody takes over within the next 60 days. */
      until: z.string().optional(),
      next: Turn.optional(),
      /** Those that last or are to come. */
      overrides: z.array(
        z.object({ person: z.string(), from: z.string(), until: z.string(), reason: z.string().optional() }),
      ),
      swaps: z.array(z.object({ between: z.array(z.string()), from: z.string(), until: z.string() })),
      /** When nobody is on call, of the next 60 days; without `until` it lasts beyond them. */
      gaps: z.array(z.object({ from: z.string(), until: z.string().optional() })),
    }),
  ),
  ladder: z.array(
    z.object({ level: z.string(), wait: z.string(), people: z.array(z.string()), schedule: z.string().optional() }),
  ),
  /** Who decides instead of whom now, and is asked to. */
  delegations: z.array(z.object({ person: z.string(), to: z.string(), until: z.string() })),
});
export type OnCallReport = z.output<typeof OnCallReport>;

function rotaOf(schedule: Schedule, now: number): OnCallReport['schedules'][number] {
  const { name, timeZone, overrides, swaps } = schedule;
  const shifts = shiftsOf(schedule, now, now + LOOK_AHEAD_MS);
  const [shift, next] = shifts;
  const span = ({ from, until }: Shift) => ({ from: at(from), until: at(until) });
  const ahead = ({ until }: { until: string }): boolean => Date.parse(until) > now;
  return {
    schedule: name,
    timeZone,
    now: shift?.person ?? null,
    ...(shift !== undefined && next !== undefined && { until: at(shift.until) }),
    ...(next !== undefined && { next: { person: next.person ?? null, ...span(next) } }),
    overrides: overrides.filter(ahead),
    swaps: swaps.filter(ahead),
    gaps: shifts
      .filter(({ person }) => person === undefined)
      .map(({ from, until }) => ({ from: at(from), ...(until < now + LOOK_AHEAD_MS && { until: at(until) }) })),
  };
}

/** On-call duty at a moment (ms since the epoch), by the configuration. */
export function onCallReport({ people: all, ladder, schedules }: Settings, now: number): OnCallReport {
  return {
    schedules: schedules.map((one) => rotaOf(one, now)),
    ladder: ladder.map(({ level, people, onCall, wait }) => {
      const schedule = schedules.find(({ name }) => name === onCall);
      const turn = schedule === undefined ? undefined : personOnCall(schedule, now);
      const paged = [...new Set([...(turn === undefined ? [] : [turn]), ...people])];
      return { level, wait, people: paged, ...(onCall !== undefined && { schedule: onCall }) };
    }),
    delegations: all.flatMap((one) => {
      const given = delegateOf(one, now);
      return given === undefined ? [] : [{ person: one.name, to: given.to, until: given.until }];
    }),
  };
}
