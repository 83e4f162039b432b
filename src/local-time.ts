import { Temporal } from 'temporal-polyfill';

/** @throws Error when there is no such time zone. */
export function checkTimeZone(timeZone: string): void {
  try {
    Temporal.Instant.from('2000-01-01T00:00Z').toZonedDateTimeISO(timeZone);
  } catch (error) {
    throw new Error(`timeZone: there is no "${timeZone}"`, { cause: error });
  }
}

/** A moment as its people read it: `2026-12-24 18:00 +01:00 Europe/Berlin`. */
export function localTime(ms: number, timeZone: string): string {
  const at = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone);
  const time = at.toPlainTime().toString({ smallestUnit: 'minute' });
  return [at.toPlainDate().toString(), time, ...(timeZone === 'UTC' ? [] : [at.offset]), timeZone].join(' ');
}
