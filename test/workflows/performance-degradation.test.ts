import { activityInfo } from '@temporalio/activity';
import type {
  BundleChange,
  CachingState,
  LabVitals,
  MemoryTrend,
  RouteTimes,
  SlowStatement,
  WebVital,
} from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { failure } from '../../src/errors.ts';
import { incident, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const times = (p95Ms: number, requests = 900) => ({
  requests,
  perSecond: 3,
  p50Ms: p95Ms / 3,
  p95Ms,
  p99Ms: p95Ms * 2,
});
const slow = (route: string, before?: number): RouteTimes => ({
  route,
  now: times(1800),
  ...(before !== undefined && { before: times(before), yesterday: times(before) }),
});
const statement: SlowStatement = {
  query: 'select * from reviews where product = $1',
  calls: 9000,
  meanMs: 150,
  totalMs: 1_350_000,
  index: {
    schema: 'public',
    table: 'reviews',
    columns: ['product'],
    name: 'reviews_product_idx',
    statement: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS "reviews_product_idx" ON "public"."reviews" ("product")',
    costNow: 20_000,
    costWith: 12,
  },
};
const leaking = (instance: string): MemoryTrend => ({
  instance,
  samples: 20,
  seconds: 300,
  restarts: 1,
  residentBytes: 700e6,
  residentBytesPerHour: 3e9,
  heapBytesPerHour: 3e9,
  limitBytes: 1e9,
  hoursUntilLimit: 0.1,
});
const uncached: CachingState = {
  route: 'GET /api/recommendations',
  path: '/api/recommendations',
  flag: 'cache-recommendations',
  variant: 'off',
  on: 'on',
  caching: false,
  header: 'no-store',
};
const vital = (p75: number, samples = 400): WebVital => ({ page: '/', device: 'mobile', metric: 'LCP', p75, samples });
const sizes = (rawBytes: number) => ({ rawBytes, gzipBytes: rawBytes / 3, brotliBytes: rawBytes / 4 });
const heavier: BundleChange = {
  entries: [{ name: 'client.js', now: sizes(1_200_000), before: sizes(8000) }],
  packages: [{ name: 'echarts', rawBytes: 1_100_000 }],
  duplicated: [],
  parts: [
    { name: 'echarts', rawBytes: 1_100_000 },
    { name: 'the application', rawBytes: 100_000 },
  ],
};

const at = (deployedAt: string) => {
  const running = { version: 'v2', commit: 'c2', deployedAt, weight: 1, instances: 2 };
  const previous = { ...running, version: 'v1', commit: 'c1' };
  return { recentReleases: async () => ({ running, previous, recent: [running], maxInstances: 4 }) };
};

const lab: LabVitals = {
  page: '/',
  device: 'mobile',
  runs: 3,
  score: 0.4,
  lcpMs: 5200,
  cls: 0,
  tbtMs: 600,
  fcpMs: 900,
  speedIndexMs: 3000,
  audits: [{ title: 'Reduce unused JavaScript', savesMs: 1800 }],
};

/** What each of the sample shop's slow releases looks like: the world is well again once something was done. */
const slowQuery: Partial<Ports> = {
  routeTimes: async () => [slow('GET /', 40)],
  slowStatements: async () => [statement],
  codeChanges: async () => [
    {
      id: 'abcdef0123456',
      author: 'Ben',
      at: '2026-11-24T08:00:00Z',
      subject: 'Show reviews',
      files: ['reviews.ts', 'page.ts'],
      fileCount: 2,
      added: 40,
      removed: 2,
      touches: ['GET /'],
    },
  ],
};
const leak: Partial<Ports> = {
  ...at(new Date().toISOString()),
  memoryTrends: async () => [leaking('127.0.0.1:4001'), leaking('127.0.0.1:4002')],
};
const heavyBundle: Partial<Ports> = { webVitals: async () => [vital(4800)], bundleChange: async () => heavier };
const slowRoute: Partial<Ports> = {
  routeTimes: async () => [slow('GET /api/recommendations')],
  cachingStates: async () => [uncached],
};
const start = (overrides: Partial<Ports>) => time.start('performanceDegradation', incident(), overrides);
type Run = Awaited<ReturnType<typeof start>>;
const proposed = async (run: Run) => (await run.until(({ phase }) => phase === 'waiting')).proposal;
const stopped = async (run: Run) => {
  await run.handle.signal('stop', { by: 'test' });
  return await run.result();
};
const finding = async (run: Run, check: string) => (await run.status()).findings.find((one) => one.check === check);

it.each([
  ['slow-query', slowQuery, 'slow-query, begun with the running release', 'roll-back', 'reviews (product)'],
  ['leak', leak, 'leak, begun with the running release', 'roll-back', '127.0.0.1:4001 holds 667.6 MiB'],
  [
    'heavy-bundle',
    heavyBundle,
    'heavy-bundle, begun with the running release',
    'roll-back',
    'echarts is new with 1100 kB',
  ],
  ['slow-route', slowRoute, 'slow-route:', 'turn-on-caching', 'GET /api/recommendations: p50 600 ms'],
] as const)('tells the release %s apart from the others by its findings', async (_, world, suspect, kind, evidence) => {
  const run = await start(world);
  const { action, why } = (await proposed(run)) ?? {};
  expect(await finding(run, 'top suspect')).toMatchObject({
    verdict: 'bad',
    summary: expect.stringContaining(suspect),
  });
  expect(action?.kind).toBe(kind);
  expect(why).toContainEqual(expect.stringContaining(evidence));
  await stopped(run);
});

it('looks into the laboratory where users are too few to say, and suspects what began with the release first', async () => {
  const run = await start({
    ...heavyBundle,
    webVitals: async () => [vital(7500, 7)],
    labVitals: async () => [lab],
    routeTimes: async () => [slow('POST /api/checkout', 1700)],
    slowStatements: async () => [statement],
  });
  expect((await proposed(run))?.action.kind).toBe('roll-back');
  expect(await finding(run, 'top suspect')).toMatchObject({
    summary: expect.stringMatching(/^heavy-bundle, begun with the running release.*; also slow-query$/),
  });
  await stopped(run);
});

it('proposes nothing for a healthy release, however much else it finds', async () => {
  const run = await start({
    routeTimes: async () => [{ route: 'GET /', now: times(120), before: times(40) }],
    slowStatements: async () => [statement],
    cachingStates: async () => [uncached],
    bundleChange: async () => heavier,
    memoryTrends: async () => [{ ...leaking('127.0.0.1:4001'), hoursUntilLimit: 40 }],
    ...at(new Date(0).toISOString()),
  });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  expect(await finding(run, 'top suspect')).toMatchObject({ verdict: 'ok' });
  expect(run.calls).not.toContain('requestChange');
});

it('compares with the last release that was verified good, and returns to it, where another ran in between', async () => {
  const ran = (version: string, deployedAt: string) => ({
    version,
    commit: `c-${version}`,
    deployedAt,
    weight: 0,
    instances: 2,
  });
  const recent = [
    ran('v4', '1969-12-31T23:00:00Z'),
    ran('v3', '1969-12-31T22:00:00Z'),
    ran('v2', '1969-12-31T21:00:00Z'),
    ran('v1', '1969-12-31T20:00:00Z'),
  ];
  const verified = ['v3', 'v2', 'v1'].map((version) => ({
    version,
    commit: `c-${version}`,
    digest: version,
    at: '1969-12-31T22:30:00Z',
  }));
  const asked: Record<string, unknown> = {};
  const run = await start({
    recentReleases: async () => ({ running: recent[0], previous: recent[1], recent, maxInstances: 4 }),
    ledger: async ({ environment }) => ({
      environment,
      lastVerifiedGood: 'v2',
      verified,
      held: [{ version: 'v3', reason: 'it fails', at: '1969-12-31T22:30:00Z' }],
      changes: [],
    }),
    routeTimes: async ({ since }) => {
      asked['since'] = since;
      return [slow('GET /', 40)];
    },
    bundleChange: async ({ previous }) => {
      asked['bundle'] = previous;
      return heavier;
    },
    codeChanges: async ({ from, to }) => {
      asked['changes'] = [from, to];
      return [];
    },
  });
  const { action, why } = (await proposed(run)) ?? {};
  expect(asked).toEqual({ since: '1969-12-31T22:00:00Z', bundle: 'c-v2', changes: ['c-v2', 'c-v4'] });
  expect(action).toMatchObject({ kind: 'roll-back', from: 'v4', to: 'v2' });
  expect(why).toContain('never verified good: v3');
  expect(await finding(run, 'last verified good')).toMatchObject({
    summary: 'v2, verified good at 1969-12-31T22:30:00Z',
  });
  expect(await finding(run, 'top suspect')).toMatchObject({ summary: expect.stringContaining('begun after v2') });
  await stopped(run);
});

it('takes the release before it where nothing that ran was verified good', async () => {
  const asked: (string | undefined)[] = [];
  const run = await start({
    ...slowQuery,
    ledger: async ({ environment }) => ({ environment, lastVerifiedGood: 'v2', changes: [] }),
    bundleChange: async ({ previous }) => {
      asked.push(previous);
      return heavier;
    },
  });
  expect((await proposed(run))?.action).toMatchObject({ kind: 'roll-back', from: 'v2', to: 'v1' });
  expect(asked).toEqual(['v1']);
  await stopped(run);
});

it('suspects no statement of a slow route that has not run of late', async () => {
  const run = await start({ ...slowRoute, slowStatements: async () => [{ ...statement, ran: false }] });
  await proposed(run);
  expect(await finding(run, 'slow statements')).toMatchObject({
    summary: expect.stringContaining('1 slow, none of which runs now'),
  });
  expect(await finding(run, 'top suspect')).toMatchObject({ summary: expect.stringMatching(/^slow-route/) });
  await stopped(run);
});

it('covers every line of the diagnosis', async () => {
  const run = await start({
    ...heavyBundle,
    webVitals: async () => [vital(4800, 3)],
    labVitals: async () => [lab],
  });
  await proposed(run);
  const { findings } = await run.status();
  expect(findings.map(({ check }) => check).sort()).toEqual([
    'API response times',
    'action items',
    'bundle',
    'caching',
    'last verified good',
    'load',
    'memory of the instances',
    'recent code changes',
    'recent deployments',
    'slow statements',
    'the schema can serve v1',
    'top suspect',
    'web vitals in the laboratory',
    'web vitals of users',
  ]);
  expect((await run.status()).bundle).toEqual(heavier.parts);
  expect(await finding(run, 'action items')).toMatchObject({
    summary: expect.stringMatching(/make the bundle smaller: echarts is new.*Reduce unused JavaScript: saves 1800 ms/),
  });
  await stopped(run);
});

it('mitigates: rolls the release back and verifies on the route that was slow', async () => {
  const run = await start({
    ...slowQuery,
    routeTimes: async () => [run.world.running === 'v2' ? slow('GET /', 40) : { route: 'GET /', now: times(40) }],
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(run.world.running).toBe('v1');
  expect(await finding(run, 'action items')).toMatchObject({
    summary: expect.stringContaining('look at the commit abcdef0123 Show reviews (Ben, +40 −2 in reviews.ts, page.ts)'),
  });
});

it('changes nothing when a person declines', async () => {
  const run = await start(slowQuery);
  await run.decide('declined', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'declined' });
  expect(run.world.running).toBe('v2');
});

it('climbs the whole ladder and ends unanswered, with nothing changed', async () => {
  const run = await start(slowQuery);
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  expect(run.pages.filter(({ asks }) => asks).map(({ person }) => person)).toEqual(['responder', 'lead', 'cto']);
  expect(run.world.running).toBe('v2');
});

it('undoes the rollback that did not help, then makes the index, then is at its end', async () => {
  const run = await start(slowQuery);
  await run.decide('approved', 'responder');
  const { proposal } = await run.until(
    ({ phase, proposal: now }) => phase === 'waiting' && now?.action.kind === 'create-index',
  );
  expect(proposal?.why).toContainEqual(expect.stringContaining('costs 12 instead of 20000'));
  await run.decide('approved', 'lead');
  expect(await run.result()).toMatchObject({ outcome: 'not-recovered' });
  const acts = ['rollBack', 'undoRollBack', 'createIndex', 'undoCreateIndex'];
  expect(run.calls.filter((call) => acts.includes(call))).toEqual(acts);
});

it('gives an index hours to be made and to be dropped', async () => {
  const hours: Record<string, number> = {};
  const noting = (name: string) => async () => {
    hours[name] = activityInfo().startToCloseTimeoutMs / 3_600_000;
    return { changed: true, summary: name };
  };
  const run = await start({
    slowStatements: async () => [statement],
    routeTimes: async () => [slow('GET /', 1700)],
    createIndex: noting('createIndex'),
    undoCreateIndex: noting('undoCreateIndex'),
  });
  expect((await proposed(run))?.action.kind).toBe('create-index');
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'not-recovered' });
  expect(hours).toEqual({ createIndex: 2, undoCreateIndex: 2 });
});

it('hands over, and leaves what it did, when it cannot measure whether it helped', async () => {
  let done = false;
  const run = await start({
    routeTimes: async () => {
      if (done) throw failure('Unavailable', 'no instance answers');
      return [slow('GET /api/recommendations')];
    },
    cachingStates: async () => [uncached],
    turnOnCaching: async () => {
      done = true;
      return { changed: true, summary: 'cached' };
    },
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({
    outcome: 'handed-over',
    note: expect.stringContaining('cannot be measured'),
  });
  expect(run.calls).not.toContain('undoTurnOnCaching');
});

it('restarts the instances that leak where the release is old, and verifies by their memory', async () => {
  let restarted: string[] = [];
  const run = await start({
    ...at('1969-12-01T00:00:00Z'),
    memoryTrends: async () =>
      restarted.length > 0 ? [{ ...leaking('127.0.0.1:4005'), hoursUntilLimit: 12 }] : [leaking('127.0.0.1:4001')],
    restartInstances: async ({ proposal }) => {
      restarted = proposal.action.instances;
      return { changed: true, summary: 'restarted' };
    },
  });
  expect((await proposed(run))?.action).toMatchObject({ kind: 'restart-instances', version: 'v2' });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(restarted).toEqual(['127.0.0.1:4001']);
});

it('makes the index where the route was as slow before the release', async () => {
  let made = false;
  const run = await start({
    slowStatements: async () => (made ? [] : [statement]),
    routeTimes: async () => [made ? { route: 'GET /', now: times(40) } : slow('GET /', 1700)],
    createIndex: async () => {
      made = true;
      return { changed: true, summary: 'made' };
    },
  });
  expect((await proposed(run))?.action.kind).toBe('create-index');
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
});

it('scales out where the processors are busy and nothing else explains it', async () => {
  const run = await start({
    saturation: async () => ({ busiest: 0.97, instances: 2 }),
    routeTimes: async () => [run.world.instances > 2 ? { route: 'GET /', now: times(40) } : slow('GET /', 1700)],
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(run.world.instances).toBe(4);
});

it('verifies by what users meet where the laboratory found what they were too few to say', async () => {
  const run = await start({
    ...heavyBundle,
    webVitals: async ({ since }) => [since === undefined ? vital(4800, 3) : vital(1100)],
    labVitals: async () => [lab],
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
});

it('waits for users to meet the release before it judges their vitals, and only for what they met since', async () => {
  const asked: (string | undefined)[] = [];
  let reads = 0;
  const run = await start({
    ...heavyBundle,
    webVitals: async ({ since }) => {
      asked.push(since);
      if (since === undefined) return [vital(4800)];
      return [vital(1100, (reads += 1) * 6)];
    },
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  expect(run.world.running).toBe('v1');
  expect(new Set(asked.slice(1)).size).toBe(1);
  expect(reads).toBeGreaterThan(9);
});

it('proposes nothing when no measure can be read, and says which are unknown', async () => {
  const down = async (): Promise<never> => {
    throw failure('Unavailable', 'down');
  };
  const run = await start({
    routeTimes: down,
    memoryTrends: down,
    webVitals: down,
    slowStatements: down,
    bundleChange: down,
  });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  const { findings } = await run.status();
  expect(findings.filter(({ verdict }) => verdict === 'unknown').map(({ check }) => check)).toEqual(
    expect.arrayContaining([
      'API response times',
      'bundle',
      'memory of the instances',
      'slow statements',
      'web vitals of users',
    ]),
  );
  expect(run.calls).not.toContain('requestChange');
});
