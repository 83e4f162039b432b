import { createHmac } from 'node:crypto';
import { createActivities, env } from '../../activities/open-alerts.ts';
import { Settings, type OpenAtSources } from '../../src/contracts/index.ts';
import { alertmanager } from '../../src/gateway/sources/alertmanager.ts';
import { failsAsDeclared, refusesNonsense, serving, type Answer, type Asked } from './http-server.ts';
import { brokenRules, contractIsAtHand } from './sentry-contract.ts';
import { settings } from './settings.ts';

const nothing: OpenAtSources = { open: [], told: [], gone: [] };
const asking = Settings.parse({
  ...settings,
  services: [
    {
      name: 'shop',
      environments: { production: { url: 'http://127.0.0.1:1', errors: { project: 'shop', openIssues: true } } },
    },
    { name: 'mail', environments: { production: { url: 'http://127.0.0.1:1', errors: { project: 'mail' } } } },
  ],
});

const issue = (id: string, substatus: string, status = 'unresolved') => ({
  id,
  substatus,
  status,
  title: `Error ${id}`,
  level: 'error',
  project: { id: '1', name: 'shop', slug: 'shop', platform: 'node' },
  permalink: `https://acme.sentry.io/issues/${id}/`,
  firstSeen: '2026-11-24T09:00:00.000000Z',
  lastSeen: '2026-11-24T09:05:00Z',
});
const alert = (name: string, state = 'active') => ({
  fingerprint: `of-${name}`,
  startsAt: '2026-11-24T08:00:00.123Z',
  endsAt: '2026-11-24T09:00:00.123Z',
  updatedAt: '2026-11-24T08:00:00.123Z',
  labels: { alertname: name, service: 'shop' },
  annotations: { summary: 'every fifth request fails' },
  receivers: [{ name: 'holdfast' }],
  status: { state, inhibitedBy: [], silencedBy: [] },
});

/** A server that is Alertmanager, Sentry and the gateway at once. */
async function world(answers: {
  groups?: Answer;
  alerts?: Answer;
  startedAt?: string;
  issues?: Answer;
  issue?: Answer;
  gateway?: Answer;
}) {
  const asked: Asked[] = [];
  const server = await serving((request) => {
    asked.push(request);
    if (request.method === 'POST') return answers.gateway ?? { status: 202, body: { accepted: 1 } };
    if (request.url.pathname === '/api/v2/status')
      return { body: { uptime: answers.startedAt ?? '2026-11-24T00:00:00.123Z' } };
    if (request.url.pathname === '/api/v2/alerts') return answers.alerts ?? { body: [] };
    if (request.url.pathname.startsWith('/api/v2/')) return answers.groups ?? { body: [] };
    if (request.url.pathname.endsWith('/issues/')) return answers.issues ?? { body: [] };
    return answers.issue ?? { status: 404 };
  });
  const { hostname, port } = new URL(server.url);
  const { tellOpenAlerts } = createActivities(
    env.parse({
      HOLDFAST_GATEWAY_HOST: hostname,
      HOLDFAST_GATEWAY_PORT: port,
      ALERTMANAGER_URL: server.url,
      HOLDFAST_ALERTMANAGER_TOKEN: 'gateway-token',
      SENTRY_URL: server.url,
      SENTRY_AUTH_TOKEN: 'token',
      SENTRY_ORG: 'acme',
      HOLDFAST_SENTRY_CLIENT_SECRET: 'client-secret',
    }),
    asking,
  );
  const ask = (before: OpenAtSources) => tellOpenAlerts?.(before);
  /** Once after the other, each with what the one before it found. */
  const askTimes = async (times: number, before: OpenAtSources): Promise<OpenAtSources | undefined> =>
    times === 0 ? before : await askTimes(times - 1, (await ask(before)) ?? nothing);
  return { asked, ask, askTimes, posted: () => asked.filter(({ method }) => method === 'POST'), answers, ...server };
}

it('tells what was open at the time before and still is, once, as the webhook of its source would', async () => {
  const groups = {
    body: [{ labels: {}, receiver: { name: 'holdfast' }, alerts: [alert('HighErrorRate'), alert('Watchdog')] }],
  };
  const issues = { body: [issue('1', 'new'), issue('2', 'ongoing'), issue('3', 'regressed')] };
  await using it = await world({ groups, issues });
  const first = await it.ask(nothing);
  expect(first).toEqual({
    open: ['alertmanager:of-HighErrorRate:2026-11-24T08:00:00.123Z', 'sentry:1:created', 'sentry:3:unresolved'],
    told: [],
    gone: [],
  });
  expect(it.posted()).toEqual([]);
  const second = await it.ask(first ?? nothing);
  expect(second).toEqual({ open: first?.open, told: first?.open, gone: [] });
  expect(await it.ask(second ?? nothing)).toEqual(second);

  const [fromAlertmanager, created, unresolved] = it.posted();
  expect(it.posted()).toHaveLength(3);
  expect(fromAlertmanager?.url.pathname).toBe('/alerts/alertmanager');
  expect(fromAlertmanager?.headers.authorization).toBe('Bearer gateway-token');
  expect(JSON.parse(fromAlertmanager?.body ?? '')).toMatchObject({
    version: '4',
    alerts: [{ fingerprint: 'of-HighErrorRate', status: 'firing', labels: { service: 'shop' } }],
  });
  expect(created?.url.pathname).toBe('/alerts/sentry');
  expect(created?.headers).toMatchObject({
    'sentry-hook-resource': 'issue',
    'sentry-hook-signature': createHmac('sha256', 'client-secret')
      .update(created?.body ?? '')
      .digest('hex'),
  });
  expect(JSON.parse(created?.body ?? '')).toMatchObject({ action: 'created', data: { issue: { id: '1' } } });
  expect(JSON.parse(unresolved?.body ?? '')).toMatchObject({ action: 'unresolved', data: { issue: { id: '3' } } });
});

const FIRED = 'of-HighErrorRate:2026-11-24T08:00:00.123Z';
const fired = { open: [`alertmanager:${FIRED}`], told: [`alertmanager:${FIRED}`], gone: [] };
const unlisted = { open: ['sentry:1:created'], told: ['sentry:1:created'], gone: [] };
const group = (...alerts: object[]) => ({ body: [{ labels: {}, receiver: { name: 'holdfast' }, alerts }] });

it('tells that an alert has resolved when two readings in a row miss it, once', async () => {
  await using it = await world({});
  const once = await it.ask(fired);
  expect(once).toEqual({ open: [], told: fired.told, gone: fired.open });
  expect(it.posted()).toEqual([]);
  expect(await it.askTimes(2, once ?? nothing)).toEqual(nothing);
  expect(it.posted()).toHaveLength(1);
  expect(it.posted()[0]?.url.pathname).toBe('/alerts/alertmanager');
  const [told] = alertmanager.normalise(JSON.parse(it.posted()[0]?.body ?? ''), new Headers());
  const [asFired] = alertmanager.normalise(
    { alerts: [{ ...alert('HighErrorRate'), status: 'firing', startsAt: '2026-11-24T08:00:00.123456789Z' }] },
    new Headers(),
  );
  expect(told).toMatchObject({ status: 'resolved', key: asFired?.key });
});

it('does not tell that an alert has resolved which fires on for a receiver of another name', async () => {
  await using it = await world({ alerts: { body: [alert('HighErrorRate')] } });
  expect(await it.askTimes(4, fired)).toEqual({ open: [], told: fired.told, gone: fired.open });
  expect(it.posted()).toEqual([]);
});

it('takes nothing for gone at an Alertmanager that has been started within five minutes', async () => {
  const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();
  await using it = await world({ startedAt: ago(290) });
  expect(await it.askTimes(3, fired)).toEqual(fired);
  it.answers.startedAt = ago(301);
  expect(await it.askTimes(2, fired)).toEqual(nothing);
});

it('counts what it had missed once, and is back, as open', async () => {
  await using it = await world({});
  const once = await it.ask(fired);
  it.answers.groups = group(alert('HighErrorRate'));
  expect(await it.ask(once ?? nothing)).toEqual(fired);
  expect(it.posted()).toEqual([]);
});

it('takes what is silenced for open, and tells nobody of it', async () => {
  await using it = await world({ groups: group(alert('HighErrorRate', 'suppressed'), alert('Other', 'suppressed')) });
  expect(await it.askTimes(3, fired)).toEqual(fired);
  expect(it.posted()).toEqual([]);
});

it('tells that it has resolved again until the gateway takes it', async () => {
  await using it = await world({ gateway: { status: 503 } });
  const missed = await it.askTimes(3, fired);
  expect(missed).toEqual({ open: [], told: fired.told, gone: fired.open });
  it.answers.gateway = { status: 202 };
  expect(await it.ask(missed ?? nothing)).toEqual(nothing);
});

it.each([
  ['resolved', 'resolved'],
  ['ignored', 'archived'],
])('tells of an issue that Sentry has %s that it is %s', async (status, action) => {
  await using it = await world({ issue: { body: issue('1', 'ongoing', status) } });
  expect(await it.askTimes(2, unlisted)).toEqual(nothing);
  expect(it.posted()).toHaveLength(1);
  expect(it.posted()[0]?.headers['sentry-hook-signature']).toBe(
    createHmac('sha256', 'client-secret')
      .update(it.posted()[0]?.body ?? '')
      .digest('hex'),
  );
  expect(JSON.parse(it.posted()[0]?.body ?? '')).toMatchObject({
    action,
    data: { issue: { id: '1', project: { slug: 'shop' } } },
  });
});

it.each<[string, Answer]>([
  ['has just not been seen lately', { body: issue('1', 'ongoing') }],
  ['cannot be read', { status: 503 }],
])('does not tell that an issue is over which %s', async (_, answer) => {
  await using it = await world({ issue: answer });
  expect(await it.askTimes(3, unlisted)).toEqual({ open: [], told: unlisted.told, gone: unlisted.open });
  expect(it.posted()).toEqual([]);
});

it('asks about at most ten missing issues at a time, each in its turn', async () => {
  await using it = await world({ issue: { body: issue('1', 'ongoing') } });
  const open = Array.from({ length: 15 }, (_, i) => `sentry:${i}:created`);
  await it.askTimes(3, { open, told: [], gone: [] });
  const about = it.asked.flatMap(({ url }) => /issues\/(\d+)\//.exec(url.pathname)?.[1] ?? []);
  expect(about).toHaveLength(20);
  expect(new Set(about).size).toBe(15);
});

it.each<[string, { issues: Answer }]>([
  ['does not answer', { issues: { status: 503 } }],
  ['lists no more than it does at most', { issues: { body: Array.from({ length: 100 }, () => issue('9', 'new')) } }],
])('takes nothing for gone of a source that %s', async (_, answers) => {
  await using it = await world({ ...answers, issue: { body: issue('1', 'ongoing', 'resolved') } });
  const { open = [], gone } = (await it.askTimes(3, unlisted)) ?? {};
  expect(open).toContain('sentry:1:created');
  expect(gone).toEqual([]);
  const twice = (await it.askTimes(3, { open: [], told: [], gone: unlisted.open })) ?? nothing;
  expect(twice.gone).toEqual(unlisted.open);
  expect(it.posted().filter(({ body }) => body.includes('"resolved"'))).toEqual([]);
});

it('keeps no more names than two hundred, whatever is listed and missing', async () => {
  const many = Array.from({ length: 150 }, (_, i) => alert(`A${i}`));
  await using it = await world({ groups: group(...many) });
  const first = await it.ask(nothing);
  it.answers.groups = group(
    ...many.slice(75),
    ...many.map((one) => ({ ...one, fingerprint: `other-${one.fingerprint}` })),
  );
  const { open = [], told = [], gone = [] } = (await it.ask(first ?? nothing)) ?? {};
  expect(open.length + gone.length).toBe(100);
  expect(gone).toHaveLength(50);
  expect(told.length).toBeLessThanOrEqual(100);
});

it('tells again what the gateway did not take', async () => {
  await using it = await world({ issues: { body: [issue('1', 'new')] }, gateway: { status: 503 } });
  const open = ['sentry:1:created'];
  expect(await it.ask({ open, told: [] })).toEqual({ open, told: [], gone: [] });
  it.answers.gateway = { status: 202 };
  expect(await it.ask({ open, told: [] })).toEqual({ open, told: open, gone: [] });
});

it('asks Alertmanager for what it would send to the receiver, and Sentry for the projects that ask for it', async () => {
  await using it = await world({});
  await it.ask(nothing);
  const asked = (path: string) => it.asked.filter(({ url }) => url.pathname.endsWith(path));
  const sentry = asked('/issues/');
  expect(asked('/alerts/groups')[0]?.url.search).toBe('?receiver=%5Eholdfast%24');
  expect(sentry).toHaveLength(1);
  expect(sentry[0]?.url.searchParams.get('project')).toBe('shop');
});

(contractIsAtHand ? it : it.skip)('asks Sentry as its published contract says', async () => {
  await using it = await world({ issues: { body: [issue('1', 'new')] }, issue: { body: issue('2', 'ongoing') } });
  await it.ask({ open: [], told: [], gone: ['sentry:2:created'] });
  const urlOf = (path: string): URL =>
    it.asked.find(({ url }) => url.pathname.endsWith(path))?.url ?? new URL('http://none');
  expect(brokenRules(urlOf('/issues/'), [issue('1', 'new')])).toEqual([]);
  expect(brokenRules(urlOf('/issues/2/'), issue('2', 'ongoing'))).toEqual([]);
});

it('is no activity where no source is configured', () => {
  expect(createActivities(env.parse({ ALERTMANAGER_URL: 'http://127.0.0.1:1' }), settings)).toEqual({});
});

describe('as any provider', () => {
  const call = (url: string) =>
    createActivities(
      env.parse({ ALERTMANAGER_URL: url, HOLDFAST_ALERTMANAGER_TOKEN: 'gateway-token' }),
      settings,
    ).tellOpenAlerts?.(nothing) ?? Promise.resolve();
  failsAsDeclared(call);
  refusesNonsense(call);
});
