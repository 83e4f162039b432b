import { Temporal } from 'temporal-polyfill';
import { createActivities } from '../../activities/configuration.ts';
import { parseSettings } from '../../src/config.ts';
import type { EscalationOrder, Page, Policy, Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { failure } from '../../src/errors.ts';
import { firing, incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const MINUTE_MS = 60_000;
const { people } = simulatedPolicy;

const order = (change: Partial<EscalationOrder> = {}): EscalationOrder => ({
  service: 'shop',
  environment: 'production',
  of: { workflowId: 'incident.shop.triage', runId: 'run-1' },
  severity: 'critical',
  key: 'incident.shop.triage/run-1:closed',
  subject: 'Triage on shop: a person is needed',
  text: 'nothing is known',
  ladder: simulatedPolicy.ladder,
  people: people.map(({ name, channels }) => ({ name, channels })),
  rules: { staleAfter: '30 minutes', repeats: 3, businessHours: false },
  announce: [],
  ...change,
});

/** Pages with the minute, in test time, at which each was delivered. */
async function noting(): Promise<{ sent: { page: Page; minute: number }[]; page: Ports['page'] }> {
  const begun = await time.env.currentTimeMs();
  const sent: { page: Page; minute: number }[] = [];
  return {
    sent,
    async page({ page }) {
      sent.push({ page, minute: Math.round(((await time.env.currentTimeMs()) - begun) / MINUTE_MS) });
    },
  };
}
const schedule = (sent: { page: Page; minute: number }[]) => sent.map(({ page, minute }) => `${page.person}@${minute}`);

it('climbs level by level, repeats the last, and ends unanswered, each page with a key of its own', async () => {
  const { sent, page } = await noting();
  const run = await time.start('escalation', order(), { page });
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  expect(schedule(sent)).toEqual(['responder@0', 'lead@5', 'cto@15', 'cto@30', 'cto@45', 'cto@60']);
  expect(new Set(sent.map(({ page: { key } }) => key)).size).toBe(6);
});

it('begins at the level that it is told, and pages everybody of it', async () => {
  const ladder = [simulatedPolicy.ladder[0]!, { level: 'leads', people: ['lead', 'cto'], wait: '10 minutes' }];
  const { sent, page } = await noting();
  const run = await time.start('escalation', order({ ladder, from: 'leads' }), { page });
  await run.result();
  expect(schedule(sent).slice(0, 4).toSorted()).toEqual(['cto@0', 'cto@10', 'lead@0', 'lead@10']);
});

it('stops climbing when it is acknowledged, pages that level again when that is stale, and ends when it is taken over', async () => {
  const { sent, page } = await noting();
  const run = await time.start('escalation', order(), { page });
  await run.until(() => sent.length === 2);
  await run.handle.signal('acknowledge', { by: 'lead' });
  expect(await run.until(({ acknowledgedBy }) => acknowledgedBy === 'lead')).toMatchObject({
    doing: expect.stringContaining('lead looks at it'),
  });
  await time.env.sleep('29 minutes');
  expect(schedule(sent)).toEqual(['responder@0', 'lead@5']);
  await run.until(() => sent.length === 4);
  expect(schedule(sent)).toEqual(['responder@0', 'lead@5', 'lead@35', 'cto@45']);
  await run.handle.signal('takeOver', { by: 'cto', text: 'on it' });
  expect(await run.result()).toEqual({ outcome: 'taken-over', note: 'taken over by cto: on it' });
  expect(schedule(sent)).toHaveLength(4);
});

it('pages whom somebody hands it to, by name, and goes on where it stood when that person does not answer', async () => {
  const { sent, page } = await noting();
  const run = await time.start('escalation', order(), { page });
  await run.until(() => sent.length === 1);
  await run.handle.signal('handOver', { by: 'responder', to: 'stranger' });
  await run.handle.signal('handOver', { by: 'responder', to: 'cto' });
  await run.until(() => sent.length === 3);
  expect(schedule(sent)).toEqual(['responder@0', 'cto@0', 'responder@5']);
  expect((await run.status()).timeline.filter(({ kind }) => ['refused', 'handed-over'].includes(kind))).toHaveLength(2);
  await run.handle.signal('stop', { by: 'responder' });
  expect(await run.result()).toMatchObject({ outcome: 'stopped' });
});

it('asks who is on call when it comes to a level, and goes on where nobody is or that cannot be told', async () => {
  const { sent, page } = await noting();
  const begun = await time.env.currentTimeMs();
  const ladder = [
    { level: 'team', people: [], onCall: 'team', wait: '5 minutes' },
    { level: 'nobody', people: [], onCall: 'empty', wait: '10 minutes' },
    { level: 'broken', people: ['lead'], onCall: 'broken', wait: '10 minutes' },
    { level: 'cto', people: ['cto'], onCall: 'team', wait: '15 minutes' },
  ];
  const onCall: Ports['onCall'] = async ({ schedule: name, at }) => {
    if (name === 'broken') throw failure('NotConfigured', 'no such schedule');
    const late = Date.parse(at) - begun > 10 * MINUTE_MS;
    return { people: name === 'empty' ? [] : [late ? 'visitor' : 'responder'] };
  };
  const run = await time.start('escalation', order({ ladder, rules: { ...order().rules, repeats: 0 } }), {
    page,
    onCall,
  });
  await run.result();
  expect(schedule(sent).toSorted()).toEqual(['cto@15', 'lead@5', 'responder@0', 'visitor@15']);
});

it('lets people sleep where it is of low severity, until business opens', async () => {
  const { sent, page } = await noting();
  const opensAt = new Date((await time.env.currentTimeMs()) + 600 * MINUTE_MS).toISOString();
  const businessHours: Ports['businessHours'] = async ({ at }) =>
    at >= opensAt ? { open: true, reason: 'open' } : { open: false, reason: 'closed', until: opensAt };
  const rules = { ...order().rules, repeats: 0, businessHours: true };
  const run = await time.start('escalation', order({ severity: 'info', rules }), { page, businessHours });
  await run.result();
  expect(schedule(sent)).toEqual(['responder@600', 'lead@605', 'cto@615']);
});

/** By the next two changes of the clock: one in spring, when 02:30 is skipped, and one in autumn, when it comes twice. */
it.each([0, 1])('opens and hands over by local time where the clock changes in that night (%i)', async (after) => {
  const timeZone = 'Europe/Berlin';
  const begun = await time.env.currentTimeMs();
  let change = Temporal.Instant.fromEpochMilliseconds(begun + 3 * 86_400_000).toZonedDateTimeISO(timeZone);
  for (let i = 0; i <= after; i += 1) change = change.getTimeZoneTransition('next') ?? change;
  const changesAt = change.epochMilliseconds;
  const forward = change.offsetNanoseconds > change.subtract({ seconds: 1 }).offsetNanoseconds;
  const from = change.toPlainDate().subtract({ days: 1 }).toString();
  const names = ['responder', 'lead'];
  const configured = createActivities(
    { HOLDFAST_DECISION_PUBLIC_KEYS: '' },
    parseSettings(
      {
        people: names.map((name) => ({ name, roles: ['approver'] })),
        ladder: [{ level: 'team', onCall: 'nights', wait: '15 minutes' }],
        schedules: [
          { name: 'nights', timeZone, rotations: [{ people: names, every: 'day', from, handOver: '02:40' }] },
        ],
        escalation: { businessHours: { timeZone, hours: { from: '02:30', until: '06:00' } } },
        approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
        services: [{ name: 'shop', environments: { production: { url: 'http://127.0.0.1:1' } } }],
      },
      {},
      'test',
      changesAt - 120 * MINUTE_MS,
    ),
  );
  await time.env.sleep(changesAt - 120 * MINUTE_MS - begun);
  const paged: string[] = [];
  const level = { people: [], onCall: 'nights', wait: '15 minutes' };
  const run = await time.start(
    'escalation',
    order({
      severity: 'info',
      ladder: [
        { level: 'team', ...level },
        { level: 'again', ...level },
      ],
      rules: { ...order().rules, repeats: 0, businessHours: true },
    }),
    {
      onCall: (of) => configured.onCall(of),
      businessHours: (of) => configured.businessHours(of),
      async page({ page: { person } }) {
        const now = await time.env.currentTimeMs();
        paged.push(`${person}@${Math.round((now - changesAt) / MINUTE_MS)}`);
      },
    },
  );
  await run.result();
  expect(paged).toEqual(forward ? ['responder@30', 'lead@45'] : ['responder@-30', 'lead@-15']);
});

it('pages at once where the business hours cannot be told', async () => {
  const { sent, page } = await noting();
  const businessHours = async (): Promise<never> => {
    throw failure('NotConfigured', 'no business');
  };
  const rules = { ...order().rules, repeats: 0, businessHours: true };
  const run = await time.start('escalation', order({ severity: 'info', rules }), { page, businessHours });
  await run.result();
  expect(schedule(sent)).toEqual(['responder@0', 'lead@5', 'cto@15']);
});

it.each<[string, boolean, 'resolved' | 'unanswered']>([
  ['ends when the alert resolves by itself, where nothing was changed', true, 'resolved'],
  ['goes on when the alert resolves, where something was changed', false, 'unanswered'],
])('%s', async (_, untilResolved, outcome) => {
  const run = await time.start('escalation', order({ untilResolved }));
  await run.until(({ waitingFor }) => waitingFor.length > 0);
  const batch = { batchId: 'b', distinct: 0, deliveries: 1, status: 'resolved', samples: [] };
  await run.handle.signal('addAlerts', batch);
  expect(await run.result()).toMatchObject({ outcome });
  expect(run.pages.length > 1).toBe(outcome === 'unanswered');
});

it('goes on when a later run needs a person again', async () => {
  const run = await time.start('escalation', order({ untilResolved: true }));
  await run.until(({ waitingFor }) => waitingFor.length > 0);
  await run.handle.signal('addAlerts', { batchId: 'b', distinct: 0, deliveries: 1, status: 'resolved', samples: [] });
  await run.handle.signal('reopen', { text: 'Needed again' });
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
});

it.each<[string, Partial<EscalationOrder>]>([
  ['waits for business hours', { severity: 'info', rules: { ...order().rules, businessHours: true } }],
  ['is acknowledged', { severity: 'warning' }],
])(
  'pages at once, and not until the alert resolves, when a later run needs a person more urgently while it %s',
  async (_, mild) => {
    const { sent, page } = await noting();
    const businessHours = async () => ({ open: false, reason: 'night', until: '2030-01-01T00:00:00Z' });
    const run = await time.start('escalation', order({ ...mild, untilResolved: true }), { page, businessHours });
    if (mild.severity === 'warning') {
      await run.until(() => sent.length === 1);
      await run.handle.signal('acknowledge', { by: 'responder' });
      await run.until(({ acknowledgedBy }) => acknowledgedBy === 'responder');
    } else await run.until(({ waitingUntil }) => waitingUntil?.startsWith('2030') === true);
    sent.splice(0);
    const key = 'incident.shop.triage/run-2:closed';
    await run.handle.signal('reopen', { text: 'Needed again', order: order({ key, from: 'engineering-lead' }) });
    await run.handle.signal('addAlerts', { batchId: 'b', distinct: 0, deliveries: 1, status: 'resolved', samples: [] });
    expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
    expect(sent.slice(0, 2).map(({ page: one }) => `${one.person} ${one.severity}`)).toEqual([
      'lead critical',
      'cto critical',
    ]);
  },
);

it('pages again when an alert that comes after the hand-over is worse', async () => {
  const { sent, page } = await noting();
  const run = await time.start('escalation', order({ severity: 'info' }), { page });
  await run.until(() => sent.length === 1);
  await run.handle.signal('acknowledge', { by: 'responder' });
  await run.handle.signal('addAlerts', firing('critical'));
  await run.until(() => sent.length === 2);
  expect(sent.map(({ page: { severity } }) => severity)).toEqual(['info', 'critical']);
  await run.handle.signal('takeOver', { by: 'responder' });
  expect(await run.result()).toMatchObject({ outcome: 'taken-over' });
});

it('lets people sleep when an alert comes after the hand-over that is no worse', async () => {
  const { sent, page } = await noting();
  const businessHours = async () => ({ open: false, reason: 'night', until: '2030-01-01T00:00:00Z' });
  const run = await time.start(
    'escalation',
    order({ severity: 'info', rules: { ...order().rules, businessHours: true } }),
    { page, businessHours },
  );
  await run.until(({ waitingUntil }) => waitingUntil?.startsWith('2030') === true);
  await run.handle.signal('addAlerts', firing('info'));
  await run.until(({ timeline }) => timeline.some(({ kind }) => kind === 'alert'));
  await run.handle.signal('takeOver', { by: 'responder' });
  await run.result();
  expect(sent).toEqual([]);
});

it('is climbed anew when a later run needs a person while it is ending', async () => {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const { sent, page } = await noting();
  const run = await time.start('escalation', order({ announce: ['slack'] }), { page, announce: () => held });
  await run.until(() => sent.length === 1);
  await run.handle.signal('takeOver', { by: 'responder' });
  await run.until(({ phase }) => phase === 'closed');
  await run.handle.signal('reopen', {
    text: 'Needed again',
    order: order({ key: 'incident.shop.triage/run-2:closed' }),
  });
  letGo();
  const latest = time.env.client.workflow.getHandle(run.handle.workflowId);
  expect(await latest.result()).toMatchObject({ outcome: 'unanswered' });
  expect(sent.slice(0, 2).map(({ page: { key } }) => key)).toEqual([
    'incident.shop.triage/run-1:closed:development-team:responder',
    'incident.shop.triage/run-2:closed:development-team:responder',
  ]);
});

describe('the ladder of an incident', () => {
  it('is withdrawn when somebody decides', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect(await run.ladder(1).result()).toMatchObject({
      outcome: 'stopped',
      note: expect.stringContaining('withdrawn'),
    });
    expect(run.pages.map(({ person }) => person)).toEqual(['responder']);
  });

  it('goes on at its last level when nobody has decided: a person must take over', async () => {
    const run = await time.start('highErrorRate', incident());
    expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
    await run.handedOver();
    expect(run.pages.map(({ person, asks }) => `${person} ${asks ? 'decides' : 'goes on'}`)).toEqual([
      'responder decides',
      'lead decides',
      'cto decides',
      'cto goes on',
    ]);
    await run.ladder(0).signal('takeOver', { by: 'cto' });
    expect(await run.ladder(0).result()).toMatchObject({ outcome: 'taken-over' });
  });

  it('goes on after a hand-over, and begins where the severity says', async () => {
    const policy = async (): Promise<Policy> =>
      policyOf({
        mode: 'observe',
        escalation: {
          entry: { critical: 'engineering-lead' },
          staleAfter: '30 minutes',
          repeats: 10,
          businessHours: [],
        },
      });
    const run = await time.start('highErrorRate', incident(), { policy });
    expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
    await run.handedOver();
    expect(run.pages).toEqual([{ person: 'lead', level: 'engineering-lead', asks: false }]);
    await run.ladder(0).signal('acknowledge', { by: 'cto' });
    expect(await run.ladder(0).query<Status>('status')).toMatchObject({ acknowledgedBy: 'cto', phase: 'waiting' });
  });

  it('ends with the run where somebody takes over at the ladder itself', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ waitingFor }) => waitingFor.length > 0);
    await run.ladder(1).signal('takeOver', { by: 'lead' });
    expect(await run.result()).toMatchObject({ outcome: 'taken-over', note: 'taken over by lead' });
  });

  it('shows who is asked, until when, and who could not be paged', async () => {
    const run = await time.start('highErrorRate', incident(), {
      page: async () => {
        throw failure('NotConfigured', 'no channel works');
      },
    });
    const { waitingFor, waitingUntil, deadline, timeline } = await run.until(({ timeline: lines }) =>
      lines.some(({ kind }) => kind === 'page-failed'),
    );
    expect(waitingFor).toEqual(['responder']);
    expect(deadline).toBe(waitingUntil);
    expect(timeline.find(({ kind }) => kind === 'page-failed')?.what).toBe('responder could not be paged');
    const { memo } = await run.handle.describe();
    expect(memo).toMatchObject({ deadline });
    await run.handle.signal('stop', { by: 'test' });
    await run.result();
    expect((await run.handle.describe()).memo).toMatchObject({ outcome: 'stopped' });
  });
});
