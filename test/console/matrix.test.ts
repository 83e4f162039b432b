/** Every route against every role, and against what a token may, on its own and on another service: generated from the routes. */
import { createConsole } from '../../src/console/console.ts';
import type { Right } from '../../src/rights.ts';
import type { Routed } from '../../src/console/routes.ts';
import type { Scope } from '../../src/console/store.ts';
import { Client, Connection } from '@temporalio/client';
import { loadConfig } from '../../src/config.ts';
import { gatewayEnv, runbooks, scratch } from '../gateway/rig.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { openStore, type Store } from '../../src/console/store.ts';
import { settings } from './settings.ts';
import { visitor } from './visitor.ts';

/** Who may do what, said once more and apart from the code. */
const ALLOWED: Record<string, Right[]> = {
  viewer: ['read'],
  responder: ['read', 'respond', 'deploy'],
  lead: ['read', 'respond', 'deploy', 'decide'],
  cto: ['read', 'respond', 'deploy', 'administer'],
};
const SCOPES: Scope[] = ['read', 'respond', 'deploy'];

const folder = scratch();
const client = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
const config = loadConfig(gatewayEnv(folder.stateDir));
const people = createConsole({ client, settings, config }, () => undefined);
const { routes } = people;
let gateway: { url: string; stop: () => Promise<void> };
let store: Store;

beforeAll(async () => {
  gateway = await startGateway({ config, settings, runbooks, sources: [], log: () => undefined });
  store = openStore(folder.stateDir);
});
afterAll(async () => {
  store.close();
  people.stop();
  people.close();
  await gateway.stop();
  await client.connection.close();
  await folder[Symbol.asyncDispose]();
});

const isApi = ({ path }: Routed): boolean => path.startsWith('/api/');
const filled = ({ path }: Routed, service = 'shop'): string =>
  path
    .replace(':id', `incident.${service}.high-error-rate`)
    .replace(':run', '019a0000-0000-7000-8000-000000000000')
    .replace(':service', service)
    .replace(':environment', 'production')
    .replace(':item', 'none')
    .replace(':silence', 'none')
    .replace(':token', 'none');
/** Without a body that would be understood: whoever is let in changes nothing. */
async function asked(route: Routed, as: { bearer?: string; session?: string }, service?: string): Promise<number> {
  const path = filled(route, service);
  if (as.session !== undefined && !isApi(route)) {
    const browser = visitor(gateway.url, as.session);
    if (route.method === 'GET')
      return route.path.startsWith('/live') ? await opened(path, as.session) : (await browser.get(path)).status;
    return (await browser.post(path, {})).status;
  }
  const bearer = as.bearer ?? as.session;
  const headers: Record<string, string> = {
    origin: gateway.url,
    ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    ...(route.method === 'POST' && isApi(route) && { 'content-type': 'application/json' }),
  };
  const response = await fetch(gateway.url + path, {
    method: route.method,
    redirect: 'manual',
    headers,
    ...(route.method === 'POST' && { body: '{"strange":true}' }),
  });
  await response.body?.cancel();
  return response.status;
}
async function opened(path: string, session: string): Promise<number> {
  const response = await fetch(gateway.url + path, { headers: { cookie: `holdfast=${session}` } });
  await response.body?.cancel();
  return response.status;
}
const named = routes.map((route) => [`${route.method} ${route.path}`, route] as const);
const guarded = named.filter(([, { rule }]) => rule !== 'anyone');

it('has a rule for every route that the console answers', () => {
  const answered = people.app.routes
    .filter(({ method, path }) => method !== 'ALL' && !path.endsWith('*'))
    .map(({ method, path }) => `${method} ${path}`);
  expect(new Set(answered)).toEqual(new Set(named.map(([name]) => name)));
});

it('is open to anyone only where people sign in, and for its own files', () => {
  const open = named.filter(([, { rule }]) => rule === 'anyone').map(([name]) => name.replace(/assets\/\w+/, 'assets'));
  expect(open.sort()).toEqual([
    'GET /api/openapi.json',
    'GET /assets/console.css',
    'GET /assets/live.js',
    'GET /sign-in',
    'GET /sign-in/link',
    'POST /api/session',
    'POST /sign-in',
    'POST /sign-in/code',
    'POST /sign-in/link',
    'POST /sign-in/send',
  ]);
});

it.each(guarded)('lets nobody in who is nobody: %s', async (_, route) => {
  const stranger = await asked(route, {});
  expect([401, 303]).toContain(stranger);
  expect(await asked(route, { bearer: `hft_${'a'.repeat(43)}` })).toBe(stranger);
});

describe.each(Object.entries(ALLOWED))('%s', (person, rights) => {
  it.each(guarded)('%s', async (_, route) => {
    const session = store.openSession(person, `${person}@example.com`);
    const status = await asked(route, { session });
    if (!rights.includes(route.rule as Right)) expect(status).toBe(403);
    else if (isApi(route))
      expect([200, 400, 404, 503]).toContain(status); // let in, and then it is the request that is wrong
    else if (route.method === 'GET') expect([200, 404, 503]).toContain(status);
    else expect(status).toBe(403); // a form without the token of the session
  });
});

describe.each(SCOPES)('a token for %s of the shop', (scope) => {
  it.each(guarded)('%s', async (_, route) => {
    const expires = new Date(Date.now() + 60_000).toISOString();
    const { token } = store.createToken({ name: scope, scopes: [scope], services: ['shop'], by: 'cto', expires });
    const own = await asked(route, { bearer: token });
    if (!isApi(route)) return expect([401, 303]).toContain(own);
    if (route.rule !== scope) return expect(own).toBe(403);
    expect([200, 400, 404, 503]).toContain(own);
    if (/:id|:service/.test(route.path)) expect(await asked(route, { bearer: token }, 'mail')).toBe(403);
  });
});
