import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Alert } from '../../src/contracts/index.ts';
import { route } from '../../src/gateway/routing.ts';
import { github, grafana, pagerduty } from '../../src/gateway/sources/index.ts';
import { runbooks, settings } from './rig.ts';

const SECRET = 'a-shared-secret';
const bytes = (text: string): Buffer => Buffer.from(text);
const hmac = (text: string): string => createHmac('sha256', SECRET).update(text).digest('hex');
const body = JSON.stringify({ text: 'Grüße – é' });
const seconds = (ago = 0): string => String(Math.floor(Date.now() / 1000) - ago);

describe('grafana', () => {
  const read = (one: unknown) => grafana.normalise(one, new Headers());
  const group = (labels: object, annotations: object = { summary: 'p95 is 3 s' }, more: object = {}) => ({
    receiver: 'holdfast',
    status: 'firing',
    orgId: 1,
    alerts: [
      {
        status: 'firing',
        labels: { service: 'shop', severity: 'critical', grafana_folder: 'Shop', ...labels },
        annotations,
        startsAt: '2026-11-24T08:00:00Z',
        endsAt: '0001-01-01T00:00:00Z',
        values: { B: 22 },
        generatorURL: 'https://grafana.example/alerting/grafana/rule/view',
        fingerprint: 'c6eadffa33fcdf37',
        silenceURL: 'https://grafana.example/alerting/silence/new',
        dashboardURL: '',
        panelURL: '',
        valueString: "[ var='B' labels={} value=22 ]",
      },
    ],
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
    externalURL: 'https://grafana.example/',
    version: '1',
    groupKey: '{}:{alertname="HighErrorRate"}',
    truncatedAlerts: 0,
    title: '[FIRING:1] HighErrorRate',
    state: 'alerting',
    message: '**Firing**',
    ...more,
  });

  it.each([
    ['accepts the signature of the body', { 'x-grafana-alerting-signature': hmac(body) }, true],
    [
      'accepts the signature of time and body',
      {
        'x-grafana-alerting-signature': hmac(`${seconds()}:${body}`),
        'x-grafana-alerting-timestamp': seconds(),
      },
      true,
    ],
    [
      'refuses an old one',
      {
        'x-grafana-alerting-signature': hmac(`${seconds(600)}:${body}`),
        'x-grafana-alerting-timestamp': seconds(600),
      },
      false,
    ],
    [
      'refuses a time that was not signed',
      { 'x-grafana-alerting-signature': hmac(body), 'x-grafana-alerting-timestamp': seconds() },
      false,
    ],
    ['refuses another signature', { 'x-grafana-alerting-signature': hmac(`${body} `) }, false],
    ['refuses none', {}, false],
  ])('%s', (_, headers: Record<string, string>, expected) =>
    expect(grafana.verify(bytes(body), new Headers(headers), SECRET)).toBe(expected),
  );

  it('makes an alert of each of a group', () => {
    expect(read(group({ alertname: 'HighErrorRate' }))).toMatchObject([
      { source: 'grafana', name: 'HighErrorRate', service: 'shop', severity: 'critical', summary: 'p95 is 3 s' },
    ]);
    expect(read(group({ alertname: 'HighErrorRate' }))[0]).not.toHaveProperty('doubt');
  });

  it.each([
    ['no data', group({ alertname: 'DatasourceNoData', rulename: 'HighErrorRate' })],
    ['a broken query', group({ alertname: 'DatasourceError', rulename: 'HighErrorRate' })],
    ['a rule that alerts without data', group({ alertname: 'HighErrorRate' }, { grafana_state_reason: 'NoData' })],
    ['a custom payload without a name', { title: 'Something', state: 'alerting' }],
    ['a custom payload without data', { name: 'HighErrorRate', service: 'shop', state: 'nodata' }],
  ])('sends %s to a person, whatever the routes say', (_, one) => {
    const routes = [{ match: {}, service: 'shop', environment: 'production', runbook: 'high-error-rate' }];
    const [alert] = read(one).map((each) => Alert.parse(each));
    expect(route(alert as Alert, { ...settings, routes }, runbooks)).toMatchObject({ type: 'triage' });
  });

  it('finds nothing to do in the alert of the test button', () =>
    expect(read(group({ alertname: 'TestAlert', instance: 'Grafana' }))).toEqual([]));

  it('reads a custom payload, resolved too', () => {
    const custom = { name: 'HighErrorRate', service: 'shop', id: '7', message: 'bad' };
    expect(read({ ...custom, state: 'alerting' })).toMatchObject([
      { name: 'HighErrorRate', key: 'custom|7|', service: 'shop', summary: 'bad', status: 'firing' },
    ]);
    expect(read({ ...custom, state: 'ok' })).toMatchObject([{ key: 'custom|7|', status: 'resolved' }]);
  });

  it('refuses what is no object', () => expect(() => read(7)).toThrow());
});

describe('pagerduty', () => {
  const read = (one: unknown) => pagerduty.normalise(one, new Headers());
  const event = (type: string, data: object = {}) => ({
    event: {
      id: '01BVLS6Y',
      event_type: type,
      resource_type: 'incident',
      occurred_at: '2026-11-24T08:00:00.000Z',
      agent: { id: 'PLH1HKV', type: 'user_reference', summary: 'Jo' },
      client: null,
      data: {
        id: 'PGR0VU2',
        type: 'incident',
        html_url: 'https://acme.pagerduty.example/incidents/PGR0VU2',
        number: 2,
        status: 'triggered',
        incident_key: 'd3640fbd41094207a1c11e58e46b1662',
        title: 'A little bump in the road',
        service: { id: 'PF9KMXH', summary: 'Web Shop', type: 'service_reference' },
        assignees: [],
        teams: null,
        priority: { id: 'PSO75BM', summary: 'P1', type: 'priority_reference' },
        urgency: 'high',
        conference_bridge: null,
        resolve_reason: null,
        ...data,
      },
    },
  });

  it('accepts a body that one of several signatures is of', () => {
    const verify = (signature: string): boolean =>
      pagerduty.verify(bytes(body), new Headers({ 'x-pagerduty-signature': signature }), SECRET);
    expect(verify(`v1=${hmac(body)}`)).toBe(true);
    expect(verify(`v1=${'0'.repeat(64)},v1=${hmac(body)}`)).toBe(true);
    for (const wrong of ['', hmac(body), `v2=${hmac(body)}`, `v1=${hmac(`${body} `)}`])
      expect(verify(wrong)).toBe(false);
  });

  it('makes an alert of an incident that is triggered or reopened, and ends it', () => {
    expect(read(event('incident.triggered'))).toMatchObject([
      {
        key: 'PGR0VU2',
        name: 'PagerDutyIncident',
        service: 'web-shop',
        severity: 'critical',
        summary: 'A little bump in the road',
        labels: { title: 'A little bump in the road', urgency: 'high', pagerduty_service: 'Web Shop', priority: 'P1' },
      },
    ]);
    expect(read(event('incident.reopened'))).toMatchObject([{ key: 'PGR0VU2', status: 'firing' }]);
    expect(read(event('incident.resolved'))).toMatchObject([{ key: 'PGR0VU2', status: 'resolved' }]);
    expect(read(event('incident.triggered', { priority: null, service: null, urgency: 'low' }))).toMatchObject([
      { severity: 'info' },
    ]);
  });

  it.each([
    ['an acknowledgement', event('incident.acknowledged')],
    ['a note', event('incident.annotated')],
    [
      "an incident of Holdfast's own",
      event('incident.triggered', { incident_key: 'holdfast|incident.shop.triage|r|1' }),
    ],
    [
      'a ping',
      { event: { event_type: 'pagey.ping', resource_type: 'pagey', data: { message: 'Hello', type: 'ping' } } },
    ],
  ])('finds nothing to do in %s', (_, one) => expect(read(one)).toEqual([]));
});

describe('github', () => {
  const read = (event: string, one: unknown) => github.normalise(one, new Headers({ 'x-github-event': event }));
  const repository = { id: 1, name: 'shop', full_name: 'acme/shop', default_branch: 'main' };
  const status = (state: string) => ({
    action: 'created',
    deployment_status: {
      id: 9,
      state,
      description: '',
      environment: 'Production',
      target_url: '',
      log_url: 'https://github.example/acme/shop/actions/runs/1',
      created_at: '2026-11-24T08:00:00Z',
    },
    deployment: { id: 145988746, ref: 'v3', sha: 'a10867b14bb7', environment: 'Production', task: 'deploy' },
    repository,
  });
  const run = (conclusion: string | null, more: object = {}) => ({
    action: 'completed',
    workflow_run: {
      id: 289782451,
      name: 'CI',
      head_branch: 'main',
      head_sha: 'acb5820ced94',
      event: 'push',
      status: 'completed',
      conclusion,
      html_url: 'https://github.example/acme/shop/actions/runs/289782451',
      run_started_at: '2026-11-24T08:00:00Z',
      head_repository: { full_name: 'acme/shop' },
      ...more,
    },
    repository,
  });

  it('checks the signature over the raw bytes', () => {
    const verify = (signature: string): boolean =>
      github.verify(bytes(body), new Headers({ 'x-hub-signature-256': signature }), SECRET);
    expect(verify(`sha256=${hmac(body)}`)).toBe(true);
    for (const wrong of ['', hmac(body), `sha256=${hmac('{}')}`]) expect(verify(wrong)).toBe(false);
  });

  it.each([
    ['failure', 'firing'],
    ['error', 'firing'],
    ['success', 'resolved'],
  ])('makes of a deployment with %s an alert that is %s', (state, expected) => {
    expect(read('deployment_status', status(state))).toMatchObject([
      {
        key: 'deployment|acme/shop|145988746',
        name: 'FailedDeployment',
        status: expected,
        service: 'shop',
        environment: 'production',
        summary: `deployment of v3 to Production: ${state}`,
      },
    ]);
  });

  it('makes an alert of a workflow that failed on the default branch, and ends it when its next attempt succeeds', () => {
    expect(read('workflow_run', run('failure'))).toMatchObject([
      {
        key: 'workflow_run|acme/shop|289782451',
        name: 'FailedWorkflow',
        status: 'firing',
        summary: 'CI on main: failure',
      },
    ]);
    expect(read('workflow_run', run('success'))).toMatchObject([
      { key: 'workflow_run|acme/shop|289782451', status: 'resolved' },
    ]);
  });

  it.each([
    ['a ping', 'ping', { zen: 'Keep it logically awesome.', hook_id: 1 }],
    ['a deployment under way', 'deployment_status', status('in_progress')],
    [
      'a deployment of its own, which it has told of already',
      'deployment_status',
      { ...status('failure'), deployment: { id: 1, ref: 'v3', payload: { holdfast: 'deployment.shop.production/1' } } },
    ],
    ['a workflow of another branch', 'workflow_run', run('failure', { head_branch: 'mine' })],
    [
      "a workflow of a fork's main branch",
      'workflow_run',
      run('failure', { head_repository: { full_name: 'x/shop' } }),
    ],
    ['a cancelled workflow', 'workflow_run', run('cancelled')],
    ['a workflow without a conclusion', 'workflow_run', run(null)],
    ['a push', 'push', {}],
  ])('finds nothing to do in %s', (_, event, one) => expect(read(event, one)).toEqual([]));

  const Example = z.looseObject({
    deployment_status: z.looseObject({}).nullish(),
    workflow_run: z.looseObject({}).nullish(),
  });
  const published = z
    .array(z.object({ name: z.string(), examples: z.array(Example) }))
    .parse(JSON.parse(readFileSync(require.resolve('@octokit/webhooks-examples'), 'utf8')));
  const told = (change = (one: z.output<typeof Example>) => one): string[] =>
    published.flatMap(({ name, examples }) =>
      examples.flatMap((one) => read(name, change(one)).map((alert) => Alert.parse(alert).status)),
    );

  it('reads every example that GitHub publishes of its events, and what they would be had they failed', () => {
    expect(told()).toEqual(Array.from({ length: 5 }, () => 'resolved'));
    const failed = told(({ deployment_status: deployment, workflow_run: run, ...one }) => ({
      ...one,
      ...(deployment && { deployment_status: { ...deployment, state: 'failure' } }),
      ...(run && { workflow_run: { ...run, conclusion: 'timed_out' } }),
    }));
    expect(failed).toEqual(Array.from({ length: 6 }, () => 'firing')); // one was under way
  });
});
