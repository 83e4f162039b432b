import type { WorkflowHandle } from '@temporalio/client';
import { simulatedCode } from '../../activities/simulator.ts';
import type { Announcement, BreakGlassOrder, Page, Policy, SignedDecision, Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { secondLookId } from '../../src/runbook/catalogue.ts';
import { documentOf } from '../../src/runbook/review-document.ts';
import { reviewOf } from '../../src/runbook/review.ts';
import { until } from '../support/until.ts';
import {
  incident,
  policyOf,
  signedDecision,
  skippedTime,
  type SkippedRun,
  type SkippedTime,
} from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const REASON = 'the shop is down and nobody answers';
const breakGlass = { roles: ['admin' as const], secondPersonWithin: '1 hour' };
/** Two must approve; the CTO may alone. People are reached over mail, everybody follows on Slack. */
function twoMust(): Policy {
  const policy = policyOf();
  const medium = { ...policy.approval.medium, quorum: 2, breakGlass };
  return {
    ...policy,
    people: policy.people.map((one) => ({ ...one, channels: ['slack', 'email'] })),
    announce: ['slack'],
    approval: { ...policy.approval, medium },
  };
}

interface Told {
  pages: { channel: string; page: Page }[];
  announced: Announcement[];
}
/** A run under that rule, and what it and what it starts have told. */
async function started(type: string, input: object, ports: Partial<Ports> = {}): Promise<SkippedRun & { told: Told }> {
  const told: Told = { pages: [], announced: [] };
  const run = await time.start(type, input, {
    policy: async () => twoMust(),
    page: async (one) => void told.pages.push(one),
    announce: async ({ announcement }) => void told.announced.push(announcement),
    ...ports,
  });
  return { ...run, told };
}
/** What was sent, once for each key and channel: what takes long is tried again. */
const sent = ({ told }: { told: Told }) => [
  ...new Map(told.pages.map((one) => [`${one.page.key} ${one.channel}`, one])).values(),
];
/** In real time: in skipped time a page is given up that waits for a late worker. */
const allTold = (run: { told: Told }) => until(() => sent(run).length === 9);
const waits = async (run: Pick<SkippedRun, 'until'>): Promise<Status> =>
  await run.until(({ phase }) => phase === 'waiting');
const decide = (
  handle: WorkflowHandle,
  status: Status,
  person: string,
  { verdict = 'approved', ...more }: Partial<Pick<SignedDecision, 'verdict' | 'reason' | 'breakGlass' | 'via'>> = {},
) => handle.executeUpdate('decide', { args: [signedDecision(status, person, verdict, more)] });
const alone = { breakGlass: true as const, reason: REASON };
const refused = (why: string) =>
  expect.objectContaining({ cause: expect.objectContaining({ message: expect.stringContaining(why) }) });

/** What a person has approved alone a moment ago. */
const order = (change: Partial<BreakGlassOrder> = {}): BreakGlassOrder => ({
  service: 'shop',
  environment: 'production',
  of: { workflowId: 'incident.shop.high-error-rate', runId: 'none' },
  digest: 'd'.repeat(64),
  summary: 'Roll shop back from v2 to v1',
  risk: 'medium',
  by: 'cto',
  via: 'console',
  reason: REASON,
  at: new Date().toISOString(),
  until: new Date(Date.now() + 3_600_000).toISOString(),
  ...change,
});

describe('break-glass', () => {
  it('lets one person approve alone what two must, with a reason, and leaves behind the run that asks a second to look', async () => {
    const run = await started('highErrorRate', incident());
    const open = await waits(run);
    await expect(decide(run.handle, open, 'cto', { breakGlass: true })).rejects.toEqual(refused('needs a reason'));
    await expect(decide(run.handle, open, 'lead', alone)).rejects.toEqual(refused('lead lacks the role admin'));
    expect(await decide(run.handle, open, 'cto', alone)).toMatchObject({
      verdict: 'approved',
      approvedBy: ['cto'],
      needed: 2,
      breakGlass: { reason: REASON },
    });
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    const ended = await run.status();
    const workflowId = secondLookId({ service: 'shop', digest: open.proposal?.digest ?? '' });
    expect(ended.decision).toMatchObject({ by: ['cto'], breakGlass: { workflowId, reason: REASON } });
    const line = ended.timeline.find(({ kind }) => kind === 'break-glass');
    expect(line).toMatchObject({ who: 'cto', what: expect.stringContaining(`(${workflowId}): ${REASON}`) });
    const forAnother = Date.parse(ended.decision?.breakGlass?.until ?? '') - Date.parse(line?.at ?? '');
    expect(forAnother).toBe(3_600_000);
    expect(documentOf(reviewOf(ended, twoMust()), ended)).toMatch(
      /\*\*Break-glass: cto approves alone[^]+nobody answers\.\*\*/,
    );
    const look = time.env.client.workflow.getHandle(workflowId);
    await look.signal('stop', { by: 'cto' });
    const asked = await look.query<Status>('status');
    expect(asked).toMatchObject({ phase: 'waiting', waitingFor: ['responder', 'lead'] });
    await decide(look, asked, 'lead');
    expect(await look.result()).toMatchObject({ outcome: 'confirmed' });
  });

  it('never goes around the safety authority: nothing is done while the kill switch is on', async () => {
    const reason = 'the kill switch is on (cto: freeze)';
    const run = await started('highErrorRate', incident(), {
      requestChange: async () => ({ granted: false, because: 'kill-switch', reason }),
    });
    await decide(run.handle, await waits(run), 'cto', alone);
    expect(await run.result()).toMatchObject({ outcome: 'handed-over', note: `approved, but not done: ${reason}` });
    expect(run.calls).not.toContain('rollBack');
  });

  it('is not by a one-time code', async () => {
    const run = await started('highErrorRate', incident());
    await waits(run);
    await run.handle.signal('approve', { by: 'cto', code: simulatedCode('cto'), ...alone });
    const { timeline, phase } = await run.until(({ timeline: all }) => all.some(({ kind }) => kind === 'refused'));
    expect(phase).toBe('waiting');
    expect(timeline.at(-1)?.what).toContain('break-glass is not by a code: use the console');
    await run.handle.signal('stop', {});
    expect(await run.result()).toMatchObject({ outcome: 'stopped' });
  });
});

describe('what one person has approved alone', () => {
  it('is told to everybody of the ladder in every channel: who, why, what, and until when a second person must look', async () => {
    const run = await started('breakGlass', order());
    const { proposal } = await waits(run);
    await allTold(run);
    await until(() => run.told.announced.some(({ asks }) => asks !== undefined));
    const reached = sent(run).map(({ channel, page }) => `${page.person} ${channel}`);
    const channels = ['console', 'slack', 'email'];
    expect(reached.toSorted()).toEqual(
      ['responder', 'lead', 'cto'].flatMap((person) => channels.map((channel) => `${person} ${channel}`)).toSorted(),
    );
    for (const { page } of sent(run)) {
      expect(page.subject).toBe('Look at what cto approved alone: Roll shop back from v2 to v1');
      expect(page.text).toContain(`: ${REASON}`);
      expect(page.text).toContain(`object by ${proposal?.expiresAt}`);
      expect(page.asks?.digest).toBe(page.person === 'cto' ? undefined : proposal?.digest);
    }
    expect(run.told.announced.at(-1)).toMatchObject({ severity: 'critical', asks: { expiresAt: proposal?.expiresAt } });
    await run.decide('approved', 'lead');
    expect(await run.result()).toMatchObject({ outcome: 'confirmed', note: expect.stringContaining('lead confirms') });
  });

  it('is confirmed by another person alone, not by who approved it or asked for it, and ends in no other way', async () => {
    const run = await started('breakGlass', order({ notBy: ['lead'] }));
    const open = await waits(run);
    await expect(decide(run.handle, open, 'cto')).rejects.toEqual(refused('a second person must look'));
    await expect(decide(run.handle, open, 'cto', alone)).rejects.toEqual(refused('nobody is that alone'));
    await expect(decide(run.handle, open, 'lead')).rejects.toEqual(refused('somebody else must decide'));
    await expect(decide(run.handle, open, 'visitor')).rejects.toEqual(refused('lacks the role'));
    for (const signal of ['stop', 'takeOver', 'pause']) await run.handle.signal(signal, { by: 'cto' });
    const { timeline, paused } = await run.until(
      (now) => now.timeline.filter(({ kind }) => kind === 'refused').length === 3,
    );
    expect(paused).toBe(false);
    expect(timeline.at(-1)).toMatchObject({ who: 'cto', what: expect.stringContaining('changed nothing') });
    await run.handle.signal('approve', { by: 'responder', code: simulatedCode('responder') });
    expect(await run.result()).toMatchObject({
      outcome: 'confirmed',
      note: expect.stringContaining('responder confirms'),
    });
  });

  it('asks whoever decides instead of somebody of the ladder', async () => {
    const delegates = [{ to: 'visitor', from: '2020-01-01T00:00:00Z', until: '2100-01-01T00:00:00Z' }];
    const policy = twoMust();
    const people = policy.people.map((one) => (one.name === 'lead' ? { ...one, delegates } : one));
    const run = await started('breakGlass', order(), { policy: async () => ({ ...policy, people }) });
    expect((await waits(run)).waitingFor.toSorted()).toEqual(['responder', 'visitor']);
    await until(() => sent(run).length === 12);
    const asked = sent(run).filter(({ page }) => page.asks !== undefined);
    expect([...new Set(asked.map(({ page }) => page.person))].toSorted()).toEqual(['responder', 'visitor']);
    await run.decide('approved', 'visitor');
    expect(await run.result()).toMatchObject({ outcome: 'confirmed', note: expect.stringContaining('visitor') });
  });

  it('has the ladder climbed when nobody looks in time, again every day, and waits until somebody has', async () => {
    const run = await started('breakGlass', order());
    await waits(run);
    await allTold(run);
    await time.env.sleep('59 minutes');
    expect(sent(run)).toHaveLength(9);
    await time.env.sleep('40 minutes');
    const first = sent(run)
      .slice(9)
      .filter(({ channel }) => channel === 'slack');
    expect(first.map(({ page }) => page.person)).toEqual(['responder', 'lead']);
    expect(await run.status()).toMatchObject({ phase: 'waiting' });
    await time.env.sleep('1 day');
    const all = sent(run)
      .slice(9)
      .filter(({ channel }) => channel === 'slack');
    expect(all.map(({ page }) => page.person)).toEqual(['responder', 'lead', 'responder', 'lead']);
    const { timeline } = await run.status();
    expect(timeline.filter(({ kind }) => kind === 'overdue')).toHaveLength(2);
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'confirmed' });
  });

  it('is objected to with a note only, and that pages the ladder until somebody takes over', async () => {
    const run = await started('breakGlass', order());
    const open = await waits(run);
    await expect(decide(run.handle, open, 'lead', { verdict: 'declined' })).rejects.toEqual(refused('needs a note'));
    await allTold(run);
    const before = run.told.pages.length;
    await run.decide('declined', 'lead', undefined, 'the load balancer was to blame');
    expect(await run.result()).toMatchObject({ outcome: 'objected', note: expect.stringContaining('load balancer') });
    await until(() => run.told.pages.length > before);
    expect(run.told.pages.at(-1)?.page.subject).toContain('objected, a person is needed');
    await run.ladder(0).signal('takeOver', { by: 'responder' });
    expect(await run.ladder(0).result()).toMatchObject({ outcome: 'taken-over' });
  });

  it('is answered the same by a worker that remembers nothing', async () => {
    const told: Told = { pages: [], announced: [] };
    const ports: Partial<Ports> = { policy: async () => twoMust(), page: async (one) => void told.pages.push(one) };
    const run = await time.start('breakGlass', order(), ports, { forgetful: true });
    await waits(run);
    await time.env.sleep('2 hours');
    await run.decide('approved', 'lead');
    expect(await run.result()).toMatchObject({ outcome: 'confirmed' });
  });
});
