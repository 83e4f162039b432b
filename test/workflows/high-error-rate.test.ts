import { failure } from '../../src/errors.ts';
import { firing, incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const kinds = (timeline: { kind: string }[]): string[] => timeline.map(({ kind }) => kind);
const noNewError = { errorPatterns: async () => [] };

describe('the high error rate runbook', () => {
  it('mitigates: rolls the new release back after an approval and verifies', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.decide('approved', 'responder');
    expect(await run.result()).toEqual({ outcome: 'mitigated', note: 'Roll shop back from v2 to v1' });
    expect(run.world.running).toBe('v1');
    expect(run.calls.filter((call) => call === 'rollBack')).toHaveLength(1);
    expect(run.calls).not.toContain('undoRollBack');
    const { timeline, decision } = await run.status();
    expect(decision).toMatchObject({ verdict: 'approved', by: ['responder'], via: 'cli' });
    expect(kinds(timeline)).toEqual(
      expect.arrayContaining([
        'opened',
        'checked',
        'proposed',
        'paged',
        'approved',
        'acting',
        'acted',
        'verified',
        'closed',
      ]),
    );
  });

  it('covers every line of the diagnosis', async () => {
    const run = await time.start('highErrorRate', incident());
    const { findings } = await run.until(({ phase }) => phase === 'waiting');
    expect(findings.map(({ check }) => check).sort()).toEqual([
      'API response times',
      'Supabase connectivity',
      'affected users',
      'application health',
      'correlated releases and flags',
      'error patterns',
      'error ratio',
      'feature flags',
      'last verified good',
      'load',
      'recent code changes',
      'recent deployments',
      'stack traces',
      'the schema can serve v1',
    ]);
    await run.handle.signal('stop', { by: 'test' });
    await run.result();
  });

  it('asks git for the commits of the release that change the frames that fail, and tells those who approve', async () => {
    const asked: object[] = [];
    const commit = {
      id: 'c0ffee',
      author: 'Ada',
      at: new Date(0).toISOString(),
      subject: 'Take the price from the cart',
      files: ['src/checkout.ts'],
      fileCount: 1,
      added: 3,
      removed: 1,
      touches: ['src/checkout.ts'],
    };
    const run = await time.start('highErrorRate', incident(), {
      topStackTrace: async () => ({
        pattern: 'TypeError: no price',
        frames: [
          'Cart.total (/srv/shop/src/checkout.ts:12)',
          'dispatch (/srv/shop/node_modules/hono/dist/hono.js:3)',
          'Object.<anonymous> (/srv/shop/src/checkout.ts:40)',
          'async page (app/(shop)/page.tsx:?)',
          'emit (node:events:508)',
        ],
      }),
      codeChanges: async (of) => {
        asked.push(of);
        return [commit, { ...commit, id: 'decade', touches: [] }];
      },
    });
    const { proposal, findings } = await run.until(({ phase }) => phase === 'waiting');
    expect(asked).toEqual([
      {
        service: 'shop',
        environment: 'production',
        from: 'v1',
        to: 'v2',
        routes: [],
        files: ['/srv/shop/src/checkout.ts', 'app/(shop)/page.tsx'],
      },
    ]);
    expect(findings.find(({ check }) => check === 'recent code changes')?.summary).toMatch(/^2 commits: c0ffee Take/);
    expect(proposal?.why).toContainEqual(expect.stringMatching(/^commit c0ffee .* has to do with src\/checkout.ts$/));
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect((await run.status()).commits).toMatchObject([{ id: 'c0ffee', touches: ['src/checkout.ts'] }]);
  });

  it('proposes as before where git cannot be asked, and says that it does not know', async () => {
    const run = await time.start('highErrorRate', incident(), {
      codeChanges: async () => {
        throw failure('NotConfigured', 'no releases.repository configured');
      },
    });
    const { proposal, findings } = await run.until(({ phase }) => phase === 'waiting');
    expect(proposal?.action.kind).toBe('roll-back');
    expect(findings.find(({ check }) => check === 'recent code changes')?.verdict).toBe('unknown');
    await run.handle.signal('stop', { by: 'test' });
    await run.result();
  });

  it('changes nothing when a person declines', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.decide('declined', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'declined' });
    expect(run.world.running).toBe('v2');
  });

  it('climbs the whole ladder and ends unanswered, with nothing changed', async () => {
    const run = await time.start('highErrorRate', incident());
    expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
    expect(run.pages.filter(({ asks }) => asks).map(({ person }) => person)).toEqual(['responder', 'lead', 'cto']);
    expect(run.world.running).toBe('v2');
  });

  it('pages nobody further once the alert has resolved', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('addAlerts', { batchId: 'b', distinct: 0, deliveries: 1, status: 'resolved', samples: [] });
    expect(await run.result()).toMatchObject({ outcome: 'resolved' });
    expect(run.pages.map(({ person }) => person)).toEqual(['responder']);
  });

  it('is as bad as the worst alert that joins it', async () => {
    const run = await time.start('highErrorRate', incident({ severity: 'warning' }));
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('addAlerts', firing('critical'));
    await run.handle.signal('addAlerts', { ...firing('info'), batchId: 'milder' });
    await run.decide('approved', 'responder');
    await run.result();
    const status = await run.status();
    expect(status.incident.severity).toBe('critical');
    expect(status.timeline.map(({ what }) => what)).toContain('Severity raised from warning to critical');
    const { searchAttributes } = await run.handle.describe();
    expect(searchAttributes['HoldfastSeverity']).toEqual(['critical']);
  });

  it('undoes what did not help, then proposes the next thing, then hands over', async () => {
    const flags = [{ flag: 'express-checkout', value: 'on', share: 1 }];
    const run = await time.start('highErrorRate', incident(), {
      errorRatio: async () => ({ ratio: 0.2, requests: 1000, windowSeconds: 300 }),
      errorCorrelations: async () => ({ events: 40, releases: [], flags }),
    });
    await run.decide('approved', 'responder');
    await run.until(({ proposal, phase }) => phase === 'waiting' && proposal?.action.kind === 'switch-off-flag');
    await run.decide('approved', 'lead');
    expect(await run.result()).toMatchObject({ outcome: 'not-recovered' });
    expect(
      run.calls.filter((call) => ['rollBack', 'undoRollBack', 'switchOff', 'undoSwitchOff'].includes(call)),
    ).toEqual(['rollBack', 'undoRollBack', 'switchOff', 'undoSwitchOff']);
    expect(run.world).toMatchObject({ running: 'v2', flag: 'on' });
  });

  it('hands over, and leaves the rollback, when it cannot measure whether it helped', async () => {
    const run = await time.start('highErrorRate', incident(), {
      errorRatio: async () => {
        throw failure('Unavailable', 'metrics are away');
      },
    });
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
    expect(run.world.running).toBe('v1');
    expect(run.calls).not.toContain('undoRollBack');
  });

  it('goes on when every diagnostic source is down, and says which are unknown', async () => {
    const down = async (): Promise<never> => {
      throw failure('Unavailable', 'down');
    };
    const run = await time.start('highErrorRate', incident(), {
      errorPatterns: down,
      affectedUsers: down,
      supabaseHealth: down,
      errorRatio: down,
      recentReleases: down,
    });
    expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
    const { findings } = await run.status();
    expect(
      findings
        .filter(({ verdict }) => verdict === 'unknown')
        .map(({ check }) => check)
        .sort(),
    ).toEqual(['Supabase connectivity', 'affected users', 'error patterns', 'error ratio', 'recent deployments']);
    await run.handedOver();
    expect(run.pages).toEqual([{ person: 'responder', level: 'development-team', asks: false }]);
  });

  it('switches the correlated flag off when no error is new in the release', async () => {
    const run = await time.start('highErrorRate', incident(), {
      errorPatterns: async () => [
        {
          id: '1',
          title: 'old',
          count: 3,
          firstSeen: new Date(0).toISOString(),
          lastSeen: new Date(0).toISOString(),
          newInRelease: false,
        },
      ],
      errorCorrelations: async () => ({
        events: 40,
        releases: [],
        flags: [{ flag: 'express-checkout', value: 'true', share: 0.97 }],
      }),
    });
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect(run.world).toMatchObject({ running: 'v2', flag: 'off' });
  });

  it('proposes first what the configuration names first, of what the evidence supports', async () => {
    const run = await time.start('highErrorRate', incident(), {
      policy: async () => policyOf({ proposals: { 'high-error-rate': ['scale', 'switch-off-flag'] } }),
      errorCorrelations: async () => ({
        events: 40,
        releases: [],
        flags: [{ flag: 'express-checkout', value: 'on', share: 1 }],
      }),
    });
    const { proposal } = await run.until(({ phase }) => phase === 'waiting');
    expect(proposal?.action.kind).toBe('switch-off-flag');
    expect(proposal?.why).toContain('put forward by the configuration: proposals.high-error-rate');
    await run.handle.signal('stop', { by: 'test' });
    await run.result();
  });

  it('scales out under saturation without a new error', async () => {
    const run = await time.start('highErrorRate', incident(), {
      ...noNewError,
      saturation: async () => ({ busiest: 0.97, instances: 2 }),
      errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
    });
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect(run.world.instances).toBe(4);
  });

  it('hands over with everything gathered when nothing is supported by the evidence', async () => {
    const run = await time.start('highErrorRate', incident(), noNewError);
    expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
    expect(run.calls).not.toContain('rollBack');
  });

  it('ends as failed when the automation itself breaks, says why, and writes it down', async () => {
    const policy = async () => {
      throw failure('NotConfigured', 'services.shop is not in the configuration');
    };
    const run = await time.start('highErrorRate', incident(), { policy });
    expect(await run.result()).toMatchObject({ outcome: 'failed', note: expect.stringContaining('services.shop') });
    expect(run.calls).not.toContain('rollBack');
    expect((await run.status()).timeline.at(-1)).toMatchObject({ kind: 'closed' });
  });

  it('refuses a stale approval when the world has changed, and proposes again', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    Object.assign(run.world, { running: 'v3', previous: 'v2' });
    await run.decide('approved', 'responder');
    const again = await run.until(({ timeline }) => kinds(timeline).includes('act-failed'));
    expect(again.timeline.some(({ kind, what }) => kind === 'act-failed' && what.includes('v3 runs, not v2'))).toBe(
      true,
    );
    expect(await run.result()).toMatchObject({ outcome: 'handed-over' }); // nothing is new in v3
    expect(run.world.running).toBe('v3');
  });

  it('stops at once while it waits, and changes nothing', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('stop', { by: 'responder', text: 'I know this one' });
    expect(await run.result()).toEqual({ outcome: 'stopped', note: 'stopped by responder: I know this one' });
    expect(run.world.running).toBe('v2');
  });

  it('lets a person take over', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('takeOver', { by: 'lead' });
    expect(await run.result()).toMatchObject({ outcome: 'taken-over' });
  });

  it('begins nothing while paused, and goes on when resumed', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('pause', { by: 'lead' });
    await run.decide('approved', 'responder');
    await time.env.sleep('20 minutes');
    expect(run.calls).not.toContain('rollBack');
    expect(await run.status()).toMatchObject({ paused: true });
    await run.handle.signal('resume', { by: 'lead' });
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  });

  it('asks again when its approval expired while it was paused', async () => {
    const run = await time.start('highErrorRate', incident());
    const { proposal } = await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('pause', { by: 'lead' });
    await run.decide('approved', 'responder');
    await time.env.sleep('3 hours');
    await run.handle.signal('resume', { by: 'lead' });
    const again = await run.until((now) => now.phase === 'waiting' && now.proposal?.id !== proposal?.id);
    expect(again.timeline.map(({ kind }) => kind)).toContain('expired');
    expect(run.calls).not.toContain('rollBack');
    await run.handle.signal('stop', { by: 'test' });
    await run.result();
  });

  it.each([
    ['kill-switch', 'the kill switch is on'],
    ['cool-down', 'done moments ago'],
  ] as const)('does not act against the %s: it hands over with the reason', async (because, reason) => {
    const run = await time.start('highErrorRate', incident(), {
      requestChange: async () => ({ granted: false, because, reason }),
    });
    await run.decide('approved', 'responder');
    expect(await run.result()).toEqual({ outcome: 'handed-over', note: `approved, but not done: ${reason}` });
    expect(run.calls).not.toContain('rollBack');
  });

  it('waits for another change to end before it acts', async () => {
    let asked = 0;
    const run = await time.start('highErrorRate', incident(), {
      requestChange: async () =>
        (asked += 1) < 4
          ? { granted: false, because: 'busy', reason: 'another change runs' }
          : { granted: true, fence: 7 },
    });
    await run.decide('approved', 'responder');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect(asked).toBe(4);
  });

  it.each(['observe', 'propose'] as const)('never acts in mode %s', async (mode) => {
    const run = await time.start('highErrorRate', incident(), { policy: async () => policyOf({ mode }) });
    expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
    expect(run.calls).not.toContain('requestChange');
  });
});
