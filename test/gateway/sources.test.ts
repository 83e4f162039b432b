import { Alert } from '../../src/contracts/index.ts';
import { alertmanager, sentry, webhook } from '../../src/gateway/sources/index.ts';
import { route } from '../../src/gateway/routing.ts';
import { bearer, group, runbooks, secrets, settings, signedAsWebhook, signedBySentry } from './rig.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const body = JSON.stringify({ name: 'HighErrorRate', service: 'shop', summary: 'Grüße – é' });

describe('alertmanager', () => {
  const read = (one: unknown) => alertmanager.normalise(one, new Headers());

  it.each([
    ['accepts the token', bearer, true],
    [
      'accepts the token under a lower-case scheme',
      { authorization: `bearer ${secrets.HOLDFAST_ALERTMANAGER_TOKEN}` },
      true,
    ],
    ['refuses another token', { authorization: 'Bearer a-bearer-tokeN' }, false],
    ['refuses a longer token', { authorization: `${bearer['authorization']}x` }, false],
    ['refuses the token without its scheme', { authorization: secrets.HOLDFAST_ALERTMANAGER_TOKEN }, false],
    ['refuses nothing', {}, false],
  ])('%s', (_, headers: Record<string, string>, expected) => {
    expect(alertmanager.verify(bytes('{}'), new Headers(headers), secrets.HOLDFAST_ALERTMANAGER_TOKEN)).toBe(expected);
  });

  it('makes an alert of each of a group, keyed by fingerprint and start', () => {
    const [alert] = read(group());
    expect(alert).toEqual({
      source: 'alertmanager',
      key: 'fingerprint-HighErrorRate-shop-1|2026-11-24T08:00:00.123Z',
      name: 'HighErrorRate',
      status: 'firing',
      severity: 'critical',
      service: 'shop',
      summary: 'every fifth request fails',
      startsAt: '2026-11-24T08:00:00.123Z',
      labels: { alertname: 'HighErrorRate', service: 'shop', instance: '1', severity: 'critical' },
      url: 'http://prometheus.example/graph',
    });
    expect(read(group({ status: 'resolved' }))).toMatchObject([{ key: alert?.key, status: 'resolved' }]);
  });

  it('takes a zero time for now', () => {
    const [alert] = read(group({ startsAt: '0001-01-01T00:00:00Z' }));
    expect(Date.now() - Date.parse(alert?.startsAt ?? '')).toBeLessThan(10_000);
    expect(alert?.key).toMatch(/\|0001-01-01T00:00:00Z$/);
  });

  it.each([
    ['null for the list of alerts', { alerts: null, groupKey: null }],
    ['an empty list', { alerts: [] }],
    ['Watchdog', group({ name: 'Watchdog' })],
  ])('finds nothing to do in %s', (_, one) => expect(read(one)).toEqual([]));

  it('takes nulls and nonsense in an alert for absent', () => {
    const nothing = { status: null, labels: null, annotations: 7, startsAt: 3, fingerprint: null, generatorURL: {} };
    const alerts = read({ groupKey: null, alerts: [nothing, {}] });
    expect(alerts).toHaveLength(2);
    for (const alert of alerts) {
      expect(Alert.safeParse(alert).error).toBeUndefined();
      expect(alert).toMatchObject({ name: 'unnamed alert', status: 'firing', severity: 'warning', labels: {} });
    }
  });

  it('says how many alerts Alertmanager cut off', () => {
    expect(read({ ...group(), truncatedAlerts: 12 })).toMatchObject([
      { labels: { truncated_alerts: '12' } },
      { name: 'AlertsTruncated', doubt: 'truncated', summary: expect.stringContaining('12 alerts') },
    ]);
  });

  it('keeps every text within the contract, and two long keys apart', () => {
    const long = '🔥'.repeat(3000);
    const labels = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}${long}`, long]));
    const huge = (end: string) =>
      read({
        groupKey: long,
        alerts: [{ labels: { alertname: `a${long}\u0000`, ...labels, end }, generatorURL: long }],
      });
    const [[one], [other]] = [huge('1'), huge('2')];
    expect(Alert.safeParse(one).error).toBeUndefined();
    expect(Object.keys(one?.labels ?? {})).toHaveLength(50);
    expect(Math.max(...Object.keys(one?.labels ?? {}).map((key) => key.length))).toBeLessThanOrEqual(100);
    expect(one?.name.isWellFormed()).toBe(true);
    expect(one?.key).not.toBe(other?.key);
  });

  it('refuses what is no body of its own', () => expect(() => read({ hello: 'world' })).toThrow());
});

describe('webhook', () => {
  const verify = (raw: Buffer, headers: Record<string, string>): boolean =>
    webhook.verify(raw, new Headers(headers), secrets.HOLDFAST_WEBHOOK_SECRET);
  const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

  it.each([
    ['accepts a good signature', bytes(body), signedAsWebhook(body), true],
    ['accepts one of several signatures', bytes(body), several(signedAsWebhook(body)), true],
    ['refuses a changed body', bytes(`${body} `), signedAsWebhook(body), false],
    ['accepts four minutes old', bytes(body), signedAsWebhook(body, { at: minutesAgo(4) }), true],
    ['refuses six minutes old', bytes(body), signedAsWebhook(body, { at: minutesAgo(6) }), false],
    ['refuses six minutes early', bytes(body), signedAsWebhook(body, { at: minutesAgo(-6) }), false],
    ['refuses another id', bytes(body), { ...signedAsWebhook(body), 'webhook-id': 'other' }, false],
    ['refuses no header', bytes(body), {}, false],
    ['refuses a nonsense signature', bytes(body), { ...signedAsWebhook(body), 'webhook-signature': 'v1' }, false],
    ['refuses bytes that only decode to the signed text', Buffer.from([0xff]), signedAsWebhook('\ufffd'), false],
  ])('%s', (_, raw, headers, expected) => expect(verify(raw, headers)).toBe(expected));

  it('makes one alert, known again by its id, or by name, service and start, or by the message', () => {
    const read = (more: object) =>
      webhook.normalise(
        { name: 'Slow', service: 'shop', summary: 'p95 3 s', ...more },
        new Headers({ 'webhook-id': 'm-1' }),
      );
    const startsAt = '2026-11-24T08:00:00Z';
    expect(read({ id: 'mine', startsAt, environment: 'production', severity: 'page' })).toEqual([
      {
        source: 'webhook',
        key: 'mine',
        name: 'Slow',
        status: 'firing',
        severity: 'critical',
        service: 'shop',
        environment: 'production',
        summary: 'p95 3 s',
        startsAt: '2026-11-24T08:00:00.000Z',
        labels: {},
      },
    ]);
    expect(read({ id: 'mine:resolved', status: 'resolved' })).toMatchObject([{ key: 'mine', status: 'resolved' }]);
    expect(read({ id: null, startsAt, labels: { a: 1, b: null } })).toMatchObject([
      { key: `Slow|shop||${startsAt}`, labels: { a: '1' } },
    ]);
    expect(read({ status: 'resolved' })).toMatchObject([{ key: 'm-1', status: 'resolved' }]);
    expect(() => read({ status: 'maybe' })).toThrow();
    expect(() => read({ name: 7 })).toThrow();
  });
});

/** A key is being replaced: the sender signs with the old and the new. */
function several(headers: Record<string, string>): Record<string, string> {
  return { ...headers, 'webhook-signature': `v2,AAAA v1,AAAA ${headers['webhook-signature']}` };
}

describe('sentry', () => {
  const read = (resource: string, one: unknown) =>
    sentry.normalise(one, new Headers({ 'sentry-hook-resource': resource }));
  const event = {
    event_id: 'e1',
    issue_id: '77',
    title: 'TypeError: total is not a function',
    level: 'error',
    environment: null,
    project: 12,
    url: 'https://sentry.example/api/0/projects/acme/web-shop/events/e1/',
    web_url: 'https://sentry.example/organizations/acme/issues/77/events/e1/',
    datetime: '2026-11-24T08:00:00.000000Z',
    tags: [
      ['environment', 'production'],
      ['release', 'v2'],
      ['level', null],
    ],
  };
  const issue = {
    id: '77',
    title: 'TypeError',
    level: 'fatal',
    project: { id: '12', name: 'Web shop', slug: 'web-shop' },
    permalink: 'https://sentry.example/issues/77/',
    firstSeen: '2026-11-24T08:00:00Z',
    lastSeen: '2026-11-24T09:00:00Z',
  };

  it('checks the signature over the raw bytes, valid UTF-8 or not', () => {
    const check = (raw: Uint8Array, signed: Uint8Array): boolean =>
      sentry.verify(
        Buffer.from(raw),
        new Headers(signedBySentry(signed, 'issue')),
        secrets.HOLDFAST_SENTRY_CLIENT_SECRET,
      );
    expect(check(bytes(body), bytes(body))).toBe(true);
    expect(check(Buffer.from([0xff, 0x7b]), Buffer.from([0xff, 0x7b]))).toBe(true);
    expect(check(Buffer.from([0xff]), bytes('\ufffd'))).toBe(false);
    expect(check(bytes(JSON.stringify(JSON.parse(body), null, 1)), bytes(body))).toBe(false);
    expect(sentry.verify(bytes(body), new Headers(), secrets.HOLDFAST_SENTRY_CLIENT_SECRET)).toBe(false);
  });

  it('makes an alert of an alert rule on events', () => {
    const action = {
      action: 'triggered',
      data: { event, triggered_rule: 'HighErrorRate' },
      installation: { uuid: 'u' },
    };
    expect(read('event_alert', action)).toEqual([
      {
        source: 'sentry',
        key: 'event_alert|HighErrorRate|e1',
        name: 'HighErrorRate',
        status: 'firing',
        severity: 'critical',
        service: 'web-shop',
        environment: 'production',
        summary: 'TypeError: total is not a function',
        startsAt: '2026-11-24T08:00:00.000Z',
        labels: {
          alertname: 'HighErrorRate',
          resource: 'event_alert',
          project: 'web-shop',
          environment: 'production',
          release: 'v2',
        },
        url: event.web_url,
      },
    ]);
  });

  it('makes an alert of an error', () => {
    expect(read('error', { action: 'created', data: { error: { ...event, tags: 'none' } } })).toMatchObject([
      { key: 'error||e1', name: 'SentryError', service: 'web-shop', labels: { project: 'web-shop' } },
    ]);
  });

  it('makes an alert of a metric alert, resolved when it says so', () => {
    const metric_alert = {
      id: '5',
      title: 'Too many errors',
      date_started: '2026-11-24T08:00:00Z',
      projects: ['web-shop'],
      alert_rule: { name: 'HighErrorRate', environment: 'production' },
    };
    const data = { metric_alert, description_title: 'Critical: Too many errors', description_text: '1000 events' };
    const key = 'metric_alert|5|2026-11-24T08:00:00Z';
    expect(read('metric_alert', { action: 'critical', data })).toMatchObject([
      { key, name: 'HighErrorRate', severity: 'critical', summary: 'Critical: Too many errors: 1000 events' },
    ]);
    expect(read('metric_alert', { action: 'warning', data })).toMatchObject([{ key, severity: 'warning' }]);
    expect(read('metric_alert', { action: 'resolved', data })).toMatchObject([{ key, status: 'resolved' }]);
  });

  it('makes an alert of an issue that is new or came back, and resolves it', () => {
    const of = (action: string) => read('issue', { action, data: { issue } });
    expect(of('created')).toMatchObject([
      { key: 'issue|77', status: 'firing', service: 'web-shop', severity: 'critical' },
    ]);
    for (const over of ['resolved', 'archived', 'ignored'])
      expect(of(over)).toMatchObject([{ key: 'issue|77', status: 'resolved' }]);
    expect(of('unresolved')).toMatchObject([
      { key: 'issue|77', status: 'firing', startsAt: '2026-11-24T09:00:00.000Z' },
    ]);
    expect(of('assigned')).toEqual([]);
  });

  it.each([
    ['an event by its tag', 'event_alert', { event: { ...event, tags: [['sample_event', 'yes']] } }],
    ['an event by its level', 'error', { error: { ...event, level: 'sample' } }],
    ['an issue by its level', 'issue', { issue: { ...issue, level: 'sample' } }],
  ])("sends Sentry's sample to a person, whatever the routes say: %s", (_, resource, data) => {
    const routes = [{ match: {}, service: 'shop', environment: 'production', runbook: 'high-error-rate' }];
    const to = read(resource, { action: 'created', data }).map((one) => route(one, { ...settings, routes }, runbooks));
    expect(to).toMatchObject([{ type: 'triage' }]);
  });

  it.each(['installation', 'comment', 'seer', ''])('finds nothing to do in "%s"', (resource) =>
    expect(read(resource, { action: 'created', data: {} })).toEqual([]),
  );

  it('refuses a resource without its body', () => expect(() => read('issue', { action: 'created' })).toThrow());
});
