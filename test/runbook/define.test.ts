import type { Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

describe('alerts and the record', () => {
  it('counts a batch once, however often it is delivered', async () => {
    const run = await time.start('highErrorRate', incident());
    const batch = { batchId: 'same', distinct: 3, deliveries: 40, status: 'firing', samples: [] };
    await run.handle.signal('addAlerts', batch);
    await run.handle.signal('addAlerts', batch);
    const { alerts } = await run.until((status) => status.alerts.deliveries > 0);
    expect(alerts).toMatchObject({ distinct: 3, deliveries: 40, resolved: false });
    await run.handle.signal('stop', {});
    await run.result();
  });

  it('opens anew for an alert that comes while it closes, and goes on with it', async () => {
    const run = await time.start('highErrorRate', incident(), {
      record: async () => {
        throw failure('Unavailable', 'Supabase is away'); // closing takes as long as a write is waited for
      },
    });
    await run.decide('declined', 'responder');
    const closed = await run.status();
    const batch = { distinct: 1, deliveries: 1, status: 'firing', samples: [] };
    await run.handle.signal('addAlerts', { ...batch, batchId: 'late' });
    const anew = await run.until(({ runId, phase }) => runId !== closed.runId && phase === 'waiting');
    expect(anew.alerts).toMatchObject({ distinct: 1, deliveries: 1, resolved: false });
    await run.handle.signal('stop', { by: 'test' });
    expect(await run.result()).toMatchObject({ outcome: 'stopped' });
  });

  it('shows the same timeline, to the millisecond, and asks for the same proposal, when it is replayed', async () => {
    const asked: (string | undefined)[] = [];
    const told: Status[] = [];
    const overrides: Partial<Ports> = {
      affectedUsers: async () => {
        const end = performance.now() + 60;
        while (performance.now() < end); // readings take their time, each its own
        return { count: 3, sampled: false };
      },
      page: async ({ page }) => void asked.push(page.asks?.digest),
      record: async (status) => void told.push(status),
    };
    const run = await time.start('highErrorRate', incident(), overrides, { forgetful: true });
    const replayed = await run.until(({ phase, waitingFor }) => phase === 'waiting' && waitingFor.length > 0);
    expect(asked).toEqual([replayed.proposal?.digest]);
    const first = told.at(-1)?.timeline ?? [];
    expect(first.length).toBeGreaterThan(10);
    expect(replayed.timeline.slice(0, first.length)).toEqual(first);
    await run.handle.signal('stop', { by: 'test' });
    await run.result();
  });

  it('never waits for the record: mitigates while it is away, and leaves the last word to be written later', async () => {
    let away = true;
    const run = await time.start('highErrorRate', incident(), {
      record: async (status) => {
        if (away) throw failure('Unavailable', 'Supabase is away');
        run.records.push(status);
      },
    });
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect(run.records).toHaveLength(0);
    away = false;
    await time.env.client.workflow
      .getHandle(`record.${run.handle.workflowId}.${run.handle.firstExecutionRunId}`)
      .result();
    expect(run.records.at(-1)).toMatchObject({ outcome: 'mitigated', phase: 'closed' });
  });

  it('acts by policy where the configuration allows low risk, and says so', async () => {
    const policy = policyOf();
    const run = await time.start('highErrorRate', incident(), {
      errorPatterns: async () => [],
      policy: async () => ({
        ...policy,
        approval: { ...policy.approval, low: { roles: ['approver'], quorum: 1, fourEyes: true, byPolicy: true } },
      }),
      saturation: async () => ({ busiest: 0.97, instances: 2 }),
      errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
    });
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect((await run.status()).decision).toMatchObject({ by: ['policy:low-risk'], via: 'policy' });
  });
});
