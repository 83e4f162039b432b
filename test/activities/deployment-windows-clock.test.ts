/** Windows and freezes against a scan of every minute, around the changes of the clock. */
import { asking } from './asked-windows.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;

/** Minutes that local time is ahead of UTC, by what `Intl` says the local time is. */
function offsetsOf(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'medium',
    hourCycle: 'h23',
  });
  return (ms: number): number => (Date.parse(`${format.format(ms).replace(', ', 'T')}Z`) - ms) / MINUTE_MS;
}

/** Start of each day's window: the first minute that shows its local time; where none does, by the offset of the evening before. */
function startsByScanning(timeZone: string, days: string[], time: string): number[] {
  const offsetAt = offsetsOf(timeZone);
  return days.map((day) => {
    const local = Date.parse(`${day}T${time}:00Z`);
    for (let ms = local - DAY_MS; ms < local + DAY_MS; ms += MINUTE_MS)
      if (ms + offsetAt(ms) * MINUTE_MS === local) return ms;
    return local - offsetAt(local - DAY_MS) * MINUTE_MS;
  });
}

it.each([
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
])(
  'agrees with a scan of every minute of the weeks around the change of the clock: %s, %s',
  async (timeZone, change) => {
    const first = Date.parse(`${change}T00:00:00Z`) - 8 * DAY_MS;
    const days = Array.from({ length: 20 }, (_, i) => new Date(first + (i - 2) * DAY_MS).toISOString().slice(0, 10));
    const weekday = (day: string) => new Date(`${day}T00:00:00Z`).getUTCDay();
    const intervals = (which: string[], time: string, minutes: number) =>
      startsByScanning(timeZone, which, time).map((start) => ({ start, end: start + minutes * MINUTE_MS }));
    const allow = [
      ...intervals(days, '00:30', 150),
      ...intervals(
        days.filter((day) => weekday(day) % 6 !== 0),
        '09:00',
        420,
      ),
      ...intervals(
        days.filter((day) => weekday(day) === 6),
        '22:00',
        600,
      ),
    ];
    const freezes = [
      ...intervals(
        days.filter((day) => weekday(day) === 0),
        '02:30',
        20,
      ),
      ...intervals(
        days.filter((day) => weekday(day) === 0),
        '01:30',
        15,
      ),
      ...intervals(
        days.filter((day) => weekday(day) === 5),
        '12:00',
        90,
      ),
    ];
    const holds = (ms: number) => (each: { start: number; end: number }) => each.start <= ms && ms < each.end;
    const minutes = Array.from({ length: 17 * 1440 }, (_, i) => first + i * MINUTE_MS);
    const open = minutes.map((ms) => allow.some(holds(ms)) && !freezes.some(holds(ms)));
    const next: (number | undefined)[] = [];
    for (let i = minutes.length - 2; i >= 0; i -= 1) next[i] = open[i] === open[i + 1] ? next[i + 1] : minutes[i + 1];

    const at = (time: string) => `20260101T${time.replace(':', '')}00`;
    const ask = asking({
      timeZone,
      allow: [
        { start: at('00:30'), rule: 'FREQ=DAILY', lasting: '150 minutes' },
        { start: at('09:00'), rule: 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', lasting: '7 hours' },
        { start: at('22:00'), rule: 'FREQ=WEEKLY;BYDAY=SA', lasting: '10 hours' },
      ],
      freezes: [
        { reason: 'a', when: { start: at('02:30'), rule: 'FREQ=WEEKLY;BYDAY=SU', lasting: '20 minutes' } },
        { reason: 'b', when: { start: at('01:30'), rule: 'FREQ=WEEKLY;BYDAY=SU', lasting: '15 minutes' } },
        { reason: 'c', when: { start: at('12:00'), rule: 'FREQ=WEEKLY;BYDAY=FR', lasting: '90 minutes' } },
      ],
    });
    const near = (ms: number) => Math.abs(ms - Date.parse(`${change}T04:00:00Z`)) < 8 * 60 * MINUTE_MS;
    const wrong: string[] = [];
    for (const [i, ms] of minutes.entries()) {
      if (next[i] === undefined || (!near(ms) && i % 31 !== 0)) continue;
      const state = await ask(new Date(ms).toISOString());
      if (state.open !== open[i] || Date.parse(state.until ?? '') !== next[i]) wrong.push(new Date(ms).toISOString());
    }
    expect(wrong).toEqual([]);
  },
);
