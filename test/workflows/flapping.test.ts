import type { AlertBatch, LastRun, Status } from '../../src/contracts/index.ts';
import { spacingMs } from '../../src/gateway/dispatcher.ts';
import { incident, skippedTime, type SkippedRun, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

let number = 0;
const batch = (status: AlertBatch['status'], flaps?: number): AlertBatch => ({
  batchId: `batch-${(number += 1)}`,
  distinct: status === 'firing' ? 1 : 0,
  deliveries: 1,
  status,
  samples: [],
  ...(flaps !== undefined && { flaps }),
});
const alerts = (run: SkippedRun, ...batches: AlertBatch[]) =>
  Promise.all(batches.map((one) => run.handle.signal('addAlerts', one)));
const asked = ({ phase, waitingFor }: Status) => phase === 'waiting' && waitingFor.length > 0;
const changes = ({ calls }: SkippedRun) => calls.filter((call) => ['rollBack', 'switchOff', 'scale'].includes(call));

it('withdraws the proposal when the alert resolves, says so, and changes nothing', async () => {
  const run = await time.start('highErrorRate', incident());
  await run.until(asked);
  await alerts(run, batch('resolved'));
  expect(await run.result()).toEqual({
    outcome: 'resolved',
    note: 'the alert resolved before anyone decided; the proposal is withdrawn, nothing was changed',
  });
  expect(changes(run)).toEqual([]);
  expect(await run.ladder(1).result()).toMatchObject({ outcome: 'stopped' });
});

it('keeps the proposal, and pages nobody again, when the alert fires again at once', async () => {
  const run = await time.start('highErrorRate', incident());
  const { proposal } = await run.until(asked);
  await alerts(run, batch('resolved'));
  await time.env.sleep('10 seconds');
  await alerts(run, batch('firing', 1));
  await time.env.sleep('2 minutes');
  expect(await run.status()).toMatchObject({ phase: 'waiting', proposal: { id: proposal?.id } });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(run.pages).toHaveLength(1);
});

it('takes 60 fires and resolves in ten minutes for one incident with one mitigation, and then asks for a person', async () => {
  const run = await time.start('highErrorRate', incident());
  for (let pair = 1; pair <= 60; pair += 1) {
    await alerts(run, batch('firing', pair - 1));
    await time.env.sleep('5 seconds');
    await alerts(run, batch('resolved', pair));
    await time.env.sleep('5 seconds');
    if (pair === 20) await run.decide('approved', 'lead');
  }
  await alerts(run, batch('firing', 59));
  const { doing } = await run.until(({ timeline }) => timeline.some(({ kind }) => kind === 'flapping'));
  expect(doing).toContain('Flapping, a person is needed');
  await run.handedOver();
  expect(changes(run)).toEqual(['rollBack']);
  await alerts(run, batch('resolved', 40));
  expect(await run.handle.result()).toMatchObject({
    outcome: 'handed-over',
    note: expect.stringMatching(/^flapping, a person is needed.*mitigated before/),
  });
  expect(changes(run)).toEqual(['rollBack']);
  expect(run.pages.filter(({ asks }) => asks)).toHaveLength(1);
});

const last = (change: Partial<LastRun>): LastRun => ({
  runId: 'run-0',
  closedAt: new Date(Date.now() - 60_000).toISOString(),
  outcome: 'not-recovered',
  note: 'everything was tried',
  attempts: [
    {
      kind: 'roll-back' as const,
      target: 'v2',
      summary: 'Roll shop back from v2 to v1',
      result: 'not-helped' as const,
      undo: 'done' as const,
      at: '2026-11-27T05:00:00.000Z',
      endedAt: '2026-11-27T05:10:00.000Z',
    },
  ],
  ...change,
});

it('knows how the run before ended when it reopens, proposes last what did not help then, and says so', async () => {
  const flags = [{ flag: 'express-checkout', value: 'on', share: 1 }];
  const run = await time.start('highErrorRate', incident({ openedAt: new Date().toISOString() }), {
    lastRun: async () => last({}),
    errorRatio: async () => ({ ratio: 0.2, requests: 1000, windowSeconds: 300 }),
    errorCorrelations: async () => ({ events: 40, releases: [], flags }),
  });
  const first = await run.until(asked);
  expect(first.proposal?.action.kind).toBe('switch-off-flag');
  expect(first.timeline.find(({ kind }) => kind === 'last')?.what).toContain(
    'not-recovered: everything was tried; tried: Roll shop back from v2 to v1 (not helped)',
  );
  await run.decide('approved', 'responder');
  const { proposal } = await run.until((now) => asked(now) && now.proposal?.action.kind === 'roll-back');
  expect(proposal?.why[0]).toBe('tried before at 2026-11-27T05:00:00.000Z: it did not help');
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
  expect((await run.handle.describe()).memo).toMatchObject({ attempts: [{ result: 'not-helped', undo: 'done' }] });
});

it('does not mitigate again what flaps on after a mitigation, and pages nobody where somebody has taken over', async () => {
  const run = await time.start(
    'highErrorRate',
    incident({ openedAt: new Date().toISOString(), carried: [batch('firing', 9)] }),
    { lastRun: async () => last({ outcome: 'taken-over', note: 'taken over by lead' }) },
  );
  await run.until(({ timeline }) => timeline.some(({ kind }) => kind === 'flapping'));
  expect(await run.result()).toMatchObject({
    outcome: 'taken-over',
    note: expect.stringContaining('it flaps on after the run before: taken over by lead'),
  });
  expect(run.calls).not.toContain('errorPatterns');
  expect(run.pages).toEqual([]);
});

it('takes a day of flapping every five seconds, as the gateway paces it, in one run of under 5,000 events', async () => {
  const DAY_MS = 24 * 60 * 60 * 1000;
  const run = await time.start('highErrorRate', incident());
  const begun = await time.env.currentTimeMs();
  await alerts(run, batch('firing'));
  let sent = 1;
  for (let elapsed = 0; elapsed < DAY_MS; sent += 1) {
    const pause = Math.max(spacingMs(sent), 5000);
    elapsed += pause;
    await time.env.sleep(pause);
    await alerts(run, batch(sent % 2 === 0 ? 'firing' : 'resolved', Math.min(60, Math.floor(elapsed / 10_000))));
    if (sent === 30) await run.decide('approved', 'lead');
  }
  expect((await time.env.currentTimeMs()) - begun).toBeGreaterThanOrEqual(DAY_MS);
  const { historyLength } = await run.handle.describe();
  expect(sent).toBeGreaterThan(700);
  expect(historyLength).toBeLessThan(5000);
  expect(await run.status()).toMatchObject({ phase: 'waiting', doing: expect.stringContaining('Flapping') });
  expect(changes(run)).toEqual(['rollBack']);
  expect((await run.ladder(0).describe()).historyLength).toBeLessThan(5000);
  await run.handle.signal('takeOver', { by: 'lead' });
  expect(await run.handle.result()).toMatchObject({ outcome: 'taken-over' });
}, 300_000);
