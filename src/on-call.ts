/**
 * Who is on call at a moment. Hand-overs and hours are local times of the schedule's time zone: one that occurs twice is the
 * first, one that the clock skips is later by the gap; so one shift ends where the next begins, also when the clock changes.
 */
import { Temporal } from 'temporal-polyfill';
import type { Hours, Level, OnCall, Rotation, Schedule, Settings, WindowState } from './contracts/index.ts';
import { checkTimeZone, localTime } from './local-time.ts';

const DAY_MS = 86_400_000;
/** So far ahead a gap keeps the configuration from loading. */
export const LOOK_AHEAD_DAYS = 60;
/** Longest a business opens after this moment: a week, and a day for its change of the clock. */
const OPENS_WITHIN_DAYS = 8;
const DAYS_OF = { day: 1, week: 7 } as const;

/** One person's turn, or a gap; milliseconds since the epoch, `until` is outside. */
export interface Shift {
  person: string | undefined;
  from: number;
  until: number;
}

const instantOf = (date: Temporal.PlainDate, time: string, timeZone: string): number =>
  date.toZonedDateTime({ timeZone, plainTime: Temporal.PlainTime.from(time) }).epochMilliseconds;
const dateOf = (at: number, timeZone: string): Temporal.PlainDate =>
  Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toPlainDate();

/** When the hours of one date begin and end; undefined on another day of the week. */
function hoursOn(
  date: Temporal.PlainDate,
  { days, from, until }: Hours,
  timeZone: string,
): [number, number] | undefined {
  const weekday = (['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const)[
    date.dayOfWeek - 1
  ];
  if (weekday === undefined || !days.includes(weekday)) return undefined;
  const end = until > from ? date : date.add({ days: 1 });
  return [instantOf(date, from, timeZone), instantOf(end, until, timeZone)];
}

/** Are these hours, which may have begun the day before? */
const isWithin = (at: number, hours: Hours, timeZone: string): boolean =>
  [0, 1].some((ago) => {
    const span = hoursOn(dateOf(at, timeZone).subtract({ days: ago }), hours, timeZone);
    return span !== undefined && span[0] <= at && at < span[1];
  });

function inTurn(
  at: number,
  { people, every, from, until, handOver, hours }: Rotation,
  timeZone: string,
): string | undefined {
  const today = dateOf(at, timeZone);
  const begun = instantOf(today, handOver, timeZone) <= at ? today : today.subtract({ days: 1 });
  const days = Temporal.PlainDate.from(from).until(begun).days;
  if (days < 0 || (until !== undefined && Temporal.PlainDate.compare(begun, until) >= 0)) return undefined;
  if (hours !== undefined && !isWithin(at, hours, timeZone)) return undefined;
  return people[Math.floor(days / DAYS_OF[every]) % people.length];
}

const covers = ({ from, until }: { from: string; until: string }, at: number): boolean =>
  Date.parse(from) <= at && at < Date.parse(until);

/** Who is on call by a schedule at a moment (ms since the epoch), overrides and swaps counted; undefined in a gap. */
export function personOnCall({ timeZone, rotations, overrides, swaps }: Schedule, at: number): string | undefined {
  const override = overrides.findLast((one) => covers(one, at));
  if (override !== undefined) return override.person;
  const turn = rotations.map((rotation) => inTurn(at, rotation, timeZone)).find((person) => person !== undefined);
  const swap = swaps.find((one) => covers(one, at) && turn !== undefined && one.between.includes(turn));
  return swap === undefined ? turn : swap.between.find((person) => person !== turn);
}

/** Every moment of a span at which who is on call may change. */
function edges({ timeZone, rotations, overrides, swaps }: Schedule, from: number, until: number): number[] {
  const found = [...overrides, ...swaps].flatMap((one) => [Date.parse(one.from), Date.parse(one.until)]);
  const last = dateOf(until, timeZone).add({ days: 1 });
  for (
    let date = dateOf(from, timeZone).subtract({ days: 1 });
    Temporal.PlainDate.compare(date, last) <= 0;
    date = date.add({ days: 1 })
  )
    for (const { handOver, hours } of rotations)
      found.push(instantOf(date, handOver, timeZone), ...((hours && hoursOn(date, hours, timeZone)) ?? []));
  return [...new Set(found)].filter((at) => at > from && at < until).toSorted((a, b) => a - b);
}

/** The shifts of a span, gaps among them, in order. */
export function shiftsOf(schedule: Schedule, from: number, until: number): Shift[] {
  const shifts: Shift[] = [];
  for (const at of [from, ...edges(schedule, from, until)]) {
    const person = personOnCall(schedule, at);
    const before = shifts.at(-1);
    if (before !== undefined) before.until = at;
    if (before === undefined || before.person !== person) shifts.push({ person, from: at, until });
  }
  const last = shifts.at(-1);
  if (last !== undefined) last.until = until;
  return shifts;
}

/** Who is on call now and until when, in the contract's words. */
export function onCallAt(schedule: Schedule, at: number): OnCall {
  const [now, next] = shiftsOf(schedule, at, at + OPENS_WITHIN_DAYS * DAY_MS);
  const people = now?.person === undefined ? [] : [now.person];
  return { people, ...(next !== undefined && { until: new Date(next.from).toISOString() }) };
}

/** Everybody of a level at a moment: those named, and whoever is on call. */
export function peopleAt({ people, onCall }: Level, schedules: readonly Schedule[], at: number): string[] {
  const schedule = schedules.find(({ name }) => name === onCall);
  return [...new Set([...(schedule === undefined ? [] : onCallAt(schedule, at).people), ...people])];
}

/** Whether a business works at a moment, and until when that stays so. */
export function businessAt({ timeZone, hours }: { timeZone: string; hours: Hours }, at: number): WindowState {
  const open = isWithin(at, hours, timeZone);
  const today = dateOf(at, timeZone);
  const until = Array.from({ length: OPENS_WITHIN_DAYS + 1 }, (_, i) =>
    hoursOn(today.add({ days: i - 1 }), hours, timeZone),
  )
    .flatMap((span) => span ?? [])
    .toSorted((a, b) => a - b)
    .find((edge) => edge > at && isWithin(edge, hours, timeZone) !== open);
  return {
    open,
    reason: open ? 'in business hours' : 'outside of business hours',
    ...(until !== undefined && { until: new Date(until).toISOString() }),
  };
}

/** @throws Error that names the schedule and the first moment at which nobody is on call, or a time zone that there is not. */
export function assertSomebodyOnCall({ schedules, escalation }: Settings, now: number): void {
  if (escalation.businessHours !== undefined)
    at('escalation.businessHours', () => checkTimeZone(escalation.businessHours?.timeZone ?? ''));
  schedules.forEach((schedule, i) => {
    const { name, timeZone } = schedule;
    at(`schedules[${i}]`, () => checkTimeZone(timeZone));
    const gap = shiftsOf(schedule, now, now + LOOK_AHEAD_DAYS * DAY_MS).find(({ person }) => person === undefined);
    if (gap !== undefined)
      throw new Error(
        `schedules[${i}]: nobody is on call on ${localTime(gap.from, timeZone)} in "${name}", until ${localTime(gap.until, timeZone)}: add a rotation or an override`,
      );
  });
}

function at(path: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new Error(`${path}.${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
