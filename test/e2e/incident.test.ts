/** The main job, on every real part: a bad release is caught, approved in the Temporal UI, rolled back, verified and recorded. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client as Database } from 'pg';
import { readAudit, verifyAudit } from '../../src/audit.ts';
import type { GameDayReport } from '../../src/cli/gameday/follow.ts';
import type { Status } from '../../src/contracts/index.ts';
import { pgbouncerBinary } from '../../src/embedded/pgbouncer.ts';
import { readPages } from '../../src/pages.ts';
import { endProcess, findProcess, startProcess } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import { until } from '../support/until.ts';
import { alertmanagerBinary, prometheusBinary, startAlertmanager, startPrometheus } from '../support/prometheus.ts';
import { BROWSER, openPage, sendSignal } from '../support/temporal-ui.ts';
import { during, isWaiting, ROOT, startPlatform, type PlatformRig } from './rig.ts';

const ID = 'incident.shop.high-error-rate';
let rig: PlatformRig;
let stateDir: string;
let env: Record<string, string>;
let platform: PlatformRig['platform'];

const cli = (...args: string[]) => rig.cli(...args);
const status = (id = ID) => rig.status(id);
const statusOnce = (holds: (status: Status) => boolean, after = '', id = ID) => rig.statusOnce(id, holds, after);
const lastRun = (id = ID) => rig.lastRun(id);
const has =
  (kind: string) =>
  ({ timeline }: Status): boolean =>
    timeline.some((entry) => entry.kind === kind);

/** How often the release was switched for this run. */
const switches = (runId: string): number => rig.releases().history.filter(({ key }) => key.includes(runId)).length;

/** What the record holds of a run, once it holds this outcome. */
async function recorded(runId: string, outcome: string) {
  const { RECORD_SUPABASE_URL: url = '', RECORD_SUPABASE_SECRET_KEY: key = '' } = platform;
  const record = createRecord({ url, key });
  let found: Awaited<ReturnType<typeof record.incident>>;
  await until(async () => {
    found = await record.incident(ID, runId).catch(() => undefined);
    return found?.outcome === outcome;
  });
  return found as NonNullable<typeof found>;
}

const killWorker = (when?: Promise<void>) => rig.killWorker(when);

beforeAll(async () => {
  rig = await startPlatform();
  ({ stateDir, env, platform } = rig);
}, 240_000);
afterAll(() => rig.end(), 90_000);

it('refuses a game day as a person that nobody knows, before anything is started', async () => {
  const refused = await cli('gameday', 'high-error-rate', '--approve-as', 'stranger').then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({
    message: expect.stringContaining('"stranger" is nobody who may approve'),
    cause: { exitCode: 2 },
  });
  await expect(status()).rejects.toThrow();
});

const inBrowser = BROWSER === undefined ? it.skip : it;
inBrowser(
  "is approved in the Temporal UI with a one-time code, where a wrong one, another person's and a used one change nothing; v1 serves again, and the record has it all",
  async () => {
    const gameday = cli('gameday', 'high-error-rate', '--json');
    const open = await during(gameday, statusOnce(isWaiting));
    const asked = () =>
      readPages(stateDir, { person: 'responder' }).find(({ digest }) => digest === open.proposal?.digest);
    await until(() => asked() !== undefined);
    const { page, close } = await openPage(
      `${platform['HOLDFAST_TEMPORAL_UI_URL']}/namespaces/default/workflows/${ID}/${open.runId}/user-metadata`,
    );
    try {
      await page.locator('iframe').first().contentFrame().getByText('Asked of you').first().waitFor(); // Markdown is shown in a frame
      const picture = join(stateDir, 'incident.png');
      await page.screenshot({ path: picture });
      const folder = process.env['HOLDFAST_PICTURES'];
      if (folder !== undefined) copyFileSync(picture, join(folder, 'incident.png'));
      const refusals = ({ timeline }: Status): string[] =>
        timeline.filter(({ kind }) => kind === 'refused').map(({ what }) => what);
      const refused = (count: number) =>
        during(
          gameday,
          statusOnce((now) => refusals(now).length === count),
        );
      await sendSignal(page, 'approve', { by: 'responder', code: 'WRON-GONE' });
      expect(await refused(1)).toMatchObject({ phase: 'waiting' });
      await sendSignal(page, 'approve', { by: 'lead', code: asked()?.code }); // another person's
      expect(await refused(2)).toMatchObject({ phase: 'waiting' });
      await sendSignal(page, 'approve', { by: 'responder', code: asked()?.code });
      await during(gameday, statusOnce(has('approved')));
      await sendSignal(page, 'approve', { by: 'responder', code: asked()?.code }); // used
      expect(refusals(await refused(3))[2]).toContain('it was approved already by responder via temporal-ui');
    } finally {
      await close();
    }

    const report = JSON.parse((await gameday).stdout) as GameDayReport;
    expect(report).toMatchObject({
      outcome: 'mitigated',
      decision: { by: ['responder'], via: 'temporal-ui' },
      releases: { before: 'v2', after: 'v1' },
    });
    expect(switches(open.runId)).toBe(1);
    const { timeline } = await recorded(open.runId, 'mitigated');
    expect(timeline.length).toBeGreaterThan(15);
    const at = (kind: string) => Date.parse(timeline.find((line) => line.kind === kind)?.at ?? '');
    expect(at('acted') - at('approved')).toBeLessThan(30_000); // seconds, on a machine that does much else too
    await rig.assertDocumented(report.incident);
    const audited = readAudit(stateDir, 100).filter(({ via, on }) => via === 'worker' && on === `${ID}/${open.runId}`);
    expect(audited.reverse().map(({ who, what, result }) => `${who}: ${what} ${result}`)).toEqual([
      'responder: one-time code refused',
      'lead: one-time code refused', // it is not lead's
      'responder: one-time code done',
      'holdfast: grant roll-back done',
      'responder: roll-back done',
    ]);
    expect(verifyAudit(stateDir).fault).toBeUndefined();
  },
  240_000,
);

it('survives kill -9 of the worker while it waits and again inside the rollback: the release changes exactly once', async () => {
  const before = await lastRun();
  const gameday = cli('gameday', 'high-error-rate', '--json');
  const open = await during(gameday, statusOnce(isWaiting, before));
  await killWorker();
  await during(gameday, statusOnce(isWaiting, before));
  const approve = ['approve', ID, '--as', 'responder'];
  const exits = (exitCode: number) => ({ cause: expect.objectContaining({ exitCode }) });
  await expect(cli(...approve)).rejects.toMatchObject(exits(2)); // it does not say which
  await expect(cli(...approve, '--proposal', '00000000')).rejects.toMatchObject(exits(5));
  await expect(cli('approve', ID, '--as', 'stranger', '--proposal', open.proposal?.digest ?? '')).rejects.toMatchObject(
    exits(2), // nobody is called so
  );
  const killed = killWorker(rig.releasesOnce(({ intent }) => intent?.key.includes(open.runId) === true));
  await cli(...approve, '--proposal', open.proposal?.digest ?? '');
  await during(gameday, killed);
  const report = JSON.parse((await gameday).stdout) as GameDayReport;
  expect(report).toMatchObject({ outcome: 'mitigated', decision: { by: ['responder'], via: 'cli' } });
  const tried = readAudit(stateDir, 20).filter(({ via, on }) => via === 'cli' && on === ID);
  expect(tried.map(({ who, result }) => `${who} ${result}`)).toEqual(['responder done', 'stranger refused']);
  expect(switches(open.runId)).toBe(1);
  const served = await fetch(`http://127.0.0.1:${env['SHOP_PORT']}/healthz`);
  expect(await served.json()).toMatchObject({ version: 'v1' });
}, 240_000);

const withPool = pgbouncerBinary() === undefined ? it.skip : it;
withPool.each([
  ['idle-in-transaction', 'mitigated', 'end-sessions'],
  ['leak', 'mitigated', 'roll-back'],
  ['refused', 'handed-over', undefined],
])(
  'plays the database game day %s to its end: %s',
  async (fault, outcome, action) => {
    const args = ['database-connection-issues', '--fault', fault, '--approve-as', 'responder', '--json'];
    const report = JSON.parse((await cli('gameday', ...args)).stdout) as GameDayReport;
    expect(report.outcome).toBe(outcome);
    expect(report.proposal?.action.kind).toBe(action);
    if (outcome === 'handed-over')
      await until(() =>
        readPages(stateDir, { person: 'responder' }).some(
          ({ runId, subject }) =>
            runId === report.incident.runId && subject.endsWith('handed-over, a person is needed'),
        ),
      );
    await rig.assertDocumented(report.incident);
  },
  240_000,
);

withPool(
  'makes the index that a slow statement lacks exactly once, though its worker is killed while it is made',
  async () => {
    const id = 'incident.shop.database-connection-issues';
    const before = await lastRun(id);
    const gameday = cli('gameday', 'database-connection-issues', '--fault', 'slow-query', '--json');
    const open = await during(gameday, statusOnce(isWaiting, before, id));
    const { action, digest = '' } = open.proposal ?? {};
    expect(action).toMatchObject({ kind: 'create-index', table: 'visits', columns: ['customer'] });
    await cli('approve', id, '--as', 'responder', '--proposal', digest);
    await during(gameday, statusOnce(has('acting'), before, id));
    await killWorker();
    const report = JSON.parse((await gameday).stdout) as GameDayReport;
    expect(report.outcome).toBe('mitigated');
    const database = new Database({ connectionString: platform['SUPABASE_DB_URL'] });
    await database.connect();
    const indexes = await database.query(
      `select x.relname, i.indisvalid from pg_index i join pg_class x on x.oid = i.indexrelid where indrelid = 'visits'::regclass`,
    );
    await database.end();
    expect(indexes.rows).toEqual([{ relname: action?.kind === 'create-index' ? action.name : '', indisvalid: true }]);
    const { timeline } = await status(id);
    expect(timeline.filter(({ kind }) => kind === 'acted')).toHaveLength(1);
    await rig.assertDocumented(report.incident);
  },
  240_000,
);

/** Game days that follow each other within ten minutes are no flapping, for which a resolved alert would not be believed. */
function forgetFlaps(): void {
  const inbox = new DatabaseSync(join(stateDir, 'inbox.sqlite'), { timeout: 5000 });
  inbox.exec('delete from flapping');
  inbox.close();
}
const watched = prometheusBinary === undefined || alertmanagerBinary === undefined ? it.skip : it;
watched(
  "opens by the shop's own rule of Prometheus, and ends resolved by Alertmanager's word once the release is gone, with nothing done",
  async () => {
    const before = await lastRun();
    forgetFlaps();
    const release = (ref: string) =>
      rig.client.workflow.execute('deployRelease', {
        workflowId: 'deployment.shop.production',
        taskQueue: 'holdfast',
        args: [{ service: 'shop', environment: 'production', ref }],
      });
    await cli(
      'silence',
      'source=webhook', // the monitor's alerts come by it
      '--for',
      '10 minutes',
      '--reason',
      'Prometheus tells it',
      '--as',
      'responder',
    );
    await release('v1');
    const url = `http://127.0.0.1:${env['SHOP_PORT']}`;
    const args = ['examples/shop/traffic.ts', '--url', url, '--rate', '20'];
    await startProcess({ stateDir, name: 'visitors', command: process.execPath, args, cwd: ROOT });
    try {
      const alertmanager = await startAlertmanager({
        stateDir,
        receiver: `http://127.0.0.1:${env['HOLDFAST_GATEWAY_PORT']}/alerts/alertmanager`,
        token: platform['HOLDFAST_ALERTMANAGER_TOKEN'] ?? '',
      });
      const targets = { caddy: [`127.0.0.1:${env['HOLDFAST_CADDY_ADMIN_PORT']}`] };
      const ruleFile = join(ROOT, 'examples', 'shop', 'alerts.yml');
      await startPrometheus({ stateDir, targets, ruleFile, alertmanager });
      await release('v2');
      const { incident } = await statusOnce(isWaiting, before);
      expect(incident).toMatchObject({ severity: 'critical', openedBy: 'alert:alertmanager' });
      expect(incident.summary).toMatch(/^\d+(\.\d+)?% of the requests of the shop fail$/);
      await release('v1');
      const closed = await statusOnce(({ outcome }) => outcome !== undefined, before);
      expect(closed.outcome).toBe('resolved');
      expect(closed.timeline.filter(({ kind }) => kind === 'acted')).toEqual([]);
    } finally {
      for (const name of ['visitors', 'prometheus', 'alertmanager']) await endProcess(stateDir, name);
    }
  },
  240_000,
);

it('goes on while error tracker, Supabase, metrics and traffic hang, says what it could not see, and the record catches up', async () => {
  const before = await lastRun();
  const parts = await Promise.all(
    ['bugsink', 'supabase', 'app-supabase', 'app-postgres', 'caddy'].map((name) => findProcess(stateDir, name)),
  );
  const hang = (signal: 'SIGSTOP' | 'SIGCONT') => parts.forEach((part) => process.kill(-(part?.pid ?? NaN), signal));
  hang('SIGSTOP');
  let closed: Status;
  try {
    const labels = { alertname: 'HighErrorRate', service: 'shop', environment: 'production', severity: 'critical' };
    const answer = await fetch(`http://127.0.0.1:${env['HOLDFAST_GATEWAY_PORT']}/alerts/alertmanager`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${platform['HOLDFAST_ALERTMANAGER_TOKEN']}`,
      },
      body: JSON.stringify({ alerts: [{ status: 'firing', labels, fingerprint: 'outage' }] }),
    });
    expect(answer.status).toBe(202);
    closed = await statusOnce(({ phase }) => phase === 'closed', before);
  } finally {
    hang('SIGCONT');
  }
  const verdictOf = Object.fromEntries(closed.findings.map(({ check, verdict }) => [check, verdict]));
  expect(verdictOf).toMatchObject({
    'error patterns': 'unknown',
    'affected users': 'unknown',
    'stack traces': 'unknown',
    'correlated releases and flags': 'unknown',
    'error ratio': 'unknown',
    'API response times': 'unknown',
    'recent deployments': 'unknown',
    'Supabase connectivity': 'bad',
    'application health': 'bad',
  });
  expect(closed.outcome).toBe('handed-over');
  const subjects = readPages(stateDir, { person: 'responder' }).map(({ subject }) => subject);
  expect(subjects).toContainEqual(expect.stringContaining('handed-over, a person is needed'));
  expect((await recorded(closed.runId, 'handed-over')).findings).toEqual(closed.findings);
}, 240_000);
