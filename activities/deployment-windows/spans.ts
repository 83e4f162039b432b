/**
 * From a configured span to the intervals it stands for. A rule is worked out in local time, without a time zone, and each local
 * time is then found in the time zone as RFC 5545 says of an explicit one (3.3.5, which 3.8.5.3 applies to recurrences): one that
 * occurs twice is the first; one that the clock skips takes the offset before the gap, so that it is later by the gap. (3.3.10
 * would leave the latter out, and so a freeze with it.) A span lasts exactly as long as it says, also across a change of the clock.
 */
import { msToNumber } from '@temporalio/common/lib/time.js';
import { RRuleTemporal } from 'rrule-temporal';
import { Temporal } from 'temporal-polyfill';
import type { Windows } from '../../src/contracts/index.ts';

const DAY_MS = 86_400_000;
/** No local time is further than this from the same time in UTC, gaps at the date line included. */
const LOCAL_MS = 2 * DAY_MS;
const MAX_LASTING_MS = 366 * DAY_MS;
const MAX_A_DAY = 24;
const RULE = /^FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;[A-Z]+=[A-Z0-9,+-]+)*$/;
/** What bounds a search, and the one form of `UNTIL` that RFC 5545 has beside a time zone. */
const LIMITS: Record<string, RegExp> = { COUNT: /^[1-9]\d{0,3}$/, INTERVAL: /^[1-9]\d{0,2}$/, UNTIL: /^\d{8}T\d{6}Z$/ };

type Span = Windows['allow'][number];
type Rule = Extract<Span, { rule: string }>;

/** Milliseconds since the epoch; `end` is outside. */
export interface Interval {
  start: number;
  end: number;
}
/** Intervals that hold or begin between two moments, both included, in no order. */
export type Intervals = (from: number, until: number) => Interval[];

/** @throws Error that says what of the span is wrong: `rule: "BYHOUR=25" is not understood`. */
export function intervalsOf(span: Span, timeZone: string): Intervals {
  return 'rule' in span ? recurring(span, timeZone) : once(span);
}

function once({ from, until }: Exclude<Span, Rule>): Intervals {
  const [start, end] = [Date.parse(from), Date.parse(until)];
  if (end <= start) throw new Error(`until: ${until} is not after ${from}`);
  return (first, last) => (start <= last && end > first ? [{ start, end }] : []);
}

function recurring({ start, rule, lasting }: Rule, timeZone: string): Intervals {
  const lastingMs = msToNumber(lasting);
  if (lastingMs <= 0 || lastingMs > MAX_LASTING_MS)
    throw new Error(`lasting: ${lasting} is not between 0 and 366 days`);
  const { occurrences, untilMs } = understood(start, rule);
  return (first, last) =>
    occurrences
      .between(new Date(first - lastingMs - LOCAL_MS), new Date(last + LOCAL_MS), true)
      .map(
        (local) =>
          local.toPlainDateTime().toZonedDateTime(timeZone, { disambiguation: 'compatible' }).epochMilliseconds,
      )
      .filter((at) => at <= last && at + lastingMs > first && at <= untilMs)
      .map((at) => ({ start: at, end: at + lastingMs }));
}

/** The rule in local time. `UNTIL` is a moment, so it is held against each occurrence once that has become one. */
function understood(start: string, rule: string) {
  const dtstart = attempt('start', `there is no local time ${start}`, () =>
    Temporal.PlainDateTime.from(start).toZonedDateTime('UTC'),
  );
  const { UNTIL: until, ...parts } = partsOf(rule);
  const untilMs =
    until === undefined
      ? Infinity
      : attempt('rule', `UNTIL=${until} is no moment`, () => Temporal.Instant.from(until).epochMilliseconds);
  const rruleString = `RRULE:${Object.entries(parts)
    .map((part) => part.join('='))
    .join(';')}`;
  const occurrences = attempt(
    'rule',
    `"${rule}" is no rule of RFC 5545`,
    () => new RRuleTemporal({ rruleString, dtstart, strict: true, temporal: Temporal }),
  );
  // The library leaves out what it does not know, which would make another rule of it.
  const kept = /RRULE:(.*)/.exec(occurrences.toString())?.[1]?.split(';').map(comparable) ?? [];
  const lost = Object.entries(parts).find((part) => !kept.includes(comparable(part.join('='))));
  if (lost !== undefined) throw new Error(`rule: "${lost.join('=')}" is not understood`);

  const { byHour = [0], byMinute = [0], bySecond = [0] } = occurrences.options();
  if (byHour.length * byMinute.length * bySecond.length > MAX_A_DAY)
    throw new Error(`rule: "${rule}" recurs more than ${MAX_A_DAY} times a day`);
  const first = attempt('rule', `"${rule}" never occurs`, () =>
    occurrences.next(new Date(dtstart.epochMilliseconds), true),
  );
  if (first === null || first.epochMilliseconds - LOCAL_MS > untilMs) throw new Error(`rule: "${rule}" never occurs`);
  return { occurrences, untilMs };
}

function partsOf(rule: string): Record<string, string> {
  if (!RULE.test(rule)) throw new Error(`rule: "${rule}" is no rule that recurs daily, weekly, monthly or yearly`);
  const parts = rule.split(';').map((part) => part.split('=') as [string, string]);
  const wrong = parts.find(([name, value]) => LIMITS[name]?.test(value) === false);
  if (wrong !== undefined)
    throw new Error(`rule: ${wrong.join('=')}: use COUNT to 9999, INTERVAL to 999, UNTIL in UTC (20261231T225959Z)`);
  const byName = Object.fromEntries(parts);
  if (Object.keys(byName).length < parts.length) throw new Error(`rule: "${rule}" says something twice`);
  if ('COUNT' in byName && 'UNTIL' in byName) throw new Error('rule: give COUNT or UNTIL, not both');
  return byName;
}

/** Values in one order and one form: `BYHOUR=09,+8` is `BYHOUR=8,9`. */
function comparable(part: string): string {
  const [name, values = ''] = part.split('=');
  const plain = values.split(',').map((value) => value.replace(/^\+/, '').replace(/^(-?)0+(?=\d)/, '$1'));
  return `${name}=${plain.toSorted().join(',')}`;
}

/** What a library refuses, said with the name of what is wrong. */
function attempt<T>(path: string, wrong: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`${path}: ${wrong} (${error instanceof Error ? error.message : String(error)})`, { cause: error });
  }
}
