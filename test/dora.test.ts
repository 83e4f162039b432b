import { doraOf, type Deployed, type Dora, type Restoration } from '../src/dora.ts';

const HOUR_MS = 3_600_000;
const [from, until] = ['2026-05-01T00:00:00Z', '2026-05-11T00:00:00Z'];

const day = (n: number, hour = 0): string => new Date(Date.UTC(2026, 4, n, hour)).toISOString();
const deployed = (outcome: Deployed['outcome'], endedAt = day(5, 12), commitAt?: string[]): Deployed => ({
  environment: 'production',
  version: '1.0.0',
  startedAt: day(1),
  endedAt,
  outcome,
  ...(commitAt && { commitAt }),
});
const restored = (startedAt: string, endedAt: string, tookBack?: string): Restoration => ({
  startedAt,
  endedAt,
  ...(tookBack !== undefined && { tookBack }),
});
/** A deployment of a version that began on a day. */
const of = (version: string, began: number, outcome: Deployed['outcome'] = 'verified'): Deployed => ({
  ...deployed(outcome, day(began, 2), [day(began)]),
  version,
  startedAt: day(began, 1),
});

const NOTHING: Dora = {
  deployments: 0,
  perDay: undefined,
  leadTimeMs: undefined,
  changeFailureRate: undefined,
  timeToRestoreMs: undefined,
};

it.each<[string, Deployed[], Restoration[], Partial<Dora>]>([
  ['nothing, never 0, of no data', [], [], NOTHING],
  ['nothing of what took no traffic', [deployed('refused'), deployed('superseded', day(6), [day(1)])], [], NOTHING],
  ['how often', [deployed('verified'), deployed('verified'), deployed('failed')], [], { deployments: 3, perDay: 0.3 }],
  ['a rate of 0 where all went well', [deployed('verified')], [], { changeFailureRate: 0 }],
  [
    'the share that failed, of those that took traffic',
    [deployed('verified'), deployed('rolled-back'), deployed('failed'), deployed('verified'), deployed('refused')],
    [],
    { deployments: 4, changeFailureRate: 0.5 },
  ],
  [
    'the median of an odd number of commits',
    [deployed('verified', day(5, 12), [day(5, 11), day(5, 2), day(4, 12)])],
    [],
    { leadTimeMs: 10 * HOUR_MS },
  ],
  [
    'the median of an even number of commits, of all deployments',
    [deployed('verified', day(5, 12), [day(5, 11)]), deployed('verified', day(6, 12), [day(6, 8)])],
    [],
    { leadTimeMs: 2.5 * HOUR_MS },
  ],
  ['no lead time of what was rolled back', [deployed('rolled-back', day(5), [day(4)])], [], { leadTimeMs: undefined }],
  ['no lead time where no commit is known', [deployed('verified')], [], { deployments: 1, leadTimeMs: undefined }],
  [
    'no span that a wrong clock made',
    [deployed('verified', day(5), [day(6), day(4)])],
    [restored(day(5), day(4))],
    { leadTimeMs: 24 * HOUR_MS, timeToRestoreMs: undefined },
  ],
  [
    'the median time to restore, without deployments',
    [],
    [restored(day(2), day(2, 1)), restored(day(3), day(3, 2)), restored(day(4), day(5))],
    { ...NOTHING, timeToRestoreMs: 2 * HOUR_MS },
  ],
  [
    'that a verified release failed which a rollback took back later, and how long that took',
    [of('1.0.0', 2), of('1.1.0', 3)],
    [restored(day(4), day(4, 1), '1.1.0')],
    { deployments: 2, changeFailureRate: 0.5, leadTimeMs: 2 * HOUR_MS, timeToRestoreMs: HOUR_MS },
  ],
  [
    'that one failed once, which was rolled back by itself and then by a person too',
    [of('1.0.0', 2), of('1.1.0', 3, 'rolled-back')],
    [restored(day(4), day(4, 1), '1.1.0'), restored(day(5), day(5, 1), '1.1.0')],
    { deployments: 2, changeFailureRate: 0.5 },
  ],
  [
    'that the newest deployment of a version before the rollback failed, not one before or after it',
    [of('1.1.0', 2), of('1.1.0', 3), of('1.1.0', 6)],
    [restored(day(4), day(4, 1), '1.1.0')],
    { deployments: 3, changeFailureRate: 1 / 3 },
  ],
  [
    'that one failed whose canary a rollback took away, of those that were superseded',
    [of('1.0.0', 2), of('1.1.0', 3, 'superseded'), of('1.2.0', 4, 'superseded')],
    [restored(day(3, 1), day(3, 2), '1.1.0')],
    { deployments: 2, changeFailureRate: 0.5 },
  ],
  [
    'nothing against a release by an incident that was mitigated otherwise, or by a rollback of what is not known',
    [of('1.0.0', 2)],
    [restored(day(3), day(3, 1)), restored(day(4), day(4, 1), 'what ran')],
    { deployments: 1, changeFailureRate: 0 },
  ],
  [
    'what ended in the time asked about, its first moment in and its last out',
    [
      deployed('verified', from),
      deployed('failed', until),
      deployed('failed', day(30)),
      deployed('failed', '2026-04-30T23:59:59Z'),
    ],
    [restored('2026-04-30T20:00:00Z', from), restored(day(10), until)],
    { deployments: 1, changeFailureRate: 0, timeToRestoreMs: 4 * HOUR_MS },
  ],
])('says %s', (_, deployments, restorations, expected) => {
  expect(doraOf({ deployments, restorations, from, until })).toMatchObject(expected);
});
