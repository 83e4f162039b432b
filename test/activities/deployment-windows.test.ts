import { createActivities } from '../../activities/deployment-windows.ts';
import { asking, type Configured } from './asked-windows.ts';
import { settings } from './settings.ts';

const BERLIN = 'Europe/Berlin';
const NEW_YORK = 'America/New_York';
const weekly = { start: '20260105T090000', rule: 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH', lasting: '7 hours' };
const lastFriday = {
  reason: 'the books are closed',
  when: { start: '20260101T000000', rule: 'FREQ=MONTHLY;BYDAY=-1FR', lasting: '1 day' },
};
const yearEnd = {
  reason: 'year end',
  when: { start: '20201220T000000', rule: 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=20', lasting: '14 days' },
};
const fixed = (reason: string, from: string, until: string) => ({ reason, when: { from, until } });

const every = (lasting: string, start: string) => ({ start: `20260101T${start}00`, rule: 'FREQ=DAILY', lasting });
const sale = fixed('sale', '2026-11-27T00:00:00Z', '2026-12-01T00:00:00Z');
const move = fixed('move', '2026-11-30T00:00:00Z', '2026-12-03T00:00:00Z');
const after = fixed('rest', '2026-12-01T00:00:00Z', '2026-12-03T00:00:00Z');
const leapDay = { reason: 'leap', when: { start: '20240229T000000', rule: 'FREQ=YEARLY', lasting: '24 hours' } };

const WEEKLY = { allow: [weekly] };
const BERLIN_WEEKLY = { timeZone: BERLIN, ...WEEKLY };
const NEW_YORK_WEEKLY = { timeZone: NEW_YORK, ...WEEKLY };
const BERLIN_0230 = { timeZone: BERLIN, allow: [every('1 hour', '0230')] };
const NEW_YORK_0230 = { timeZone: NEW_YORK, allow: [every('1 hour', '0230')] };
const NEW_YORK_0130 = { timeZone: NEW_YORK, allow: [every('1 hour', '0130')] };
const BERLIN_0100 = { timeZone: BERLIN, allow: [every('4 hours', '0100')] };
const NEW_YORK_0100 = { timeZone: NEW_YORK, allow: [every('4 hours', '0100')] };
const THRICE = { allow: [{ ...weekly, rule: 'FREQ=DAILY;COUNT=3' }] };
const frozen = (from: string, until: string) => ({ ...WEEKLY, freezes: [fixed('audit', from, until)] });
const NOON = frozen('2026-05-05T12:00:00Z', '2026-05-05T13:00:00Z');
const endsAt = (until: string) => ({ timeZone: BERLIN, allow: [{ ...weekly, rule: `FREQ=DAILY;UNTIL=${until}` }] });

/** Case, windows, moment, what it is and until when (`for long`: nothing is to come), words of the reason. */
const CASES: [string, Configured, string, string, string][] = [
  ['nothing is configured', {}, '2026-05-01T00:00', 'open for long', 'no freeze'],
  ['before a window', WEEKLY, '2026-05-04T08:59:59.999', 'closed until 2026-05-04T09:00', 'outside'],
  ['its first moment', WEEKLY, '2026-05-04T09:00', 'open until 2026-05-04T16:00', 'until 2026-05-04 16:00 UTC'],
  ['its last moment', WEEKLY, '2026-05-04T15:59:59.999', 'open until 2026-05-04T16:00', 'in a deployment window'],
  ['its end', WEEKLY, '2026-05-04T16:00', 'closed until 2026-05-05T09:00', 'outside'],
  ['over the weekend', WEEKLY, '2026-05-07T16:00', 'closed until 2026-05-11T09:00', 'outside'],
  ['before the rule begins', WEEKLY, '2025-12-01T10:00', 'closed until 2026-01-05T09:00', 'outside'],
  ['Berlin in winter', BERLIN_WEEKLY, '2026-03-26T14:30', 'open until 2026-03-26T15:00', '16:00 +01:00 Europe/Berlin'],
  ['Berlin, spring', BERLIN_WEEKLY, '2026-03-26T15:00', 'closed until 2026-03-30T07:00', '2026-03-30 09:00 +02:00'],
  ['New York, autumn', NEW_YORK_WEEKLY, '2026-10-29T20:00', 'closed until 2026-11-02T14:00', '09:00 -05:00'],
  // 02:30 does not exist on 29 March in Berlin and on 8 March in New York: the offset before makes it 03:30.
  ['Berlin, before the gap', BERLIN_0230, '2026-03-29T01:00', 'closed until 2026-03-29T01:30', '03:30 +02:00'],
  ['Berlin, after the gap', BERLIN_0230, '2026-03-29T01:30', 'open until 2026-03-29T02:30', '04:30 +02:00'],
  ['Berlin, the day after', BERLIN_0230, '2026-03-29T02:30', 'closed until 2026-03-30T00:30', '02:30 +02:00'],
  ['New York, before the gap', NEW_YORK_0230, '2026-03-08T07:00', 'closed until 2026-03-08T07:30', '03:30 -04:00'],
  ['New York, the day after', NEW_YORK_0230, '2026-03-08T08:30', 'closed until 2026-03-09T06:30', '02:30 -04:00'],
  // 02:30 comes twice on 25 October in Berlin, 01:30 twice on 1 November in New York: the first counts.
  ['Berlin, the first of two', BERLIN_0230, '2026-10-25T00:00', 'closed until 2026-10-25T00:30', '02:30 +02:00'],
  ['Berlin, between the two', BERLIN_0230, '2026-10-25T00:45', 'open until 2026-10-25T01:30', '02:30 +01:00'],
  ['Berlin, the second of two', BERLIN_0230, '2026-10-25T01:30', 'closed until 2026-10-26T01:30', '02:30 +01:00'],
  ['New York, the second of two', NEW_YORK_0130, '2026-11-01T06:30', 'closed until 2026-11-02T06:30', '01:30 -05:00'],
  // Four hours stay four hours while the clock goes forward or back.
  ['Berlin, four hours in spring', BERLIN_0100, '2026-03-29T00:00', 'open until 2026-03-29T04:00', '06:00 +02:00'],
  ['Berlin, four hours in autumn', BERLIN_0100, '2026-10-24T23:00', 'open until 2026-10-25T03:00', '04:00 +01:00'],
  ['New York, four hours in spring', NEW_YORK_0100, '2026-03-08T06:00', 'open until 2026-03-08T10:00', '06:00 -04:00'],
  ['New York, four hours in autumn', NEW_YORK_0100, '2026-11-01T05:00', 'open until 2026-11-01T09:00', '04:00 -05:00'],
  ['a freeze is to come', { freezes: [sale] }, '2026-11-01T00:00', 'open until 2026-11-27T00:00', 'no freeze until'],
  [
    'in a freeze',
    { freezes: [sale] },
    '2026-11-27T00:00',
    'closed until 2026-12-01T00:00',
    'frozen (sale), until 2026-12',
  ],
  ['after the only freeze', { freezes: [sale] }, '2026-12-01T00:00', 'open for long', 'no freeze'],
  [
    'freezes overlap',
    { freezes: [sale, move] },
    '2026-11-30T12:00',
    'closed until 2026-12-03T00:00',
    '(sale; move), until',
  ],
  [
    'freezes touch',
    { freezes: [sale, after] },
    '2026-11-30T12:00',
    'closed until 2026-12-03T00:00',
    'frozen (sale), until',
  ],
  [
    'a freeze begins inside a window',
    NOON,
    '2026-05-05T10:00',
    'open until 2026-05-05T12:00',
    'in a deployment window until',
  ],
  ['a freeze ends inside a window', NOON, '2026-05-05T12:00', 'closed until 2026-05-05T13:00', 'frozen (audit)'],
  [
    'a freeze ends outside the windows',
    frozen('2026-05-07T12:00:00Z', '2026-05-08T12:00:00Z'),
    '2026-05-07T13:00',
    'closed until 2026-05-11T09:00',
    'frozen (audit), until 2026-05-11 09:00 UTC',
  ],
  [
    'the next window is frozen whole',
    frozen('2026-05-05T00:00:00Z', '2026-05-06T10:00:00Z'),
    '2026-05-04T17:00',
    'closed until 2026-05-06T10:00',
    'outside',
  ],
  [
    'windows overlap',
    { allow: [weekly, every('3 hours', '1500')] },
    '2026-05-04T10:00',
    'open until 2026-05-04T18:00',
    'in a deployment window',
  ],
  [
    'windows touch',
    { allow: [weekly, every('1 hour', '1600')] },
    '2026-05-04T10:00',
    'open until 2026-05-04T17:00',
    'in a deployment window',
  ],
  [
    'the last Friday of a month',
    { timeZone: BERLIN, freezes: [lastFriday] },
    '2026-05-29T10:00',
    'closed until 2026-05-29T22:00',
    'frozen (the books are closed), until 2026-05-30 00:00 +02:00',
  ],
  [
    'the Friday before it',
    { timeZone: BERLIN, freezes: [lastFriday] },
    '2026-05-22T10:00',
    'open until 2026-05-28T22:00',
    'no freeze until',
  ],
  [
    'the year end, in the new year',
    { ...BERLIN_WEEKLY, freezes: [yearEnd] },
    '2027-01-01T12:00',
    'closed until 2027-01-04T08:00',
    'frozen (year end), until 2027-01-04 09:00 +01:00',
  ],
  [
    'almost a year before a freeze',
    { timeZone: BERLIN, freezes: [yearEnd] },
    '2026-01-03T12:00',
    'open until 2026-12-19T23:00',
    'no freeze until',
  ],
  ['the last time of a rule', THRICE, '2026-01-07T10:00', 'open until 2026-01-07T16:00', 'in a deployment window'],
  ['after it', THRICE, '2026-01-07T16:00', 'closed for long', 'no window is to come within 400 days'],
  ['a rule until a moment', endsAt('20260107T080000Z'), '2026-01-06T15:00', 'closed until 2026-01-07T08:00', 'outside'],
  [
    'a rule until just before',
    endsAt('20260107T075959Z'),
    '2026-01-06T15:00',
    'closed for long',
    'no window is to come',
  ],
  [
    'a freeze of ten years',
    { freezes: [fixed('sold', '2026-01-01T00:00:00Z', '2036-01-01T00:00:00Z')] },
    '2026-01-02T00:00',
    'closed for long',
    'frozen (sold), no window is to come',
  ],
  ['a leap day', { freezes: [leapDay] }, '2028-02-29T12:00', 'closed until 2028-03-01T00:00', 'frozen (leap)'],
  ['a year without one', { freezes: [leapDay] }, '2027-02-28T23:00', 'open until 2028-02-29T00:00', 'no freeze until'],
];

it.each(CASES)('%s', async (_, windows, at, expected, words) => {
  const { open, until, reason } = await asking(windows)(`${at}Z`);
  const end = until === undefined ? 'for long' : `until ${until.replace(':00.000Z', '')}`;
  expect(`${open ? 'open' : 'closed'} ${end}`).toBe(expected);
  expect(reason).toContain(words);
});

it('takes a rule in every form that RFC 5545 has for it', async () => {
  const rule = 'FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYHOUR=09,+8;BYDAY=TH,MO';
  const ask = asking({ allow: [{ start: '20260105T000000', rule, lasting: '1 hour' }] });
  expect(await ask('2026-01-08T09:30:00Z')).toMatchObject({ open: true, until: '2026-01-08T10:00:00.000Z' });
  expect(await ask('2026-01-08T10:00:00Z')).toMatchObject({ open: false, until: '2026-01-19T08:00:00.000Z' });
});

it('takes a moment with an offset', async () => {
  expect(await asking(WEEKLY)('2026-05-04T18:00:00+02:00')).toMatchObject({ open: false });
  expect(await asking(WEEKLY)('2026-05-04T17:59:00+02:00')).toMatchObject({ open: true });
});

it('answers in bounded time for rules that have recurred for years, many times a day, and never leave a gap', async () => {
  const hours = Array.from({ length: 24 }, (_, hour) => hour).join(',');
  const ask = asking({
    timeZone: BERLIN,
    allow: [
      { start: '19700101T000000', rule: `FREQ=DAILY;BYHOUR=${hours}`, lasting: '366 days' },
      { start: '20000101T000000', rule: 'FREQ=DAILY;COUNT=9999', lasting: '1 minute' },
    ],
  });
  const startedAt = performance.now();
  expect(await ask('2026-12-19T12:00:00Z')).toEqual({ open: true, reason: 'in a deployment window' });
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

it.each<[string, Configured, string]>([
  ['a time zone', { timeZone: 'Europe/Atlantis' }, 'timeZone: there is no "Europe/Atlantis"'],
  ['a start', { allow: [{ ...weekly, start: '20260230T090000' }] }, 'allow[0].start: there is no local time'],
  ['a frequency', { allow: [{ ...weekly, rule: 'FREQ=FORTNIGHTLY' }] }, 'allow[0].rule: '],
  ['one that recurs too often', { allow: [{ ...weekly, rule: 'FREQ=MINUTELY' }] }, 'is no rule that recurs daily'],
  [
    'one that recurs too often in a day',
    { allow: [{ ...weekly, rule: 'FREQ=DAILY;BYMINUTE=0,30;BYHOUR=1,2,3,4,5,6,7,8,9,10,11,12,13' }] },
    'more than 24 times a day',
  ],
  ['a weekday', { allow: [{ ...weekly, rule: 'FREQ=WEEKLY;BYDAY=MO,DI' }] }, 'allow[0].rule: '],
  [
    'an hour that the library would leave out',
    { allow: [{ ...weekly, rule: 'FREQ=DAILY;BYHOUR=9,25' }] },
    'BYHOUR=9,25',
  ],
  ['a part that the library would leave out', { allow: [{ ...weekly, rule: 'FREQ=DAILY;BYDAYS=MO' }] }, 'BYDAYS=MO'],
  ['a second line', { allow: [{ ...weekly, rule: 'FREQ=DAILY\nRDATE:20260505T090000Z' }] }, 'allow[0].rule: '],
  ['a part that comes twice', { allow: [{ ...weekly, rule: 'FREQ=DAILY;COUNT=1;COUNT=2' }] }, 'says something twice'],
  ['a count', { allow: [{ ...weekly, rule: 'FREQ=DAILY;COUNT=0' }] }, 'COUNT=0'],
  ['an interval', { allow: [{ ...weekly, rule: 'FREQ=DAILY;INTERVAL=1000' }] }, 'INTERVAL=1000'],
  ['two ends', { allow: [{ ...weekly, rule: 'FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z' }] }, 'COUNT or UNTIL'],
  ['an end without a time', { allow: [{ ...weekly, rule: 'FREQ=DAILY;UNTIL=20270101' }] }, 'UNTIL=20270101: use'],
  ['an end that is no day', { allow: [{ ...weekly, rule: 'FREQ=DAILY;UNTIL=20270230T000000Z' }] }, 'is no moment'],
  ['an end before the start', { allow: [{ ...weekly, rule: 'FREQ=DAILY;UNTIL=20250101T000000Z' }] }, 'never occurs'],
  ['a day that never comes', { allow: [{ ...weekly, rule: 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30' }] }, 'never occurs'],
  ['a weekday of no month', { allow: [{ ...weekly, rule: 'FREQ=WEEKLY;BYDAY=2MO' }] }, 'allow[0].rule: '],
  ['no length', { allow: [{ ...weekly, lasting: '0 s' }] }, 'allow[0].lasting: 0 s'],
  ['a length of years', { allow: [{ ...weekly, lasting: '367 days' }] }, 'allow[0].lasting: 367 days'],
  [
    'an end before its beginning',
    { freezes: [fixed('sale', '2026-12-01T00:00:00Z', '2026-11-27T00:00:00Z')] },
    'freezes[0].when.until: ',
  ],
])('refuses %s when the worker starts, and says where it stands', (_, windows, words) => {
  expect(() => asking(windows)).toThrow('shop/production: deployment.windows.');
  expect(() => asking(windows)).toThrow(words);
});

it('refuses an environment it does not know, and what is no moment', async () => {
  const elsewhere = { service: 'shop', environment: 'moon', at: '2026-05-01T00:00:00Z' };
  const unknown = createActivities({}, settings).deploymentWindow(elsewhere);
  await expect(unknown).rejects.toMatchObject({ type: 'NotConfigured' });
  await expect(asking({})('tomorrow')).rejects.toMatchObject({ type: 'Refused' });
});
