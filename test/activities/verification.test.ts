/** Smoke tests against a real HTTP server. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { z } from 'zod';
import { createActivities } from '../../activities/verification.ts';
import { Settings, type SmokeReport, type SmokeTest } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { listening, serving, type Answer } from './http-server.ts';
import { settings } from './settings.ts';

type Configured = z.input<typeof SmokeTest>;
/** Failures are what is tested here: they are no warnings. */
const anActivity = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
const scope = { service: 'shop', environment: 'production' };

const verifying = (url: string, smoke: Configured[]) => {
  const production = { url, deployment: { smoke } };
  const of = Settings.parse({ ...settings, services: [{ name: 'shop', environments: { production } }] });
  return createActivities({ HOLDFAST_STATE_DIR: '/nonexistent' }, of);
};
const smokeTests = (url: string, smoke: Configured[], within = anActivity()): Promise<SmokeReport> =>
  within.run(() => verifying(url, smoke).smokeTests(scope));

/** What one smoke test says of one answer. */
async function saidOf(test: Partial<Configured>, answer: Answer) {
  await using server = await serving(() => answer);
  const { passed, tests } = await smokeTests(server.url, [{ name: 'front page', path: '/', ...test }]);
  expect(tests).toEqual([{ name: 'front page', passed, detail: expect.any(String) }]);
  return { passed, detail: tests[0]?.detail ?? '' };
}

const PRICES = {
  type: 'object',
  required: ['prices'],
  properties: { prices: { type: 'array', prefixItems: [{ type: 'number' }], items: false } },
};

it.each<[string, Partial<Configured>, Answer, boolean, string | RegExp]>([
  ['the status alone', {}, { body: 'hello' }, true, /^HTTP 200 in \d+ ms$/],
  ['another status that is expected', { status: 404 }, { status: 404 }, true, 'HTTP 404'],
  [
    'a wrong status',
    {},
    { status: 503, body: 'down\n\u001b[31mfor\u202e now' },
    false,
    'expected HTTP 200, got 503: "down [31mfor now"',
  ],
  ['a redirect', {}, { status: 302, headers: { location: '/login' } }, false, 'expected HTTP 200, got 302 to "/login"'],
  ['a text that is there', { contains: 'Buy' }, { body: '<h1>Buy now</h1>' }, true, 'HTTP 200'],
  [
    'a text that is not',
    { contains: 'Buy' },
    { body: '<h1>Sold</h1>' },
    false,
    'expected "Buy" in the body, got "<h1>Sold</h1>"',
  ],
  ['a header in other letters', { headers: { 'Content-Type': 'Application/JSON' } }, {}, true, 'HTTP 200'],
  [
    'a header of another value',
    { headers: { 'X-Release': 'v2' } },
    { headers: { 'x-release': 'v1' } },
    false,
    'expected X-Release "v2", got "v1"',
  ],
  ['a header that is missing', { headers: { 'X-Release': 'v2' } }, {}, false, 'expected X-Release "v2", got none'],
  ['JSON by its schema', { json: PRICES }, { body: { prices: [1] } }, true, 'HTTP 200'],
  ['JSON that is otherwise', { json: PRICES }, { body: { prices: ['1'] } }, false, 'but /prices/0 must be number'],
  [
    'JSON with more than draft 2020-12 allows',
    { json: PRICES },
    { body: { prices: [1, 2] } },
    false,
    '/prices must NOT have more than 1 items',
  ],
  ['JSON that lacks something', { json: PRICES }, { body: {} }, false, "the body must have required property 'prices'"],
  ['no JSON', { json: PRICES }, { body: '<html>' }, false, 'expected JSON, got "<html>"'],
  ['a body of 1 MiB', { contains: 'xx' }, { body: 'x'.repeat(2 ** 20) }, true, 'HTTP 200'],
  ['a body of more', { contains: 'xx' }, { body: 'x'.repeat(2 ** 20 + 1) }, false, 'the body is larger than 1 MiB'],
  ['a long body', { contains: 'no' }, { body: 'x'.repeat(5000) }, false, /^expected "no" in the body, got "x{100}"$/],
])('says of %s what was expected and what came', async (_, test, answer, passed, words) => {
  const said = await saidOf(test, answer);
  expect(said).toEqual({ passed, detail: expect.stringMatching(words instanceof RegExp ? words : '') });
  if (typeof words === 'string') expect(said.detail).toContain(words);
});

it('asks its own path, and passes only when every test does', async () => {
  const asked: string[] = [];
  await using server = await serving(({ url, method }) => {
    asked.push(`${method} ${url.pathname}${url.search}`);
    return { status: url.pathname === '/broken' ? 500 : 200 };
  });
  const report = await smokeTests(server.url, [
    { name: 'a', path: '/search?q=1' },
    { name: 'b', path: '/broken' },
    { name: 'c', path: '/' },
  ]);
  expect(report).toMatchObject({
    passed: false,
    tests: [
      { name: 'a', passed: true },
      { name: 'b', passed: false },
      { name: 'c', passed: true },
    ],
  });
  expect(asked.toSorted()).toEqual(['GET /', 'GET /broken', 'GET /search?q=1']);
});

it('counts a service that does not answer as a failed test', async () => {
  const { passed, tests } = await smokeTests(`http://127.0.0.1:${await freePort()}`, [{ name: 'a', path: '/' }]);
  expect({ passed, tests }).toEqual({
    passed: false,
    tests: [{ name: 'a', passed: false, detail: 'no answer: ECONNREFUSED' }],
  });
});

it('counts an answer that is late, or never ends, as a failed test', async () => {
  await using server = await listening((request, response) => {
    if (request.url === '/endless') response.write('and so on');
  });
  const report = await smokeTests(server.url, [
    { name: 'mute', path: '/', maxMs: 50 },
    { name: 'endless', path: '/endless', maxMs: 50 },
  ]);
  expect(report.tests.map(({ detail }) => detail)).toEqual(['no answer within 50 ms', 'no answer within 50 ms']);
});

it('asks four at once and no more', async () => {
  let now = 0;
  let most = 0;
  await using server = await listening((_, response) => {
    most = Math.max(most, (now += 1));
    void sleep(20).then(() => {
      now -= 1;
      response.end();
    });
  });
  const smoke = Array.from({ length: 12 }, (_, i) => ({ name: `test ${i}`, path: `/${i}` }));
  const report = await smokeTests(server.url, smoke);
  expect(most).toBe(4);
  expect(report.tests.map(({ name }) => name)).toEqual(smoke.map(({ name }) => name));
  expect(report.passed).toBe(true);
});

it('beats while it waits, and ends as cancelled when it is', async () => {
  await using server = await listening(() => undefined);
  const within = anActivity();
  within.on('heartbeat', () => within.cancel());
  await expect(smokeTests(server.url, [{ name: 'mute', path: '/', maxMs: 30_000 }], within)).rejects.toMatchObject({
    name: 'CancelledFailure',
  });
});

it('takes no tests for no answer, never for a pass', async () => {
  await expect(smokeTests('http://127.0.0.1:1', [])).rejects.toMatchObject({ type: 'NotConfigured' });
  const elsewhere = verifying('http://127.0.0.1:1', []).smokeTests({ service: 'shop', environment: 'moon' });
  await expect(elsewhere).rejects.toMatchObject({ type: 'NotConfigured' });
});

it.each<[string, Partial<Configured>, string]>([
  ['a type that is none', { json: { type: 'nubmer' } }, 'deployment.smoke[1].json: '],
  [
    'a keyword that is none',
    { json: { requierd: ['prices'] } },
    'deployment.smoke[1].json: strict mode: unknown keyword',
  ],
  ['a schema elsewhere', { json: { $ref: 'http://127.0.0.1:1/schema' } }, 'deployment.smoke[1].json: '],
  [
    'a path of another host',
    { path: '//127.0.0.2/' },
    'deployment.smoke[1].path: //127.0.0.2/ is not on http://127.0.0.1',
  ],
])('refuses %s when the worker starts, and says where it stands', (_, test, words) => {
  const good = { name: 'good', path: '/', json: PRICES };
  const start = () => verifying('http://127.0.0.1', [good, { ...good, ...test }]);
  expect(start).toThrow('shop/production: ');
  expect(start).toThrow(words);
});
