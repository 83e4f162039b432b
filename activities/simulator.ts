/**
 * Every port in memory, for drills and workflow tests only: a service with a bad release whose errors end when it is rolled back.
 * What a test wants otherwise it overrides, method by method.
 */
import type { Approval, MemoryTrend, Policy, Review, Status } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

export interface Simulator {
  ports: Ports;
  /** Names of the activities that ran, in order, for assertions. */
  calls: string[];
  /** Pages delivered: person and level. */
  pages: { person: string; level: string; asks: boolean }[];
  records: Status[];
  /** Documents of reviews, as they were published, and the reviews as they were recorded. */
  documents: string[];
  reviews: Review[];
  world: { running: string; previous: string; instances: number; flag: 'on' | 'off'; errorRatio: number };
}

export const simulatedPolicy: Policy = {
  mode: 'act',
  people: [
    { name: 'responder', roles: ['responder', 'approver'], channels: [] },
    { name: 'lead', roles: ['approver'], channels: [] },
    { name: 'cto', roles: ['admin', 'approver'], channels: [] },
    { name: 'visitor', roles: ['viewer'], channels: [] },
  ],
  ladder: [
    { level: 'development-team', people: ['responder'], wait: '5 minutes' },
    { level: 'engineering-lead', people: ['lead'], wait: '10 minutes' },
    { level: 'cto', people: ['cto'], wait: '15 minutes' },
  ],
  announce: [],
  approval: {
    low: { roles: ['approver'], quorum: 1, fourEyes: true, byPolicy: false },
    medium: { roles: ['approver'], quorum: 1, fourEyes: true, byPolicy: false },
    high: { roles: ['approver'], quorum: 2, fourEyes: true, byPolicy: false },
  },
  objectives: { errorRatio: 0.01, p95Ms: 500 },
  alertAt: { errorRatio: 0.05, p95Ms: 2000 },
  performance: {
    vitals: { windowSeconds: 3600, minimumSamples: 50 },
    bundle: true,
    caching: true,
    laboratory: {},
  },
  measure: { windowSeconds: 300, lasting: '10 minutes', every: '1 minute', minimumRequests: 20 },
  coolDown: '10 minutes',
  deployment: {
    procedure: 'production',
    canary: { weights: [5, 25], bake: '10 minutes', moreErrors: 0.01, slower: 1.5, checks: [] },
    backup: true,
    migrations: true,
  },
  database: { longSeconds: 30, maxEnded: 5, restartBy: 'reconnect', hosted: false },
  decisionKeys: {},
};

/** The code that the simulator takes for a person. */
export const simulatedCode = (person: string): string => `CODE-${person.slice(0, 4).toUpperCase()}`;

const steady = (instance: string): MemoryTrend => ({
  instance,
  samples: 20,
  seconds: 300,
  restarts: 0,
  residentBytes: 120e6,
  residentBytesPerHour: 1e5,
  heapBytesPerHour: 1e5,
});

export function createSimulator(overrides: Partial<Ports> = {}): Simulator {
  const world: Simulator['world'] = { running: 'v2', previous: 'v1', instances: 2, flag: 'on', errorRatio: 0.2 };
  const calls: string[] = [];
  const pages: Simulator['pages'] = [];
  const records: Status[] = [];
  const documents: string[] = [];
  const reviews: Review[] = [];
  const done = new Set<string>();
  let fence = 0;
  const deployedAt = '2026-11-01T09:00:00.000Z';
  const entry = (version: string) => ({ version, commit: version, deployedAt, weight: 1, instances: world.instances });

  /** Changes the world once per key. */
  const once = (step: string, of: Approval<never>, change: () => void) => {
    const { id } = of as Approval;
    if (done.has(`${step}:${id}`)) return { changed: false, summary: `${step}: done already` };
    done.add(`${step}:${id}`);
    change();
    return { changed: true, summary: `${step} done` };
  };
  const ports: Ports = {
    policy: async () => simulatedPolicy,
    onCall: async () => ({ people: ['responder'] }),
    businessHours: async () => ({ open: true, reason: 'in business hours' }),
    recentReleases: async () => ({
      running: entry(world.running),
      previous: entry(world.previous),
      recent: [entry(world.running), entry(world.previous)],
      maxInstances: 4,
    }),
    errorPatterns: async () => [
      {
        id: '1',
        title: 'TypeError: no price',
        count: 40,
        firstSeen: deployedAt,
        lastSeen: deployedAt,
        newInRelease: world.running === 'v2',
      },
    ],
    affectedUsers: async () => ({ count: 12, sampled: false }),
    topStackTrace: async () => ({ pattern: 'TypeError: no price', frames: ['checkout (checkout.ts:12)'] }),
    errorCorrelations: async () => ({ events: 40, releases: [{ release: world.running, share: 1 }], flags: [] }),
    errorCount: async () => ({ count: 40, windowSeconds: 300 }),
    errorRatio: async () => ({ ratio: world.errorRatio, requests: 1000, windowSeconds: 300 }),
    responseTimes: async () => ({ p50Ms: 20, p95Ms: 90, requests: 1000, slowShare: 0 }),
    saturation: async () => ({ busiest: 0.2, instances: world.instances }),
    httpHealth: async () => ({ url: 'simulated', probes: 10, failed: 0, status: 200, p50Ms: 5, p95Ms: 9 }),
    supabaseHealth: async () => ({ rest: { ok: true, ms: 4, detail: '' } }),
    flagStates: async () => [
      { flag: 'express-checkout', variant: world.flag, off: 'off', enabled: world.flag === 'on' },
    ],
    connectionUse: async () => ({ max: 100, reserved: 3, used: 20, groups: [], replication: 0, autovacuum: 0 }),
    diskUse: async () => ({ usedBytes: 2e9, sizeBytes: 10e9 }),
    hostedServices: async () => [{ name: 'db', healthy: true, status: 'ACTIVE_HEALTHY' }],
    hostedAdvice: async () => [],
    hostedCapacity: async () => ({
      project: 'abcdefghijklmnopqrst',
      compute: 'ci_micro',
      larger: { compute: 'ci_small', price: '$0.0206 hourly' },
      disk: { usedBytes: 2e9, sizeBytes: 10e9 },
    }),
    sessionsInTheWay: async () => [],
    slowStatements: async () => [],
    poolUse: async () => ({
      pool: 'app',
      clientsActive: 5,
      clientsWaiting: 0,
      maxWaitMs: 0,
      serversActive: 3,
      serversIdle: 17,
      size: 20,
    }),
    endSessions: async (approval) => once('endSessions', approval as Approval<never>, () => (world.errorRatio = 0)),
    createIndex: async (approval) => once('createIndex', approval as Approval<never>, () => (world.errorRatio = 0)),
    undoCreateIndex: async (approval) => once('undoCreateIndex', approval as Approval<never>, () => undefined),
    reconnectPool: async (approval) => once('reconnectPool', approval as Approval<never>, () => (world.errorRatio = 0)),
    resizePool: async (approval) => once('resizePool', approval as Approval<never>, () => (world.errorRatio = 0)),
    resizeCompute: async (approval) => once('resizeCompute', approval as Approval<never>, () => (world.errorRatio = 0)),
    undoResizeCompute: async (approval) => once('undoResizeCompute', approval as Approval<never>, () => undefined),
    undoResizePool: async (approval) => once('undoResizePool', approval as Approval<never>, () => undefined),
    release: async ({ ref }) => {
      [world.previous, world.running] = [world.running, ref];
      return { changed: true, summary: `${ref} runs` };
    },
    rollBack: async (approval) =>
      once('rollBack', approval as Approval<never>, () => {
        if (world.running !== approval.proposal.action.from)
          throw failure('StaleApproval', `${world.running} runs, not ${approval.proposal.action.from}`);
        [world.running, world.previous, world.errorRatio] = [approval.proposal.action.to, world.running, 0];
      }),
    undoRollBack: async (approval) =>
      once(
        'undoRollBack',
        approval as Approval<never>,
        () => ([world.running, world.previous] = [world.previous, world.running]),
      ),
    scale: async (approval) =>
      once('scale', approval as Approval<never>, () => (world.instances = approval.proposal.action.to)),
    undoScale: async (approval) =>
      once('undoScale', approval as Approval<never>, () => (world.instances = approval.proposal.action.from)),
    switchOff: async (approval) =>
      once('switchOff', approval as Approval<never>, () => ([world.flag, world.errorRatio] = ['off', 0])),
    undoSwitchOff: async (approval) => once('undoSwitchOff', approval as Approval<never>, () => (world.flag = 'on')),
    routeTimes: async () => [
      { route: 'GET /', now: { requests: 900, perSecond: 3, p50Ms: 20, p95Ms: 90, p99Ms: 150 } },
    ],
    memoryTrends: async () => [steady('127.0.0.1:4001'), steady('127.0.0.1:4002')],
    webVitals: async () => [{ page: '/', device: 'mobile', metric: 'LCP', p75: 1200, samples: 400 }],
    labVitals: async () => [],
    bundleChange: async () => ({ entries: [], packages: [], duplicated: [] }),
    codeChanges: async () => [],
    cachingStates: async () => [],
    turnOnCaching: async (approval) => once('turnOnCaching', approval as Approval<never>, () => undefined),
    undoTurnOnCaching: async (approval) => once('undoTurnOnCaching', approval as Approval<never>, () => undefined),
    restartInstances: async (approval) => once('restartInstances', approval as Approval<never>, () => undefined),
    announce: async () => undefined,
    page: async ({ page: { person, level, asks } }) => void pages.push({ person, level, asks: asks !== undefined }),
    checkCode: async ({ person, code }) => code === simulatedCode(person),
    requestChange: async () => ({ granted: true, fence: (fence += 1) }),
    reportChange: async () => undefined,
    ledger: async ({ environment }) => ({ environment, changes: [] }),
    lastRun: async () => null,
    newestRuns: async () => ({}),
    drillRunbook: async () => ({ passed: true, note: 'mitigated', timeline: [] }),
    lastDeployment: async () => undefined,
    tellOpenAlerts: async () => ({ open: [], told: [] }),
    record: async (status) => void records.push(status),
    publishReview: async ({ review, markdown }) => {
      documents.push(markdown);
      return { path: `postmortems/${review.id}.md`, commit: `commit-${documents.length}` };
    },
    recordObjectives: async () => undefined,
    recordReview: async (review) => void reviews.push(review),
    fileIssue: async ({ key }) => ({ url: `https://tracker.test/issues/${encodeURIComponent(key)}` }),
    issueClosed: async () => false,
    resembling: async () => [],
    learnedSince: async () => [],
    sendAlert: async () => undefined,
    candidate: async ({ ref, version = '1.4.0' }) => ({
      version,
      commit: `commit-of-${ref}`,
      digest: `tree:${ref}`,
      commits: [{ id: 'abc1234', author: 'Ada', subject: 'feat: sell more', at: deployedAt }],
      commitCount: 1,
    }),
    createReleaseBranch: async ({ version }) => ({ changed: true, summary: `release/${version} made` }),
    showDeployment: async ({ state }) => ({ changed: true, summary: state }),
    publishRelease: async ({ version }) => ({ changed: true, summary: `v${version} is published` }),
    openPullRequest: async () => ({ changed: true, number: 1, url: 'simulated' }),
    runPipeline: async () => ({ passed: true, summary: 'all passed', log: 'simulated' }),
    cancelPipeline: async () => ({ changed: false, summary: 'no workflow runs' }),
    deploymentWindow: async () => ({ open: true, reason: 'always open' }),
    backUp: async ({ service, environment }) => ({
      service,
      environment,
      file: 'simulated.dump',
      sha256: '0'.repeat(64),
      sizeBytes: 1,
      takenAt: deployedAt,
      manifest: 'simulated.json',
      tables: 2,
      rows: 20,
    }),
    proveBackup: async () => ({ changed: false, summary: '2 tables, 20 rows restored and equal' }),
    migrationPlan: async () => ({ pending: [], schema: '0001' }),
    migrate: async () => ({ changed: false, summary: 'the schema is up to date' }),
    servable: async ({ commits }) =>
      commits.map((commit) => ({ commit, servable: true, reason: 'the schema serves it' })),
    smokeTests: async () => ({ passed: true, tests: [{ name: 'front page', passed: true, detail: '200' }] }),
    verifyFunctionality: async () => ({ passed: true, tests: [] }),
    shiftTraffic: async ({ ref, weight }) => ({ changed: true, summary: `${ref} has ${weight} % of the traffic` }),
    compareReleases: async () => ({
      canary: { requests: 100, errorRatio: 0, p95Ms: 90 },
      running: { requests: 1000, errorRatio: 0, p95Ms: 90 },
      windowSeconds: 300,
    }),
    ...overrides,
  };
  const counted = Object.fromEntries(
    Object.entries(ports).map(([name, activity]) => [
      name,
      (argument: never) => {
        calls.push(name);
        return (activity as (argument: never) => Promise<unknown>)(argument);
      },
    ]),
  ) as unknown as Ports;
  return { ports: counted, calls, pages, records, documents, reviews, world };
}
