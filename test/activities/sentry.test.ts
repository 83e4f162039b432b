import { createActivities, env, nextCursor } from '../../activities/sentry.ts';
import { failsAsDeclared, refusesNonsense, serving, type Answer, type Asked } from './http-server.ts';
import { brokenRules, contractIsAtHand } from './sentry-contract.ts';
import { settings } from './settings.ts';

const tracker = (url: string) =>
  createActivities(env.parse({ SENTRY_URL: url, SENTRY_AUTH_TOKEN: 'token', SENTRY_ORG: 'acme' }), settings);
const window = { service: 'shop', environment: 'production', windowSeconds: 300 };

const READINGS = ['errorPatterns', 'affectedUsers', 'errorCount', 'topStackTrace', 'errorCorrelations'] as const;

const issue = (id: string, title: string, count: string) => ({
  id,
  title,
  count,
  userCount: 7,
  culprit: 'checkout',
  permalink: `https://acme.sentry.io/issues/${id}/`,
  firstSeen: '2026-11-24T09:00:00.000000Z',
  lastSeen: '2026-11-24T09:05:00Z',
});
const event = (user: string, release: string, flag: string) => ({
  eventID: user,
  user: { id: user, email: null },
  tags: [
    { key: 'release', value: release },
    { key: 'flag.express-checkout', value: flag },
  ],
  dateCreated: '2026-11-24T09:04:00Z',
  contexts: { flags: { values: [{ flag: 'new-prices', result: true }] } },
});
const frame = (name: string, lineNo: number, inApp: boolean) => ({
  function: name,
  filename: 'src/cart.ts',
  lineNo,
  inApp,
});

/** A shop with a frequent error that is new in v2, a rare one that is older, and the answers in Sentry's shape. */
const API = '/api/0/organizations/acme';
const ANSWERS: Record<string, Answer> = {
  [`${API}/issues/`]: { body: [issue('1', "TypeError: reading 'price'", '90'), issue('2', 'Error: timeout', '10')] },
  [`${API}/issues/1/`]: { body: { id: '1', firstRelease: { version: 'shop@v2' } } },
  [`${API}/issues/2/`]: { body: { id: '2', firstRelease: null } },
  [`${API}/issues/1/events/`]: {
    body: [event('a', 'shop@v2', 'on'), event('b', 'shop@v2', 'on')],
    headers: {
      link: '<https://sentry.io/a/>; rel="previous"; results="false"; cursor="0:0:1", <https://sentry.io/b/>; rel="next"; results="true"; cursor="0:25:0"',
    },
  },
  [`${API}/issues/1/events/?0:25:0`]: { body: [event('a', 'shop@v2', 'on')] },
  [`${API}/issues/2/events/`]: { body: [event('c', 'shop@v1', 'false')] },
  [`${API}/issues/1/events/latest/`]: {
    body: {
      id: 'e',
      entries: [
        { type: 'breadcrumbs', data: { values: [{ message: 'x' }] } },
        {
          type: 'exception',
          data: {
            values: [
              { type: 'Error', value: 'the cause', stacktrace: { frames: [frame('cause', 1, true)] } },
              {
                type: 'TypeError',
                value: "reading 'price'",
                stacktrace: { frames: [frame('main', 3, true), frame('total', 14, true), frame('map', 5, false)] },
              },
            ],
          },
        },
      ],
    },
  },
  [`${API}/events/`]: { body: { data: [{ 'count_unique(user)': 41, 'count()': 100 }], meta: { fields: {} } } },
};

const shop = async () => {
  const asked: Asked[] = [];
  const broken: string[] = [];
  const server = await serving((request) => {
    asked.push(request);
    const cursor = request.url.searchParams.get('cursor');
    const answer = ANSWERS[request.url.pathname + (cursor === null ? '' : `?${cursor}`)];
    broken.push(...brokenRules(request.url, answer?.body));
    return answer ?? { status: 404 };
  });
  return { ...server, asked, broken };
};

it('names the errors of the window, and those that the release brought', async () => {
  await using sentry = await shop();
  const patterns = await tracker(sentry.url).errorPatterns({ ...window, release: 'v2' });
  expect(patterns).toMatchObject([
    { title: "TypeError: reading 'price'", count: 90, firstRelease: 'shop@v2', newInRelease: true },
    { title: 'Error: timeout', count: 10, newInRelease: false, url: 'https://acme.sentry.io/issues/2/' },
  ]);
  expect(Object.fromEntries(sentry.asked[0]?.url.searchParams ?? [])).toMatchObject({
    project: 'shop',
    environment: 'production',
    statsPeriod: '300s',
    sort: 'freq',
  });
  expect(sentry.asked.every(({ headers }) => headers.authorization === 'Bearer token')).toBe(true);
});

it('calls nothing new when another release runs or none is asked about', async () => {
  await using sentry = await shop();
  for (const asked of [{ ...window, release: 'shop@v3' }, window])
    expect((await tracker(sentry.url).errorPatterns(asked)).some(({ newInRelease }) => newInRelease)).toBe(false);
});

it('counts each affected user once', async () => {
  await using sentry = await shop();
  await expect(tracker(sentry.url).affectedUsers(window)).resolves.toEqual({ count: 41, sampled: false });
});

it('counts the errors of the window in its environment, and nothing else', async () => {
  await using sentry = await shop();
  await expect(tracker(sentry.url).errorCount(window)).resolves.toEqual({ count: 100, windowSeconds: 300 });
  expect(Object.fromEntries(sentry.asked[0]?.url.searchParams ?? [])).toEqual({
    dataset: 'errors',
    field: 'count()',
    project: 'shop',
    environment: 'production',
    statsPeriod: '300s',
    query: 'level:[error,fatal]',
  });
});

it('shows the innermost frames of the exception that was thrown', async () => {
  await using sentry = await shop();
  await expect(tracker(sentry.url).topStackTrace(window)).resolves.toEqual({
    pattern: "TypeError: reading 'price'",
    frames: ['total (src/cart.ts:14)', 'main (src/cart.ts:3)'],
    url: 'https://acme.sentry.io/issues/1/',
  });
});

it('divides the errors over releases and flags, over all pages, by what each event stands for', async () => {
  await using sentry = await shop();
  await expect(tracker(sentry.url).errorCorrelations(window)).resolves.toEqual({
    events: 100,
    releases: [
      { release: 'shop@v2', share: 0.9 },
      { release: 'shop@v1', share: 0.1 },
    ],
    flags: [
      { flag: 'new-prices', value: 'on', share: 1 },
      { flag: 'express-checkout', value: 'on', share: 0.9 },
      { flag: 'express-checkout', value: 'off', share: 0.1 },
    ],
  });
});

(contractIsAtHand ? it : it.skip)("asks only what Sentry's own document knows", async () => {
  await using sentry = await shop();
  const errors = tracker(sentry.url);
  await Promise.all(READINGS.map((name) => errors[name](window)));
  expect(sentry.asked.length).toBeGreaterThan(8);
  expect(sentry.broken).toEqual([]);
});

it('answers zero for a window without errors, and has no stack trace for it', async () => {
  await using sentry = await serving(({ url }) => ({
    body: url.pathname.endsWith('/acme/events/') ? { data: [] } : [],
  }));
  const errors = tracker(sentry.url);
  await expect(errors.errorPatterns(window)).resolves.toEqual([]);
  await expect(errors.affectedUsers(window)).resolves.toMatchObject({ count: 0 });
  await expect(errors.errorCount(window)).resolves.toMatchObject({ count: 0 });
  await expect(errors.errorCorrelations(window)).resolves.toEqual({ events: 0, releases: [], flags: [] });
  await expect(errors.topStackTrace(window)).rejects.toMatchObject({ type: 'NotFound' });
});

it('says which service lacks its project', async () => {
  const errors = tracker('http://127.0.0.1:1');
  await expect(errors.errorPatterns({ ...window, environment: 'staging' })).rejects.toMatchObject({
    type: 'NotConfigured',
    message: expect.stringContaining('shop in staging') as string,
  });
});

it('follows the Link header to the last page only', () => {
  const link = (results: boolean) =>
    `<https://x/?cursor=0:0:1>; rel="previous"; results="true"; cursor="0:0:1", <https://x/>; rel="next"; results="${results}"; cursor="0:100:0"`;
  expect([nextCursor(link(true)), nextCursor(link(false)), nextCursor(null)]).toEqual([
    '0:100:0',
    undefined,
    undefined,
  ]);
});

describe.each(READINGS)('%s', (name) => {
  failsAsDeclared((url) => tracker(url)[name](window));
  refusesNonsense((url) => tracker(url)[name](window));
});
