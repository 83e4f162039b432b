import {
  ReviewSettings,
  type Attempt,
  type Finding,
  type Impact,
  type Status,
  type TimelineEntry,
} from '../../src/contracts/index.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { documentOf, text } from '../../src/runbook/review-document.ts';
import { impactOf } from '../../src/runbook/review-impact.ts';
import { bounded, reviewOf, wantsReview, withCause } from '../../src/runbook/review.ts';
import { reminderOf } from '../../src/runbook/review-items.ts';
import { assertDocumented } from '../support/documented.ts';
import { endedStatus } from '../support/ended.ts';

const policy = { ...simulatedPolicy, review: ReviewSettings.parse({}) };
const impact: Impact = { users: { count: 12, sampled: false }, requests: 1000, failed: 200, unknown: [] };
const review = (change: Partial<Status> = {}, lost = impact) => reviewOf(endedStatus(change), policy, lost);
const items = (change: Partial<Status> = {}) => review(change).actionItems.map(({ id }) => id);
const line = (kind: string, what: string, who?: string): TimelineEntry => ({
  at: '2026-11-24T09:10:00.000Z',
  kind,
  what,
  ...(who !== undefined && { who }),
});
const withLines = (...lines: TimelineEntry[]): Partial<Status> => {
  const { timeline } = endedStatus();
  return { timeline: [...timeline.slice(0, -1), ...lines, ...timeline.slice(-1)] };
};

const withFinding = (check: string, summary: string): Partial<Status> => ({
  findings: [...endedStatus().findings, { check, verdict: 'bad', summary }],
});
const withAttempt = (change: Pick<Attempt, 'kind' | 'target'>): Partial<Status> => ({
  attempts: (endedStatus().attempts ?? []).map((one) => ({ ...one, ...change })),
});

it('tells when it began, was detected, acknowledged, decided, mitigated and closed', () => {
  expect(review().times).toEqual({
    beganAt: '2026-11-24T09:01:00.000Z',
    detectedAt: '2026-11-24T09:04:00.000Z',
    acknowledgedAt: '2026-11-24T09:07:00.000Z',
    proposedAt: '2026-11-24T09:04:00.000Z',
    decidedAt: '2026-11-24T09:08:00.000Z',
    mitigatedAt: '2026-11-24T09:09:00.000Z',
    endedAt: '2026-11-24T09:14:00.000Z',
  });
});

it('says how much later than the first error the incident was opened', () => {
  const firstErrorAt = '2026-11-24T09:00:00.000Z';
  expect(review({}, { ...impact, firstErrorAt }).gaps).toContain('it was opened 4 minutes after the first error');
});

it('does not take an error of last week for the first one', () => {
  const firstErrorAt = '2026-11-17T09:00:00.000Z';
  expect(review({}, { ...impact, firstErrorAt }).times.beganAt).toBe('2026-11-24T09:01:00.000Z');
});

it('suspects first what was mended by what helped, with its evidence, and last what was tried in vain', () => {
  const { attempts = [] } = endedStatus();
  const inVain = {
    kind: 'switch-off-flag' as const,
    target: 'express-checkout',
    summary: 'Switch off express-checkout',
    at: '2026-11-24T09:05:00.000Z',
    endedAt: '2026-11-24T09:06:00.000Z',
    result: 'not-helped' as const,
    undo: 'done' as const,
  };
  const { causes } = review({ attempts: [inVain, ...attempts] });
  expect(causes.map(({ id, state }) => [id, state])).toEqual([
    ['roll-back:v2', 'suspected'],
    ['check:recent deployments', 'suspected'],
    ['switch-off-flag:express-checkout', 'suspected'],
  ]);
  expect(causes[0]?.evidence).toEqual([
    'Roll shop back from v2 to v1: it helped',
    'new in v2: 40 × TypeError: no price',
  ]);
});

it('suspects a commit that changes what fails behind the release that has it, and not where the rollback was in vain', () => {
  const what = 'c0ffee Take the price from the cart (Ada, +3 −1 in src/checkout.ts)';
  const commits = [{ id: 'c0ffee', what, touches: ['src/checkout.ts'] }];
  const [, second] = review({ commits }).causes;
  expect(second).toEqual({
    id: 'commit:c0ffee',
    what: `the commit ${what}`,
    evidence: ['it has to do with src/checkout.ts'],
    state: 'suspected',
  });
  const [rollBack] = endedStatus().attempts ?? [];
  const attempts = [{ ...rollBack!, result: 'not-helped' as const, undo: 'done' as const }];
  expect(review({ commits, attempts }).causes.map(({ id }) => id)).toEqual([
    'check:recent deployments',
    'roll-back:v2',
    'commit:c0ffee',
  ]);
});

it('keeps who said when what the cause was, and what was suspected before', () => {
  const first = withCause(review(), { by: 'lead', cause: '2', reason: 'v2 only showed it' }, '2026-11-25T10:00:00Z');
  const { causes, decisions, actionItems } = withCause(
    first,
    { by: 'cto', cause: 'a full disk' },
    '2026-11-26T10:00:00Z',
  );
  expect(causes.map(({ what, state }) => [what, state])).toEqual([
    ['a full disk', 'confirmed'],
    ['recent deployments: v2 runs since 08:50, still in its bake window', 'ruled-out'],
    ['the release v2', 'ruled-out'],
  ]);
  expect(decisions).toMatchObject([
    {
      by: 'lead',
      reason: 'v2 only showed it',
      before: ['the release v2 (suspected)', expect.stringContaining('recent deployments')],
    },
    { by: 'cto', at: '2026-11-26T10:00:00Z', before: [expect.stringMatching(/recent deployments.*\(confirmed\)/)] },
  ]);
  expect(actionItems.find(({ id }) => id === 'confirm-the-cause')).toMatchObject({ state: 'done', closedBy: 'lead' });
});

it('takes neither an agent with a token nor the configuration for a person who was heard of or has decided', () => {
  const { timeline } = endedStatus();
  const at = (minute: number): string => new Date(Date.parse('2026-11-24T09:00:00Z') + minute * 60_000).toISOString();
  const line = (minute: number, kind: string, who: string) => ({ at: at(minute), kind, what: kind, who });
  const asked = timeline.slice(0, timeline.findIndex(({ kind }) => kind === 'proposed') + 1);
  const { acknowledgedAt: none, decidedAt: never } = review({
    timeline: [...asked, line(7, 'acknowledged', 'token:agent'), line(8, 'approved', 'policy:low-risk')],
  }).times;
  expect([none, never]).toEqual([undefined, undefined]);
  const votes = [line(7, 'approved', 'responder'), line(9, 'approved', 'lead'), line(10, 'proposed', 'holdfast')];
  const { times } = review({ timeline: [...asked, ...votes, line(11, 'declined', 'lead')] });
  expect([times.acknowledgedAt, times.decidedAt]).toEqual([at(7), at(9)]);
});

it('suspects nothing of what it leaves to people', () => {
  const { causes } = review(withFinding('action items', 'look at the commit c0ffee'));
  expect(causes.filter(({ id }) => id.includes('action items'))).toEqual([]);
});

it('drafts an action item for what happened, with owner and due date', () => {
  expect(review().actionItems).toMatchObject([
    { id: 'confirm-the-cause', owner: 'responder', dueAt: '2026-12-01T09:14:00.000Z', state: 'open' },
    { id: 'mend-the-release', title: expect.stringContaining('Mend v2') },
    { id: 'unknown-check', title: 'Let "load" be read again', why: 'could not be read: metrics are away' },
  ]);
});

it.each<[string, Partial<Status>, string]>([
  ['a restart that has only gained time', withAttempt({ kind: 'restart-instances', target: 'shop' }), 'leak'],
  ['a route that is quick from a cache alone', withAttempt({ kind: 'turn-on-caching', target: '/slow' }), 'slow-route'],
  ['a bundle that has grown', withFinding('bundle', 'main.js has 300 kB more'), 'smaller-bundle'],
  ['what the diagnosis leaves to people', withFinding('action items', 'look at the commit c0ffee'), 'left-to-people'],
  ['a skipped step', withLines(line('step-skipped', 'Left out: smoke tests')), 'step-skipped'],
  ['an undo that failed', withLines(line('undo-failed', 'it broke')), 'undo-failed'],
  ['a handed over incident', { outcome: 'handed-over' }, 'runbook-gap'],
  ['a broken automation', { outcome: 'failed' }, 'mend-the-automation'],
  ['a silent ladder', { outcome: 'unanswered' }, 'nobody-answered'],
  ['an incident that no alert raised', { incident: { ...endedStatus().incident, openedBy: 'cli:lead' } }, 'no-alert'],
  [
    'an acknowledgement later than the first level had to answer',
    {
      timeline: endedStatus()
        .timeline.filter(({ kind }) => kind !== 'acknowledged')
        .map((one) => (one.kind === 'approved' ? { ...one, at: '2026-11-24T09:12:00.000Z' } : one)),
    },
    'slow-acknowledgement',
  ],
  [
    'a flag left off',
    { attempts: [{ ...endedStatus().attempts![0]!, kind: 'switch-off-flag', target: 'express-checkout' }] },
    'flag-left-off',
  ],
  [
    'an index that was proposed and not made',
    {
      outcome: 'declined',
      attempts: [],
      proposal: {
        ...endedStatus().proposal!,
        action: {
          kind: 'create-index',
          service: 'shop',
          environment: 'production',
          schema: 'public',
          table: 'orders',
          columns: ['customer_id'],
          name: 'i',
          statement: 'create index',
        },
      },
    },
    'missing-index',
  ],
])('drafts one for %s', (_, change, id) => {
  expect(items(change)).toContain(id);
});

describe('what a setting would change', () => {
  const [helped] = endedStatus().attempts ?? [];
  const attempts = [
    { ...helped!, result: 'not-helped' as const, undo: 'done' as const },
    {
      ...helped!,
      kind: 'switch-off-flag' as const,
      target: 'express-checkout',
      summary: 'Switch off express-checkout',
    },
  ];

  it.each<[string, Partial<Status>, string, string]>([
    [
      'the order of proposals',
      { attempts },
      'proposal-order',
      "proposals to { 'high-error-rate': ['switch-off-flag'] }",
    ],
    ['a silent ladder', { outcome: 'unanswered' }, 'nobody-answered', 'ladder'],
  ])('names %s', (_, change, id, setting) => {
    expect(review(change).actionItems.find((item) => item.id === id)?.setting).toBe(setting);
  });

  it('says in the document how it is tried on past incidents', () => {
    const row = documentOf(review({ attempts }), endedStatus({ attempts }))
      .split('\n')
      .find((one) => one.includes('open: proposal-order'));
    expect(row).toContain('Roll shop back from v2 to v1: it did not help; Switch off express-checkout: it did.');
    expect(row?.replaceAll('\\', '')).toContain(
      "To try it on past incidents: change proposals to { 'high-error-rate': ['switch-off-flag'] } in other.config.ts, a copy of the configuration, and run `npm run -s holdfast -- what-if --config other.config.ts`",
    );
  });
});

it('asks nobody to confirm the cause where the severity does not require it', () => {
  const info = { ...endedStatus().incident, severity: 'warning' as const };
  expect(items({ incident: info })).not.toContain('confirm-the-cause');
});

it('reviews incidents, deployments that went wrong and rollbacks, not deployments that went well or changed nothing', () => {
  const steps = [{ name: 'Deploy', state: 'undone' as const }];
  expect(wantsReview(endedStatus())).toBe(true);
  expect(wantsReview(endedStatus({ outcome: 'rolled-back', steps }))).toBe(true);
  expect(wantsReview(endedStatus({ outcome: 'declined', steps, attempts: [] }))).toBe(false);
  expect(wantsReview(endedStatus({ outcome: 'released', steps, attempts: [] }))).toBe(false);
  expect(wantsReview(endedStatus({ outcome: 'released', steps }))).toBe(true); // it took the traffic back
});

it('counts the error budget that was spent: the burn rate times its share of thirty days', () => {
  const ratio = { ratio: 0.5, requests: 1000, windowSeconds: 25_920 };
  expect(impactOf({ ratio, users: 'affected users: away', patterns: [], objective: 0.01 })).toEqual({
    requests: 1000,
    failed: 500,
    budgetSpent: 0.5,
    unknown: ['affected users: away'],
  });
});

describe('the document', () => {
  const document = (change: Partial<Status> = {}) => documentOf(review(change), endedStatus(change));

  it('has every line of the timeline and every part', () => {
    const whole = document();
    for (const { what } of endedStatus().timeline) expect(whole).toContain(text(what));
    for (const part of [
      'Impact',
      'Times',
      'Cause',
      'Contributing factors',
      'Detection gaps',
      'Action items',
      'Diagnosed',
      'Proposed',
      'Done',
      'Undone',
      'Timeline',
    ])
      expect(whole).toContain(`\n## ${part}\n`);
    expect(whole).toContain('- Users who met an error: 12\n- Requests that failed: 200 of 1000\n');
    expect(whole).toContain('| acknowledged by a person | 2026-11-24 09:07:00 | 3 minutes |');
  });

  it('is as the run and the people after it have it, whatever characters they used', () => {
    const said = '1. the *price* of #4 | `total`: www.shop.example & <b>, $5 @lead C:\\.cache\\x -';
    const status = endedStatus({
      ...withLines(line('break-glass', `Alone: ${said}`, 'lead'), line('approved', 'Approved', 'lead via cli')),
      outcome: 'unanswered', // an action item about a setting
      note: said,
      steps: [
        { name: said, state: 'undone', detail: `- ${said}` },
        { name: 'Deploy', state: 'done' },
      ],
    });
    const drafted = reviewOf(status, policy, { ...impact, unknown: [said] });
    const at = '2026-11-25T10:00:00.000Z';
    const words = [
      { by: 'lead', cause: said, reason: said },
      { by: 'cto', cause: '2' },
    ];
    const confirmed = words.reduce((now, word) => withCause(now, word, at), drafted);
    const skipped = { ...confirmed, skipped: { by: 'lead', at, reason: said } };
    for (const one of [drafted, confirmed, skipped]) assertDocumented(documentOf(one, status), status, one);
    const [first, ...others] = skipped.causes;
    const wrong = { ...skipped, causes: [{ ...first!, evidence: ['another'] }, ...others] };
    expect(() => assertDocumented(documentOf(wrong, status), status, skipped)).toThrow();
  });

  it('renders text from alerts as text', () => {
    const hostile =
      '[x](javascript:alert(1)) <img src=x onerror=y> ![p](https://evil.example/p.png) www.evil.example &lt;b> $x$ @all `code` # h\n| a | b |\n---\nreview: "forged"';
    const whole = document({ incident: { ...endedStatus().incident, summary: hostile }, note: hostile });
    expect(whole.split('\n').filter((one) => one.startsWith('review: '))).toEqual([
      'review: "review.incident.shop.high-error-rate.11111111-2222-3333-4444-555555555555"',
    ]);
    expect(whole.split('\n').filter((one) => one.startsWith('# '))).toHaveLength(1);
    const unescaped = whole.replaceAll(/\\[!-/:-@[-`{-~]/g, '');
    expect(unescaped).not.toMatch(/<img|https?:\/\/|www\.|&lt;|@all|`code`|\$x/);
    expect(unescaped.match(/]\(/g)).toHaveLength(1); // the chart
  });

  it.each([
    ['1. not a list', '1\\. not a list'],
    ['- not a list', '\\- not a list'],
    ['8.63 % of them', '8.63 % of them'],
    ['http://x', 'http\\://x'],
    ['a & b', 'a \\& b'],
    ['two\nlines', 'two lines'],
  ])('writes %j so that it stays what it is', (from, to) => {
    expect(text(from)).toBe(to);
  });

  it('stays small after 5,000 lines, keeps both ends and says what is left out', () => {
    const long = 'x'.repeat(600);
    const many = Array.from({ length: 5000 }, (_, i) => line('note', `${i} ${long}`, 'responder'));
    const findings: Finding[] = Array.from({ length: 40 }, (_, i) => ({
      check: `check ${i}`,
      verdict: 'bad',
      summary: 'y'.repeat(2000),
    }));
    const status = bounded(endedStatus({ ...withLines(...many), findings }));
    const whole = reviewOf(status, policy, impact);
    expect(JSON.stringify({ status, review: whole }).length).toBeLessThan(256 * 1024);
    const markdown = documentOf(whole, status);
    expect(markdown.length).toBeLessThan(256 * 1024);
    expect(markdown).toContain('4810 lines are left out here');
    expect(markdown).toContain('Closed as mitigated');
  });
});

it('reminds a day before, when it is due, and each week after that, one level higher each time', () => {
  const [item] = review().actionItems;
  if (item === undefined) throw new Error('there is no action item');
  const all = [0, 1, 2, 3].map((reminded) => reminderOf({ ...item, reminded }, policy.review));
  expect(all.map(({ at, level }) => [new Date(at).toISOString().slice(0, 10), level])).toEqual([
    ['2026-11-30', undefined],
    ['2026-12-01', undefined],
    ['2026-12-08', 1],
    ['2026-12-15', 2],
  ]);
});
