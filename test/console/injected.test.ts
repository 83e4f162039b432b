/**
 * Text of strangers in every field of every source, through the real gateway into the real Temporal UI and the console, in
 * Chromium. The channels hold the same of Slack and mail (`test/channels`).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import {
  bearer,
  post,
  secrets,
  signedAsWebhook,
  signedByGithub,
  signedByGrafana,
  signedByPagerduty,
  signedBySentry,
} from '../gateway/rig.ts';
import { until } from '../support/until.ts';
import type { Status } from '../../src/contracts/index.ts';
import { endProcess, startProcess } from '../../src/processes.ts';
import { ladderOf } from '../../src/runbook/catalogue.ts';
import { BROWSER, LAUNCH } from '../support/temporal-ui.ts';
import { pathOf, startConsole, type ConsoleRig } from './rig.ts';

const ID = 'incident.unrouted.triage';
/** Where nothing listens, and nothing may ask. */
const ELSEWHERE = 'http://127.0.0.2:9';
const evil = (mark: string): string =>
  `${mark} <script>alert(1)</script><img src="${ELSEWHERE}/a" onerror="alert(2)"><svg onload=alert(3)>` +
  ` ![i](${ELSEWHERE}/b) [l](javascript:alert(4)) " autofocus onfocus="alert(5)" {{7*7}} \u202e\u0007\nforged: line`;

type Send = [name: string, body: object, sign: (text: string) => Record<string, string>];
function sends(mark: string): [string, Send][] {
  const e = evil(mark);
  const labels = { alertname: e, service: e, environment: e, severity: e, instance: e, [e]: e };
  const annotations = { summary: e, description: e, runbook_url: e, [e]: e };
  const times = { startsAt: e, endsAt: e };
  const one = { status: 'firing', labels, annotations, ...times, generatorURL: e, fingerprint: e };
  const group = {
    version: e,
    status: 'firing',
    receiver: e,
    groupKey: e,
    externalURL: e,
    groupLabels: labels,
    commonLabels: labels,
    commonAnnotations: annotations,
    alerts: [one],
  };
  const repository = { name: e, full_name: e, default_branch: e };
  const event = {
    event_id: e,
    issue_id: e,
    title: e,
    level: e,
    environment: e,
    release: e,
    url: e,
    web_url: e,
    datetime: e,
  };
  const sentry = (resource: string) => (text: string) => signedBySentry(text, resource);
  return [
    ['alertmanager', ['alertmanager', group, () => bearer]],
    ['grafana', ['grafana', { ...group, title: e, message: e, state: e, orgId: 1 }, signedByGrafana]],
    [
      'grafana, custom',
      [
        'grafana',
        { id: e, name: e, title: e, status: e, severity: e, service: e, summary: e, labels },
        signedByGrafana,
      ],
    ],
    [
      'pagerduty',
      [
        'pagerduty',
        {
          event: {
            event_type: 'incident.triggered',
            occurred_at: e,
            agent: { summary: e },
            data: {
              id: e,
              title: e,
              html_url: e,
              urgency: e,
              incident_key: e,
              priority: { summary: e },
              service: { summary: e },
            },
          },
        },
        signedByPagerduty,
      ],
    ],
    [
      'sentry, rule',
      ['sentry', { data: { event: { ...event, tags: [[e, e]] }, triggered_rule: e } }, sentry('event_alert')],
    ],
    ['sentry, error', ['sentry', { data: { error: { ...event, event_id: `${e}2` } } }, sentry('error')]],
    [
      'sentry, issue',
      [
        'sentry',
        {
          action: 'created',
          data: { issue: { id: e, title: e, level: e, project: { slug: e }, web_url: e, permalink: e, firstSeen: e } },
        },
        sentry('issue'),
      ],
    ],
    [
      'sentry, metric',
      [
        'sentry',
        {
          action: 'critical',
          data: {
            metric_alert: { id: e, title: e, date_started: e, projects: [e], alert_rule: { name: e, environment: e } },
            description_title: e,
            description_text: e,
            web_url: e,
          },
        },
        sentry('metric_alert'),
      ],
    ],
    [
      'github, deployment',
      [
        'github',
        {
          deployment_status: {
            state: 'failure',
            environment: e,
            description: e,
            log_url: e,
            target_url: e,
            created_at: e,
          },
          deployment: { id: e, ref: e, sha: e, environment: e, payload: { text: e } },
          repository,
        },
        (text) => signedByGithub(text, 'deployment_status'),
      ],
    ],
    [
      'github, workflow',
      [
        'github',
        {
          action: 'completed',
          workflow_run: {
            id: e,
            name: e,
            head_branch: e,
            head_sha: e,
            conclusion: 'failure',
            html_url: e,
            run_started_at: e,
            head_repository: { full_name: e },
          },
          repository,
        },
        (text) => signedByGithub(text, 'workflow_run'),
      ],
    ],
    [
      'webhook',
      [
        'webhook',
        { id: e, name: e, service: e, environment: e, severity: e, status: 'firing', summary: e, startsAt: e, labels },
        (text) => signedAsWebhook(text),
      ],
    ],
  ];
}
const marks = sends('').map((_, i) => `stranger${i}`);

const TASK_QUEUE = 'strangers';
const SHOWN = '<script>alert(1)</script>';
/** Of a system that is asked about the service: its answer is told to people, and stands in the worker's log. */
const ANSWER = 'a system';

const inBrowser = BROWSER === undefined ? describe.skip : describe;
inBrowser('text of strangers in every field of every source', () => {
  let rig: ConsoleRig;
  let workerLog: string;
  let browser: Browser;
  let page: Page;
  const broken: string[] = [];
  /** By the mark of a source's text, the run that it has opened. */
  const told = new Map<string, Status>();

  beforeAll(async () => {
    rig = await startConsole({ env: { ...secrets, HOLDFAST_TASK_QUEUE: TASK_QUEUE } });
    ({ logFile: workerLog } = await startProcess({
      stateDir: rig.stateDir,
      name: 'worker',
      command: process.execPath,
      args: ['test/console/stranger-worker.ts', rig.config.temporal.address, TASK_QUEUE, JSON.stringify(evil(ANSWER))],
      cwd: join(__dirname, '../..'),
      env: { HOLDFAST_LOG: 'text' },
    }));
    browser = await chromium.launch(LAUNCH);
    const context = await browser.newContext({ viewport: { width: 1400, height: 1500 } });
    const value = rig.store.openSession('viewer', 'viewer@example.com');
    await context.addCookies([{ name: 'holdfast', value, url: rig.url }]);
    context.on('dialog', (dialog) => void (broken.push(dialog.message()), dialog.dismiss().catch(() => undefined)));
    context.on('request', (request) => {
      if (!/^(http:\/\/127\.0\.0\.1[:/]|data:|blob:|about:)/.test(request.url())) broken.push(request.url());
    });
    page = await context.newPage();
    for (const [i, mark] of marks.entries()) {
      const [name, [source, body, sign]] = sends(mark)[i] as [string, Send];
      const text = JSON.stringify(body);
      expect([name, await post(rig.url, source, text, sign(text))]).toMatchObject([
        name,
        { status: 202, body: { accepted: 1 } },
      ]);
      await until(async () => {
        const run = await rig.status(ID).catch(() => undefined);
        const all = run?.timeline.filter(({ kind, what }) => kind === 'alert' && what.includes(`${mark} `)) ?? [];
        if (run !== undefined && all.length > 0 && run.outcome !== undefined) told.set(mark, run);
        return told.has(mark);
      });
      const ladder = rig.client.workflow.getHandle(ladderOf(ID)); // else it would take in the next
      await until(() =>
        ladder.signal('takeOver', { by: 'approver' }).then(
          () => true,
          () => false, // it is not there yet
        ),
      );
      await ladder.result();
    }
  }, 240_000);
  afterAll(async () => {
    await browser.close();
    await endProcess(rig.stateDir, 'worker');
    await rig[Symbol.asyncDispose]();
  }, 60_000);

  /** Once their text is shown: no element of theirs but an address as a link to itself, no dialog, no request. */
  async function harmless(url: string, shown: Locator): Promise<void> {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await shown.first().waitFor();
    for (const frame of page.frames())
      expect(
        (
          await frame
            .locator('script, img, svg, a, [onfocus], [onerror], [onload], [autofocus]')
            .evaluateAll((all) => all.map((one) => String((one as { outerHTML: string }).outerHTML)))
        ).filter(
          (tag) => /^<(script>|[^>]*)(alert\(|127\.0\.0\.2)/.test(tag) && !/^<a [^>]*>http:\/\/127\.0\.0\.2/.test(tag),
        ),
      ).toEqual([]);
    expect(broken).toEqual([]);
  }
  const inTemporal = ({ workflowId, runId }: Status, tab: string): string =>
    `${rig.config.HOLDFAST_TEMPORAL_UI_URL}/namespaces/default/workflows/${workflowId}/${runId}/${tab}`;

  it('is text on the pages of the console', async () => {
    for (const [mark, run] of told) await harmless(rig.url + pathOf(run), page.getByText(`${mark} ${SHOWN}`));
  }, 120_000);

  it('is text on the start page, while the incident is open', async () => {
    const open = await rig.waiting({ summary: evil('open') });
    await harmless(rig.url, page.getByText(`open ${SHOWN}`));
    await rig.client.workflow.getHandle(open.workflowId).signal('takeOver', { by: 'approver' });
  }, 60_000);

  it('is text in the history that the Temporal UI shows', async () => {
    for (const [mark, run] of told) await harmless(inTemporal(run, 'history'), page.getByText(`${mark} ${SHOWN}`));
  }, 240_000);

  it('is text in what the Temporal UI shows as Markdown', async () => {
    const [run] = told.values();
    const markdown = page.locator('iframe').first().contentFrame();
    await harmless(inTemporal(run as Status, 'user-metadata'), markdown.getByText(`${ANSWER} ${SHOWN}`));
  }, 60_000);

  const breaks = (line: string): boolean => line.split('').some((char) => char < ' ' || char === '\u202e');

  it('is one line for each event in the log of the gateway', () => {
    expect(rig.logged.filter((line) => breaks(line) || line.startsWith('forged'))).toEqual([]);
  });

  it('is one line for each event in the log of the worker', () => {
    const lines = readFileSync(workerLog, 'utf8').trimEnd().split('\n');
    expect(lines.filter((line) => line.includes(`${ANSWER} ${SHOWN}`)).length).toBeGreaterThanOrEqual(marks.length);
    expect(lines.filter((line) => breaks(line) || line.startsWith('forged'))).toEqual([]);
  });
});
