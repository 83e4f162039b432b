/**
 * The sample shop's slow releases, and a healthy one, on every real part: the runbook's own diagnosis tells each from the others.
 * One is played to its end by the command line. Of the others, what the monitor raises is silenced: each run is opened here, once
 * the monitor says that the release shows.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import { makeRepository } from '../../examples/shop/make-repository.ts';
import type { GameDayReport } from '../../src/cli/gameday/follow.ts';
import type { Incident, Status } from '../../src/contracts/index.ts';
import { PARTS } from '../../src/embedded/platform.ts';
import { endProcess, runCommand, startProcess } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import type { Watched } from '../../workflows/index.ts';
import { until } from '../support/until.ts';
import { isWaiting, ROOT, startPlatform, type PlatformRig } from './rig.ts';

const ID = 'incident.shop.performance-degradation';
const TASK_QUEUE = 'holdfast';
/** As many as the configuration wants, in so much less than its window as the shop may need to be quick again. */
const [BEACONS, LATELY_MS] = [8, 45_000];
const parts = PARTS.filter((part) => part !== 'bugsink'); // the longest to start, and not asked here
let rig: PlatformRig;
let outer: string;

/** A release that differs from v1 in a word. */
async function makeHealthyRelease(repository: string): Promise<void> {
  const cwd = join(outer, 'shop');
  const git = (...args: string[]) => runCommand({ command: 'git', args, cwd });
  const identity = ['-c', 'user.name=Ada Marsh', '-c', 'user.email=ada@shop.example'];
  await runCommand({ command: 'git', args: ['clone', '--quiet', '--branch', 'v1', repository, cwd], cwd: outer });
  await runCommand({ command: 'sed', args: ['-i', 's/<title>Shop/<title>The shop/', 'page.ts'], cwd });
  await git(...identity, 'commit', '--quiet', '--all', '--message', 'Say which shop');
  await git('push', '--quiet', 'origin', 'HEAD:refs/tags/healthy');
}

beforeAll(async () => {
  outer = mkdtempSync(join(tmpdir(), 'holdfast-slow-releases-'));
  rig = await startPlatform(parts);
}, 240_000);
afterAll(async () => {
  await rig.end();
  rmSync(outer, { recursive: true });
}, 90_000);

/** The shop as it was at first, whose alerts open nothing. */
async function prepareQuietShop(): Promise<void> {
  const { SHOP_REPOSITORY: repository = '', SHOP_FLAGS_FILE: flags = '' } = rig.platform;
  await makeRepository(repository);
  await makeHealthyRelease(repository);
  const off = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' };
  writeFileSync(flags, JSON.stringify({ flags: { 'express-checkout': off, 'cache-recommendations': off } }));
  await rig.cli('silence', 'service=shop', '--for', '2 hours', '--reason', 'tested', '--as', 'responder');
}

const url = (): string => `http://127.0.0.1:${rig.env['SHOP_PORT']}`;
const deploy = (ref: string, bad = false) =>
  rig.client.workflow.execute('deployRelease', {
    workflowId: 'deployment.shop.production',
    taskQueue: TASK_QUEUE,
    args: [{ service: 'shop', environment: 'production', ref, bad }],
  });
const program = (name: string, args: string[]) =>
  startProcess({
    stateDir: outer,
    name,
    command: process.execPath,
    args: [`examples/shop/${name}.ts`, ...args],
    cwd: ROOT,
    env: { CHROMIUM_PATH: rig.platform['CHROMIUM_PATH'] ?? '' },
  });
const fault = (name: string) =>
  runCommand({
    command: process.execPath,
    args: ['examples/shop/faults.ts', name],
    cwd: ROOT,
    env: { SHOP_DATABASE_URL: rig.platform['SHOP_DATABASE_URL'] ?? '' },
  });

/** What the monitor holds of production. */
async function watchedNow(): Promise<Watched | undefined> {
  const watched = await rig.client.workflow
    .getHandle('monitor.shop')
    .query<Watched[]>('watched')
    .catch(() => []);
  return watched.find(({ environment }) => environment === 'production');
}
/** Names of the alerts that the monitor holds to fire. */
async function firing(): Promise<string[]> {
  const { alerts = {} } = (await watchedNow()) ?? {};
  return Object.entries(alerts).flatMap(([name, { firingSince }]) => (firingSince === undefined ? [] : [name]));
}
/** The shop has answered within its objective for a window. */
async function isQuick(): Promise<boolean> {
  const { sample, allowed = 0 } = (await watchedNow())?.objectives?.['response time'] ?? {};
  return sample !== undefined && sample.total > 0 && sample.bad < sample.total * allowed;
}
const quiet = async (): Promise<boolean> => (await firing()).length === 0;
const fires = (name: string) => async (): Promise<boolean> => (await firing()).includes(name);
/** Visitors' browsers have met the release often enough, of late, to judge it: the record holds what they told. */
async function visited(release: string): Promise<boolean> {
  const { RECORD_SUPABASE_URL: recordUrl = '', RECORD_SUPABASE_SECRET_KEY: key = '' } = rig.platform;
  const since = new Date(Date.now() - LATELY_MS).toISOString();
  const { slots } = await createRecord({ url: recordUrl, key }).vitals({
    service: 'shop',
    environment: 'production',
    since,
    release,
    atMost: 10_000,
  });
  const met = slots.filter(({ metric }) => metric === 'LCP');
  return met.reduce((sum, { samples }) => sum + samples, 0) >= BEACONS;
}
/** Visitors have met it and left, so that their browsers no longer take the shop's processors; nothing is the matter. */
async function metAndQuick(release: string): Promise<boolean> {
  await until(() => visited(release));
  await endProcess(outer, 'visitors');
  await until(isQuick);
  await until(quiet);
  return true;
}

/** End the run that an alert from before the silence has opened; most often there is none. */
async function endOpened(): Promise<void> {
  const opened = rig.client.workflow.getHandle(ID);
  try {
    await opened.signal('stop', { by: 'test', text: 'silenced' });
    await opened.result();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** The runbook's run, as an alert opens it. */
async function diagnosed(): Promise<Status> {
  await endOpened();
  const before = await rig.lastRun(ID);
  const incident: Incident = {
    service: 'shop',
    environment: 'production',
    severity: 'critical',
    summary: 'users wait',
    openedAt: new Date().toISOString(),
    openedBy: 'test',
  };
  await rig.client.workflow.start('performanceDegradation', {
    workflowId: ID,
    taskQueue: TASK_QUEUE,
    args: [incident],
  });
  const status = await rig.statusOnce(ID, (one) => isWaiting(one) || one.outcome !== undefined, before);
  if (status.outcome === undefined)
    await rig.client.workflow.getHandle(ID).signal('stop', { by: 'test', text: 'seen' });
  await rig.client.workflow.result(ID);
  return status;
}
const found = ({ findings }: Status, check: string) => findings.find((one) => one.check === check);
/** A machine that does something else in the seconds that are measured makes any release slow: it is looked at again. */
const TRIES = 3;
const answersInTime = (status: Status): boolean => found(status, 'API response times')?.verdict === 'ok';

/** v1 under traffic until it was measured for a window, then the release, until it shows; what the runbook makes of it. */
async function played(of: { release: string; rate: number; visitors: boolean; shows: () => Promise<boolean> }) {
  await deploy('v1');
  await program('traffic', ['--url', url(), '--rate', String(of.rate)]);
  await until(quiet);
  await deploy(of.release, of.release !== 'healthy');
  if (of.visitors) await program('visitors', ['--url', url()]);
  await until(of.shows);
  return await diagnosed();
}
async function endPrograms(): Promise<void> {
  await endProcess(outer, 'visitors');
  await endProcess(outer, 'traffic');
  await fault('no-reviews');
}

/** On a machine that is short of processors a slow release has other symptoms too: all are played where that is asked for. */
const ALL = process.env['HOLDFAST_GAME_DAYS'] === 'all';
const PLAYED = ALL ? ['slow-query', 'leak', 'heavy-bundle'] : [];
it.each(['slow-route', ...PLAYED])(
  'plays the release %s to its end: approved, mitigated, verified and documented',
  async (release) => {
    const args = ['--release', release, '--approve-as', 'responder', '--json'];
    const { stdout } = await rig.cli('gameday', 'performance-degradation', ...args);
    const report = JSON.parse(stdout) as GameDayReport;
    const { outcome, findings, proposal, decision } = report;
    expect({ outcome, decision }).toEqual({ outcome: 'mitigated', decision: { by: ['responder'], via: 'cli' } });
    expect(findings.find(({ check }) => check === 'top suspect')?.summary).toMatch(new RegExp(`^${release}[,:]`));
    await rig.assertDocumented(report.incident);
    if (release !== 'slow-route') return;
    expect(proposal?.action).toMatchObject({ kind: 'turn-on-caching', route: 'GET /api/recommendations' });
    const kept = await fetch(`${url()}/api/recommendations`);
    expect(kept.headers.get('cache-control')).toMatch(/max-age=\d+/);
  },
  400_000,
);

describe('without alerts', () => {
  beforeAll(prepareQuietShop, 60_000);
  afterEach(endPrograms);

  it('proposes nothing for a healthy release', async () => {
    let status = await played({
      release: 'healthy',
      rate: 5,
      visitors: true,
      shows: () => metAndQuick('healthy'),
    });
    for (let tries = 1; tries < TRIES && !answersInTime(status); tries += 1) {
      await until(isQuick);
      status = await diagnosed();
    }
    expect(found(status, 'recent deployments')?.summary).toContain('healthy runs since');
    expect(found(status, 'API response times')).toMatchObject({ verdict: 'ok' });
    expect(found(status, 'memory of the instances')).toMatchObject({ verdict: 'ok' });
    expect(found(status, 'web vitals of users')).toMatchObject({ verdict: 'ok' });
    expect(found(status, 'bundle')).toMatchObject({ verdict: 'ok' });
    expect(found(status, 'top suspect')).toMatchObject({ verdict: 'ok' });
    expect(status).toMatchObject({ outcome: 'handed-over' });
    expect(status.proposal).toBeUndefined();
  }, 300_000);

  const RELEASES = [
    { release: 'slow-query', rate: 10, alert: 'SlowResponses', acts: ['roll-back', 'create-index'] },
    { release: 'leak', rate: 50, alert: 'MemoryLeak', acts: ['roll-back'] },
    { release: 'heavy-bundle', rate: 5, alert: 'WebVitalsFailing', acts: ['roll-back'] }, // its alert ends with its visitors
  ];
  (ALL ? it : it.skip).each(RELEASES)(
    'tells the release $release apart from the others by its findings',
    async ({ release, rate, alert, acts }) => {
      if (release === 'slow-query') await fault('reviews');
      const status = await played({ release, rate, visitors: release === 'heavy-bundle', shows: fires(alert) });
      const findings = status.findings.map(({ check, verdict, summary }) => `${check}, ${verdict}: ${summary}`);
      expect(findings).toContainEqual(expect.stringMatching(new RegExp(`^top suspect, bad: ${release}[,:]`)));
      expect(acts).toContain(status.proposal?.action.kind);
    },
    300_000,
  );
});
