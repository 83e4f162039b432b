import { ApplicationFailure } from '@temporalio/common';
import {
  MonitorSettings,
  type Alert,
  type DeploymentRun,
  type ObjectiveDay,
  type ObjectiveReport,
  type OpenAtSources,
  type Policy,
  type SessionInTheWay,
} from '../../src/contracts/index.ts';
import type { Monitor, Watched } from '../../workflows/monitor-service.ts';
import { holder } from '../support/in-the-way.ts';
import { policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

interface Reading {
  ratio: number | undefined;
  requests: number;
  /** Whether nothing counts requests. */
  absent: boolean;
  p95Ms: number;
  /** What the error tracker counts; undefined cannot be read. */
  errors: number | undefined;
  down: boolean;
  deployment: DeploymentRun | undefined;
  script: number[];
  /** Whether the policy can be read. */
  policy: boolean;
}

/** A monitor that reads every minute, and what it has sent; `reading.ratio` undefined is a source that does not answer. */
async function startMonitor({
  sendAlert,
  policy,
  every = '1 minute',
}: { sendAlert?: (alert: Alert) => void; policy?: Partial<Policy>; every?: string } = {}) {
  const reading: Reading = {
    ratio: 0,
    requests: 1000,
    absent: false,
    p95Ms: 90,
    errors: 0,
    down: false,
    deployment: undefined,
    script: [],
    policy: true,
  };
  const sent: Alert[] = [];
  const recorded: ObjectiveDay[] = [];
  const database = {
    ok: true,
    waiting: 0,
    /** Whether it answers, reading by reading. */
    script: [] as boolean[],
    inTheWay: [] as SessionInTheWay[],
  };
  const input: Monitor = { service: 'shop', every, watched: [{ environment: 'production', alerts: {} }] };
  const { handle, keep } = await time.start('monitorService', input, {
    policy: async () => {
      if (!reading.policy) throw ApplicationFailure.nonRetryable('no answer');
      return policyOf(policy);
    },
    errorRatio: async () => {
      const ratio = reading.script.shift() ?? reading.ratio;
      if (ratio === undefined) throw ApplicationFailure.nonRetryable('no answer');
      const { requests, absent } = reading;
      return { ratio, requests, windowSeconds: 300, ...(absent && { absent }) };
    },
    responseTimes: async () => {
      const { requests, p95Ms } = reading;
      return { p50Ms: 20, p95Ms, requests, slowShare: p95Ms > 500 ? 0.2 : 0.01 };
    },
    errorCount: async ({ windowSeconds }) => {
      if (reading.errors === undefined) throw ApplicationFailure.nonRetryable('no answer');
      return { count: reading.errors, windowSeconds };
    },
    httpHealth: async ({ probes = 10 }) => {
      const failed = reading.down ? probes : 0;
      return { url: 'shop', probes, failed, status: reading.down ? 0 : 200, p50Ms: 5, p95Ms: 9 };
    },
    lastDeployment: async () => reading.deployment,
    supabaseHealth: async () => ({
      rest: { ok: database.script.shift() ?? database.ok, ms: 4, detail: 'HTTP 503' },
    }),
    sessionsInTheWay: async () => database.inTheWay,
    poolUse: async () => ({
      pool: 'app',
      clientsActive: 20,
      clientsWaiting: database.waiting,
      maxWaitMs: 900,
      serversActive: 20,
      serversIdle: 0,
      size: 20,
    }),
    recordObjectives: async (days) => void recorded.push(...days),
    sendAlert: async (alert) => {
      sendAlert?.(alert);
      sent.push(alert);
    },
  });
  const { workflowId } = handle;
  const latest = time.env.client.workflow.getHandle(workflowId);
  return {
    sent,
    recorded,
    /** Goes on in a new run, as it does every two hundred readings. */
    upgrade: () => latest.signal('upgrade'),
    reading,
    keep: () => keep('watching'),
    database,
    told: () => sent.map(({ status }) => status),
    heard: () => sent.map(({ name, status, labels: { burn } }) => [name, burn, status].filter(Boolean).join(' ')),
    watched: () => latest.query<Watched[]>('watched'),
    objectives: () => latest.query<ObjectiveReport[]>('objectives'),
    history: async () => (await latest.fetchHistory()).events ?? [],
    runId: async () => (await latest.describe()).runId,
    watch: (...environments: string[]) => handle.signal('watch', { every: '1 minute', environments }),
    /** Let it read these, one by one; what it reads next is between threshold and objective. */
    play: async (script: number[]): Promise<void> => {
      reading.ratio = 0.03;
      reading.script = [...script];
      while (reading.script.length > 0) await time.env.sleep('1 minute');
    },
    /** Let it read this for so many minutes. */
    measure: async (ratio: number | undefined, minutes: number): Promise<void> => {
      reading.ratio = ratio;
      await time.env.sleep(minutes * 60_000);
    },
    wait: (minutes: number) => time.env.sleep(minutes * 60_000),
  };
}

const sum = (all: number[]): number => all.reduce((before, one) => before + one, 0);

it('raises the alert at the second reading over the threshold, and resolves it at the third under the objective', async () => {
  const { sent, play } = await startMonitor();
  const [bad, between, good] = [0.2, 0.03, 0];
  await play([bad, good, bad, between, bad]); // never two in a row
  expect(sent).toEqual([]);
  await play([bad, bad, between]);
  expect(sent).toMatchObject([{ status: 'firing', name: 'HighErrorRate', service: 'shop' }]);
  await play([between, good, good, between, good, good]); // never three in a row
  expect(sent).toHaveLength(1);
  await play([good, good, good, between]);
  expect(sent).toMatchObject([{ status: 'firing' }, { status: 'resolved', startsAt: sent[0]?.startsAt }]);
});

it('tells again every 15 minutes what goes on firing, as the same alert', async () => {
  const { measure, heard, sent } = await startMonitor();
  await measure(0.2, 40);
  expect(heard()).toEqual(Array(3).fill('HighErrorRate firing'));
  expect(new Set(sent.map(({ key }) => key)).size).toBe(1);
});

it('is blind, not alarmed and not relieved, while the source does not answer', async () => {
  const { measure, told, watched } = await startMonitor();
  await measure(undefined, 10);
  expect(told()).toEqual([]);
  await measure(0.2, 3);
  await measure(undefined, 10);
  expect(told()).toEqual(['firing']);
  expect(await watched()).toMatchObject([{ alerts: { HighErrorRate: { firingSince: expect.any(String) } } }]);
});

it('tells an alert that the gateway did not take at a later reading', async () => {
  let refusals = 0;
  const { measure, told } = await startMonitor({
    sendAlert: () => {
      refusals += 1;
      if (refusals < 20) throw new Error('the gateway is away');
    },
  });
  await measure(0.2, 20);
  expect(told()[0]).toBe('firing');
});

it('looks on while the gateway is away, and tells one and the same alert all the time', async () => {
  const tried: Alert[] = [];
  const { reading, wait } = await startMonitor({
    every: '15 seconds',
    sendAlert: (alert) => {
      tried.push(alert);
      throw new Error('the gateway is away');
    },
  });
  reading.script = Array<number>(200).fill(0.2);
  await wait(10);
  expect(200 - reading.script.length).toBeGreaterThanOrEqual(15); // each may wait as long as it is apart from the next
  const told = tried.filter(({ name }) => name === 'HighErrorRate');
  expect(told.length).toBeGreaterThan(15);
  expect(new Set(told.map(({ key }) => key)).size).toBe(1);
});

it('watches what the configuration asks for when a worker starts, and goes on with what it knew', async () => {
  const { measure, sent, watched, watch } = await startMonitor();
  await measure(0.2, 3);
  await watch('production', 'staging');
  await measure(0.2, 3);
  expect(sent.map(({ environment }) => environment)).toEqual(['production', 'staging']);
  await watch('staging');
  expect(await watched()).toMatchObject([
    { environment: 'staging', alerts: { HighErrorRate: { firingSince: sent[1]?.startsAt } } },
  ]);
});

it('raises the alert of the database when it does not answer or clients wait for its pool, and then none for the errors', async () => {
  const { measure, heard, database, keep } = await startMonitor();
  database.ok = false;
  await measure(0.2, 5);
  expect(heard()).toEqual(['DatabaseConnectionIssues firing']);
  database.ok = true;
  await measure(0, 5);
  expect(heard().at(-1)).toBe('DatabaseConnectionIssues resolved');
  database.waiting = 9;
  await measure(0.2, 5);
  database.waiting = 0;
  await measure(0, 10); // what the window remembers of it is its symptom too
  expect(heard()).toHaveLength(4);
  expect(heard().at(-1)).toBe('DatabaseConnectionIssues resolved');
  await measure(0.2, 3);
  expect(heard().at(-1)).toBe('HighErrorRate firing');
  await keep();
});

it('does not take a blip of the database now and then for the cause of errors that last', async () => {
  const { measure, heard, database, keep } = await startMonitor();
  database.script = [false, true, true, false, true, true, false];
  await measure(0.2, 8);
  expect(heard()).toEqual(['HighErrorRate firing']);
  await keep();
});

it('takes errors for a symptom that began just before the database was found in trouble', async () => {
  const { measure, heard, database } = await startMonitor();
  database.script = [true];
  database.ok = false;
  await measure(0.2, 5);
  expect(heard()).toEqual(['DatabaseConnectionIssues firing']);
});

it.each([
  ['holds others up for long', 'seconds'],
  ['has let somebody wait for long', 'waitedSeconds'],
] as const)(
  'takes a session that %s for trouble of the database, and none that does so for a moment',
  async (_, which) => {
    const { measure, heard, database } = await startMonitor();
    const { longSeconds } = policyOf().database;
    const brief = { ...holder, seconds: longSeconds, waitedSeconds: longSeconds };
    database.inTheWay = [brief];
    await measure(0.2, 5);
    expect(heard()).toEqual(['HighErrorRate firing']);
    database.inTheWay = [{ ...brief, [which]: longSeconds + 1 }];
    await measure(0.2, 5);
    expect(heard()).toEqual(['HighErrorRate firing', 'DatabaseConnectionIssues firing']);
  },
);

it('raises slow responses over two seconds, and resolves them when they are within the objective again', async () => {
  const { reading, wait, heard, sent } = await startMonitor();
  reading.p95Ms = 2400;
  await wait(3);
  expect(heard()).toEqual(['SlowResponses firing']);
  expect(sent[0]?.summary).toBe('p50 20 ms, p95 2400 ms (limit 2000 ms)');
  reading.p95Ms = 1200; // neither
  await wait(10);
  reading.p95Ms = 300;
  await wait(5);
  expect(heard()).toEqual(['SlowResponses firing', 'SlowResponses resolved']);
});

describe('the errors that the tracker counts', () => {
  const counting = { alertAt: { ...policyOf().alertAt, errors: 50 } };

  it('raise an alert when they are as many as the configuration says, and resolve it when they are under half as many', async () => {
    const { reading, wait, sent, heard, watched, keep } = await startMonitor({ policy: counting });
    reading.errors = 49;
    await wait(5);
    expect(sent).toEqual([]);
    reading.errors = 50;
    await wait(5);
    expect(sent).toMatchObject([
      {
        name: 'ManyErrors',
        severity: 'critical',
        summary: expect.stringContaining('50 errors within 300 s (limit 50)'),
      },
    ]);
    reading.errors = 25;
    await wait(5);
    reading.errors = undefined;
    await wait(5);
    expect(heard()).toEqual(['ManyErrors firing']);
    expect(await watched()).toMatchObject([{ alerts: { ManyErrors: { firingSince: expect.any(String) } } }]);
    reading.errors = 24;
    await wait(5);
    expect(heard()).toEqual(['ManyErrors firing', 'ManyErrors resolved']);
    await keep();
  });

  it('are a symptom while the database is in trouble, and monitoring is blind where they cannot be read for long', async () => {
    const { reading, database, wait, heard } = await startMonitor({ policy: counting });
    database.ok = false;
    reading.errors = 500;
    await wait(5);
    expect(heard()).toEqual(['DatabaseConnectionIssues firing']);
    [database.ok, reading.errors] = [true, undefined];
    await wait(14);
    expect(heard()).toContain('MonitoringBlind firing');
  });

  it('are not asked for where no number is configured', async () => {
    const { reading, wait, heard } = await startMonitor();
    reading.errors = 500;
    await wait(5);
    reading.errors = undefined;
    await wait(15);
    expect(heard()).toEqual([]);
  });
});

it('says nothing of three requests at night, though all of them fail and its own probes are counted with them', async () => {
  const { reading, measure, heard } = await startMonitor();
  reading.requests = 3 + 5;
  reading.p95Ms = 9000;
  await measure(3 / 8, 180);
  expect(heard()).toEqual([]);
});

it('raises the burn of an error budget by the fast pair of windows, then by the slow one, and resolves each by its short window', async () => {
  const { measure, heard, objectives } = await startMonitor({ policy: { alertAt: { errorRatio: 0.9, p95Ms: 2000 } } });
  await measure(0.2, 40); // 20 times too fast, yet 13.3 % of the hour
  expect(heard()).toEqual([]);
  await measure(0.2, 8);
  expect(heard()).toEqual(['ErrorRatioBudgetBurn fast firing']);
  await measure(0.2, 70);
  expect(new Set(heard())).toEqual(new Set(['ErrorRatioBudgetBurn fast firing', 'ErrorRatioBudgetBurn slow firing']));
  const [errors] = await objectives();
  expect(errors).toMatchObject({
    name: 'error ratio',
    now: '20 %',
    budgetLeft: expect.closeTo(1 - (20 * 118) / (30 * 24 * 60), 3),
  });
  expect(errors?.burn).toMatchObject([
    { name: 'fast', long: expect.closeTo(20), short: expect.closeTo(20), firing: true },
    { name: 'slow', firing: true },
  ]);
  await measure(0, 6);
  expect(heard()).toContain('ErrorRatioBudgetBurn fast resolved');
  expect(heard()).not.toContain('ErrorRatioBudgetBurn slow resolved');
  await measure(0, 30);
  expect(heard().at(-1)).toBe('ErrorRatioBudgetBurn slow resolved');
}, 180_000);

it('takes one probe that fails for a blip, and an outage of minutes for the burn of the uptime', async () => {
  const { reading, wait, heard, objectives } = await startMonitor({ every: '15 seconds' });
  await wait(60);
  reading.down = true;
  await wait(0.25);
  reading.down = false;
  await wait(30);
  expect(heard()).toEqual([]);
  reading.down = true;
  await wait(1.5);
  reading.down = false;
  expect(heard()).toEqual(['UptimeBudgetBurn fast firing']);
  await wait(11);
  expect(heard()).toEqual(['UptimeBudgetBurn fast firing', 'UptimeBudgetBurn fast resolved']);
  const uptime = (await objectives()).find(({ name }) => name === 'uptime');
  expect(uptime).toMatchObject({ objective: 'over 99.9 %', now: 'up' });
  const days = uptime?.trend ?? []; // two, over midnight
  const bad = sum(days.map(({ total, badShare }) => badShare * total));
  expect(bad / sum(days.map(({ total }) => total))).toBeCloseTo(7 / 411, 3);
}, 180_000);

it('does not take a service that was never up for one that is down', async () => {
  const { reading, wait, heard } = await startMonitor({ every: '15 seconds' });
  reading.down = true;
  await wait(20);
  reading.down = false;
  await wait(1);
  expect(heard()).toEqual([]);
  reading.down = true;
  await wait(2);
  expect(heard()).toEqual(['UptimeBudgetBurn fast firing']);
});

it('raises no burn while the database is in trouble, nor for as long after as the short window remembers it', async () => {
  const { reading, database, wait, heard } = await startMonitor({ every: '15 seconds' });
  await wait(30);
  [reading.down, database.ok] = [true, false];
  await wait(5);
  [reading.down, database.ok] = [false, true];
  await wait(30);
  expect(heard()).toEqual(['DatabaseConnectionIssues firing', 'DatabaseConnectionIssues resolved']);
}, 180_000);

it('raises that monitoring is blind when what could be read cannot be for ten minutes, and resolves it', async () => {
  const { measure, heard, sent } = await startMonitor();
  await measure(0, 5);
  await measure(undefined, 8);
  expect(heard()).toEqual([]);
  await measure(undefined, 6);
  expect(heard()).toEqual(['MonitoringBlind firing']);
  expect(sent[0]?.summary).toMatch(/^monitoring is blind: it cannot read the metrics since \d{4}-/);
  await measure(0, 5);
  expect(heard()).toEqual(['MonitoringBlind firing', 'MonitoringBlind resolved']);
});

it('is not blind in a night without a request, and is where nothing counts requests any more', async () => {
  const { reading, wait, heard, sent } = await startMonitor();
  reading.requests = 0;
  await wait(60);
  expect(heard()).toEqual([]);
  reading.absent = true;
  await wait(8);
  expect(heard()).toEqual([]);
  await wait(6);
  expect(heard()).toEqual(['MonitoringBlind firing']);
  expect(sent[0]?.summary).toMatch(/^monitoring is blind: it cannot read the metrics since \d{4}-/);
  reading.absent = false;
  await wait(5);
  expect(heard()).toEqual(['MonitoringBlind firing', 'MonitoringBlind resolved']);
});

it('does not miss the metrics of a service that was never up', async () => {
  const { reading, wait, heard } = await startMonitor();
  Object.assign(reading, { down: true, requests: 0, absent: true });
  await wait(20);
  expect(heard()).toEqual([]);
});

it('raises that monitoring is blind where metrics are configured and were never read', async () => {
  const monitor = { ...MonitorSettings.parse({ blindAfter: '3 minutes' }), metrics: true };
  const { measure, heard } = await startMonitor({ policy: { monitor } });
  await measure(undefined, 6);
  expect(heard()).toEqual(['MonitoringBlind firing']);
});

it('goes on where its policy cannot be read, says so, and watches again once it can be', async () => {
  const { reading, measure, watch, heard, sent, watched } = await startMonitor();
  await measure(0, 3);
  reading.policy = false;
  await watch('production'); // from a worker that starts: the policy is read anew
  await measure(0.2, 8);
  expect(heard()).toEqual([]);
  expect(await watched()).toMatchObject([{ blindSince: { 'the policy': expect.any(Number) } }]);
  await measure(0.2, 6);
  expect(heard()).toEqual(['MonitoringBlind firing']);
  expect(sent[0]?.summary).toMatch(/^monitoring is blind: it cannot read the policy since \d{4}-/);
  reading.policy = true;
  await measure(0.2, 5);
  expect(heard()).toEqual(['MonitoringBlind firing', 'HighErrorRate firing', 'MonitoringBlind resolved']);
  expect(await watched()).toMatchObject([{ blindSince: { 'the policy': null } }]);
});

describe('deployments', () => {
  const run = (runId: string, outcome?: DeploymentRun['outcome']): DeploymentRun => ({
    runId,
    startedAt: '2026-11-24T09:00:00.000Z',
    note: 'the smoke tests failed',
    ...(outcome !== undefined && { outcome, endedAt: '2026-11-24T09:10:00.000Z' }),
  });

  it('tells of one that failed once, and resolves it when a later one is released', async () => {
    const { reading, wait, heard, sent, keep } = await startMonitor();
    await wait(2);
    reading.deployment = run('one');
    await wait(2);
    expect(heard()).toEqual([]);
    reading.deployment = run('one', 'rolled-back');
    await wait(40);
    expect(sent).toMatchObject([
      {
        name: 'FailedDeployment',
        status: 'firing',
        severity: 'warning',
        summary: 'the deployment ended as rolled-back: the smoke tests failed',
      },
    ]);
    reading.deployment = run('two', 'declined');
    await wait(3);
    reading.deployment = run('three', 'released');
    await wait(3);
    expect(heard()).toEqual(['FailedDeployment firing', 'FailedDeployment resolved']);
    expect(sent[1]?.key.replace('resolved', 'firing')).toBe(sent[0]?.key);
    await keep();
  });

  it('does not tell of one that had failed before the monitor began', async () => {
    const { reading, wait, heard } = await startMonitor({ every: '1 hour' });
    reading.deployment = run('one', 'failed');
    await wait(180);
    expect(heard()).toEqual([]);
  });
});

it('costs a timer and one batch of local activities a tick, and keeps all that it knows over its runs within 16 KiB', async () => {
  const { reading, measure, runId, history, watched, heard, objectives } = await startMonitor();
  const first = await runId();
  reading.p95Ms = 2400;
  await measure(0, 190);
  const counted = async (): Promise<number> => sum((await objectives())[0]?.trend.map(({ total }) => total) ?? []);
  const before = await counted();
  const events = await history();
  const count = (field: 'timerStartedEventAttributes' | 'activityTaskScheduledEventAttributes') =>
    events.filter((event) => event[field]).length;
  const tasks = events.filter(({ workflowTaskCompletedEventAttributes: done }) => done).length;
  const told = count('activityTaskScheduledEventAttributes');
  expect(told).toBe(heard().length);
  expect(tasks - 2 * told).toBeLessThanOrEqual(count('timerStartedEventAttributes') + 1);
  expect(events.length).toBeLessThan(5000);

  await measure(0, 400);
  expect(await runId()).not.toBe(first);
  expect(await watched()).toMatchObject([{ alerts: { SlowResponses: { firingSince: expect.any(String) } } }]);
  expect(await counted()).toBeGreaterThan(before);
  expect(JSON.stringify(await watched()).length).toBeLessThan(16 * 1024);
}, 240_000);

it('asks the sources of alerts what is open now and then, where it is told to, and remembers what it found', async () => {
  const asked: OpenAtSources[] = [];
  const { handle, keep } = await time.start(
    'monitorService',
    { service: 'shop', every: '1 minute', watched: [] },
    {
      tellOpenAlerts: async (before) => {
        asked.push(before);
        if (asked.length === 2) throw ApplicationFailure.nonRetryable('no answer');
        return { open: ['alertmanager:a'], told: before.open, gone: ['alertmanager:b'] };
      },
    },
  );
  await time.env.sleep('10 minutes');
  expect(asked).toEqual([]);
  await handle.signal('watch', { every: '1 minute', environments: [], askForAlerts: '5 minutes' });
  await time.env.sleep('13 minutes');
  const found = { open: ['alertmanager:a'], told: [], gone: ['alertmanager:b'] };
  expect(asked).toMatchObject([{ open: [], told: [] }, found, found, { told: ['alertmanager:a'] }]);
  await keep('watching');
});

it('writes the days of its objectives into the record when it goes on in a new run', async () => {
  const { recorded, upgrade, wait, runId } = await startMonitor();
  await wait(5);
  const before = await runId();
  await upgrade();
  await wait(3);
  expect(await runId()).not.toBe(before);
  expect(recorded).toContainEqual(
    expect.objectContaining({ service: 'shop', environment: 'production', objective: 'uptime', bad: 0 }),
  );
  expect(recorded.find(({ objective }) => objective === 'uptime')?.total).toBeGreaterThanOrEqual(4);
});
