import { parseSettings } from '../src/config.ts';
import { Schedule } from '../src/contracts/index.ts';
import { businessAt, onCallAt, personOnCall, shiftsOf } from '../src/on-call.ts';
import { createActivities } from '../activities/configuration.ts';
import { settings } from './activities/settings.ts';

const BERLIN = 'Europe/Berlin';
const weekly = { people: ['ada', 'bob', 'cleo'], from: '2026-01-05' };
const schedule = (of: object) => Schedule.parse({ name: 'shop', timeZone: BERLIN, rotations: [weekly], ...of });
const at = (schedule_: Schedule, moment: string) => personOnCall(schedule_, Date.parse(moment));
const daily = { people: ['ada', 'bob'], every: 'day', from: '2026-01-05' };
const night = { ...daily, handOver: '02:30' };
const work = { days: ['monday', 'tuesday', 'wednesday', 'thursday', 'friday'], from: '09:00', until: '18:00' };
const HALF_WEEKS = {
  rotations: [
    { people: ['ada'], from: '2026-01-05', hours: work },
    { people: ['bob'], from: '2026-01-05', handOver: '00:00' },
  ],
};
const NIGHTS = { rotations: [{ people: ['ada'], from: '2026-01-05', hours: { from: '18:00', until: '09:00' } }] };
const HOLIDAY = [{ person: 'dan', from: '2026-01-10T00:00:00+01:00', until: '2026-01-11T00:00:00+01:00' }];
const SWAP = [{ between: ['ada', 'bob'], from: '2026-01-05T00:00:00Z', until: '2026-01-19T00:00:00Z' }];

/** Case, schedule, moment, who is on call. */
const CASES: [string, object, string, string | undefined][] = [
  ['before the first hand-over', {}, '2026-01-05T07:59:59Z', undefined],
  ['its first moment', {}, '2026-01-05T08:00:00Z', 'ada'],
  ['the last moment of a week', {}, '2026-01-12T07:59:59Z', 'ada'],
  ['the next in turn', {}, '2026-01-12T08:00:00Z', 'bob'],
  ['the first again', {}, '2026-01-26T08:00:00Z', 'ada'],
  ['daily, before the hand-over', { rotations: [daily] }, '2026-01-06T07:59:59Z', 'ada'],
  ['daily, after it', { rotations: [daily] }, '2026-01-06T08:00:00Z', 'bob'],
  ['summer time, an hour earlier', {}, '2026-06-01T07:00:00Z', 'ada'],
  ['summer time, before it', {}, '2026-06-01T06:59:59Z', 'cleo'],
  // Berlin, 29 March: 02:30 does not exist, the hand-over is at 03:30, which is 01:30 UTC.
  ['spring, before the hand-over that moved', { rotations: [night] }, '2026-03-29T01:29:59Z', 'ada'],
  ['spring, after it', { rotations: [night] }, '2026-03-29T01:30:00Z', 'bob'],
  ['spring, the day after', { rotations: [night] }, '2026-03-30T00:30:00Z', 'ada'],
  // Berlin, 25 October: 02:30 comes twice, the first counts, 00:30 UTC.
  ['autumn, before the first of two', { rotations: [night] }, '2026-10-25T00:29:59Z', 'ada'],
  ['autumn, the first of two', { rotations: [night] }, '2026-10-25T00:30:00Z', 'bob'],
  ['autumn, the second of two', { rotations: [night] }, '2026-10-25T01:30:00Z', 'bob'],
  ['in working hours', HALF_WEEKS, '2026-01-07T12:00:00Z', 'ada'],
  ['their end', HALF_WEEKS, '2026-01-07T17:00:00Z', 'bob'],
  ['a weekend', HALF_WEEKS, '2026-01-10T12:00:00Z', 'bob'],
  ['hours over midnight', NIGHTS, '2026-01-07T02:00:00Z', 'ada'],
  ['outside of them', NIGHTS, '2026-01-07T12:00:00Z', undefined],
  ['an override', { overrides: HOLIDAY }, '2026-01-09T23:00:00Z', 'dan'],
  ['its end', { overrides: HOLIDAY }, '2026-01-10T23:00:00Z', 'ada'],
  ['a swap, one way', { swaps: SWAP }, '2026-01-06T12:00:00Z', 'bob'],
  ['a swap, the other', { swaps: SWAP }, '2026-01-13T12:00:00Z', 'ada'],
  [
    'after a rotation has ended',
    { rotations: [{ ...weekly, until: '2026-01-12' }] },
    '2026-01-12T08:00:00Z',
    undefined,
  ],
];

describe('who is on call', () => {
  it.each(CASES)('%s', (_, of, moment, person) => {
    expect(at(schedule(of), moment)).toBe(person);
  });

  it.each([
    ['spring', '2026-03-27', '2026-04-01'],
    ['autumn', '2026-10-23', '2026-10-28'],
  ])('leaves no moment without a person when the clock changes in %s, whatever the hand-over', (_, from, until) => {
    for (const handOver of ['00:00', '02:00', '02:30', '02:59', '03:00', '23:59']) {
      const shifts = shiftsOf(schedule({ rotations: [{ ...daily, handOver }] }), Date.parse(from), Date.parse(until));
      expect(shifts.every(({ person }) => person !== undefined)).toBe(true);
      expect(shifts.map((shift) => shift.until - shift.from).slice(1, -1)).toContain(
        from < '2026-06' ? 23 * 3_600_000 : 25 * 3_600_000,
      );
    }
  });

  it('says until when', () => {
    expect(onCallAt(schedule({}), Date.parse('2026-01-06T12:00:00Z'))).toEqual({
      people: ['ada'],
      until: '2026-01-12T08:00:00.000Z',
    });
  });
});

describe('business hours', () => {
  const of = {
    timeZone: BERLIN,
    hours: Schedule.parse({ name: 'x', rotations: [{ ...weekly, hours: work }] }).rotations[0]!.hours!,
  };
  it.each([
    ['open', '2026-01-07T12:00:00Z', '2026-01-07T17:00:00.000Z'],
    ['closed', '2026-01-09T17:00:00Z', '2026-01-12T08:00:00.000Z'],
    ['closed', '2026-03-28T12:00:00Z', '2026-03-30T07:00:00.000Z'], // the clock changes on that Sunday
  ])('are %s at %s until %s', (state, moment, until) => {
    expect(businessAt(of, Date.parse(moment))).toMatchObject({ open: state === 'open', until });
  });
});

describe('the configuration', () => {
  const people = ['responder', 'ada', 'bob', 'cleo'].map((name) => ({ name, roles: ['approver' as const] }));
  const load = (of: object, now = '2026-01-20T12:00:00Z') =>
    parseSettings({ ...settings, people, ...of }, {}, 'holdfast.config.ts', Date.parse(now));
  const [rotation] = schedule({}).rotations;
  const ladder = [{ level: 'team', onCall: 'shop', wait: '5 minutes' }];

  it.each<[string, object, string]>([
    [
      'ends',
      { schedules: [schedule({ rotations: [{ ...rotation, until: '2026-02-02' }] })] },
      'schedules[0]: nobody is on call on 2026-02-02 09:00 +01:00 Europe/Berlin in "shop"',
    ],
    [
      'has not begun',
      { schedules: [schedule({ rotations: [{ ...rotation, from: '2026-01-26' }] })] },
      'nobody is on call on 2026-01-20 13:00 +01:00 Europe/Berlin in "shop", until 2026-01-26 09:00',
    ],
    [
      'sleeps',
      { schedules: [schedule({ rotations: [{ ...rotation, hours: work }] })] },
      'nobody is on call on 2026-01-20 18:00 +01:00',
    ],
    [
      'names somebody unknown',
      { schedules: [schedule({ rotations: [{ ...rotation, people: ['eve'] }] })] },
      '"eve" is not in people',
    ],
    [
      'is swapped with somebody unknown',
      { schedules: [schedule({ swaps: [{ ...SWAP[0], between: ['ada', 'eve'] }] })] },
      '"eve" is not in people',
    ],
    [
      'is in no time zone',
      { schedules: [schedule({ timeZone: 'Mars/Olympus' })] },
      'schedules[0].timeZone: there is no "Mars/Olympus"',
    ],
    ['is not there', { ladder }, '"shop" is not in schedules'],
    ['is there twice', { schedules: [schedule({}), schedule({})] }, 'two schedules have one name'],
  ])('is refused, with path and remedy, when a schedule %s', (_, of, message) => {
    expect(() => load(of)).toThrow(message);
  });

  it.each<[string, object, string]>([
    [
      'a level that names nobody',
      { ladder: [{ level: 'team', wait: '5 minutes' }] },
      'name people, or a schedule with onCall',
    ],
    [
      'an entry at a level that is not there',
      { escalation: { entry: { critical: 'board' } } },
      '"board" is not in ladder',
    ],
    [
      'an override that ends before it begins',
      {
        schedules: [{ ...schedule({}), overrides: [{ ...HOLIDAY[0], person: 'ada', until: '2026-01-09T00:00:00Z' }] }],
      },
      'it ends before it begins',
    ],
  ])('refuses %s', (_, of, message) => {
    expect(() => load(of)).toThrow(message);
  });

  it('gives a run who is on call at the moment it asks about, and the business hours', async () => {
    const businessHours = { timeZone: BERLIN };
    const asked = createActivities(
      { HOLDFAST_DECISION_PUBLIC_KEYS: '' },
      load({ schedules: [schedule({})], ladder, escalation: { businessHours, entry: { critical: 'team' } } }),
    );
    await expect(asked.onCall({ schedule: 'shop', at: '2026-01-13T12:00:00Z' })).resolves.toMatchObject({
      people: ['bob'],
    });
    await expect(asked.onCall({ schedule: 'other', at: '2026-01-13T12:00:00Z' })).rejects.toMatchObject({
      type: 'NotConfigured',
    });
    await expect(asked.businessHours({ at: '2026-01-10T12:00:00Z' })).resolves.toMatchObject({
      open: false,
      until: '2026-01-12T08:00:00.000Z',
    });
    await expect(asked.policy({ service: 'shop', environment: 'production' })).resolves.toMatchObject({
      escalation: { entry: { critical: 'team' }, staleAfter: '30 minutes', repeats: 100, businessHours: ['info'] },
    });
  });
});
