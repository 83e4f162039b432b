/** What people hold up over the API, and let go on: changes, deployments, alerts; and what they say of reviews. */
import { readAudit } from '../../src/audit.ts';
import { openSilences } from '../../src/silences.ts';
import { until } from '../support/until.ts';
import { caller } from './caller.ts';
import { startConsole, type ConsoleRig } from './rig.ts';

let rig: ConsoleRig;
beforeAll(async () => {
  rig = await startConsole();
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

const call = caller(() => rig.url);
const session = (person: string) => rig.store.openSession(person, `${person}@example.com`);
const token = (services: string[] = []) => {
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const scopes: ('read' | 'respond' | 'deploy')[] = ['read', 'respond', 'deploy'];
  return rig.store.createToken({ name: 'robot', scopes, services, by: 'cto', expires }).token;
};
interface Shown {
  service: string;
  killSwitch?: object;
  environments: { environment: string; ledger?: { freeze?: object } }[];
}
const shop = async (): Promise<Shown | undefined> =>
  ((await call(session('viewer'), 'GET', '/services')).body['services'] as Shown[]).find(
    ({ service }) => service === 'shop',
  );
const freezeOf = async (wanted: string) =>
  (await shop())?.environments.find(({ environment }) => environment === wanted)?.ledger?.freeze;

it('forbids every change to a service by its kill switch; a token may switch it on, and only a person off', async () => {
  const [responder, robot] = [session('responder'), token()];
  const set = (bearer: string, on: boolean, reason = 'a credential leaked') =>
    call(bearer, 'POST', '/services/shop/kill-switch', { on, reason });
  expect(await set(session('viewer'), true)).toMatchObject({ status: 403, type: 'application/problem+json' });
  expect(await set(robot, true)).toMatchObject({ status: 200, body: { accepted: true } });
  expect((await shop())?.killSwitch).toEqual({ on: true, by: 'token:robot', reason: 'a credential leaked' });
  expect((await rig.visitor('viewer').get('/')).text).toContain('kill switch on: a credential leaked');
  expect(await set(robot, false)).toMatchObject({
    status: 403,
    body: { detail: expect.stringContaining('for people') },
  });
  expect((await shop())?.killSwitch).toMatchObject({ on: true });
  expect(await set(responder, false, 'it was changed')).toMatchObject({ status: 200 });
  expect((await shop())?.killSwitch).toEqual({ on: false, by: 'responder', reason: 'it was changed' });
  expect(readAudit(rig.stateDir, 4)).toMatchObject([
    { who: 'responder', via: 'api', what: 'kill switch off', on: 'shop', result: 'done', detail: 'it was changed' },
    { who: 'token:robot', what: 'kill switch off', on: 'shop', result: 'refused' },
    { who: 'token:robot', what: 'kill switch on', on: 'shop', result: 'done' },
    { who: 'viewer', what: 'POST /api/services/shop/kill-switch', on: 'shop', result: 'refused' },
  ]);
  expect(await call(responder, 'POST', '/services/nothing/kill-switch', { on: true })).toMatchObject({ status: 404 });
});

it('holds the deployments of one environment until somebody lets them go on, once for one key', async () => {
  const [responder, robot] = [session('responder'), token()];
  const end = new Date(Date.now() + 3_600_000).toISOString();
  const freeze = { environment: 'staging', reason: 'year end', until: end };
  const key = { 'idempotency-key': 'freeze-1' };
  const before = readAudit(rig.stateDir, 1000).length;
  for (let i = 0; i < 2; i += 1)
    expect(await call(responder, 'POST', '/services/shop/freeze', freeze, key)).toMatchObject({ status: 200 });
  expect(readAudit(rig.stateDir, 1000).length).toBe(before + 1);
  expect(readAudit(rig.stateDir, 1)).toMatchObject([
    { who: 'responder', what: 'freeze', on: 'shop.staging', result: 'done', detail: 'year end' },
  ]);
  expect(await freezeOf('staging')).toEqual({ by: 'responder', reason: 'year end', until: end });
  expect(await freezeOf('production')).toBeUndefined();
  await until(async () => (await rig.visitor('viewer').get('/deployments')).text.includes('by responder: year end'));

  const sooner = { ...freeze, until: new Date(Date.now() + 60_000).toISOString() };
  expect(await call(robot, 'POST', '/services/shop/freeze', sooner)).toMatchObject({ status: 403 });
  expect(await freezeOf('staging')).toMatchObject({ by: 'responder', until: end });
  const unfreeze = (bearer: string) => call(bearer, 'POST', '/services/shop/unfreeze', { environment: 'staging' });
  expect(await unfreeze(robot)).toMatchObject({ status: 403 });
  expect(await freezeOf('staging')).toMatchObject({ by: 'responder' });
  expect(await unfreeze(responder)).toMatchObject({ status: 200 });
  expect(await freezeOf('staging')).toBeUndefined();
});

it.each([
  ['an environment that there is not', { environment: 'moon' }, 404],
  ['one that every object has', { environment: 'constructor' }, 404],
  ['an end that is over', { until: '2020-01-01T00:00:00Z' }, 409],
  ['no reason', { reason: ' ' }, 400],
])('freezes nothing for %s', async (_, change, status) => {
  const freeze = { environment: 'staging', reason: 'year end', ...change };
  expect(await call(session('responder'), 'POST', '/services/shop/freeze', freeze)).toMatchObject({
    status,
    type: 'application/problem+json',
  });
  expect(await freezeOf('staging')).toBeUndefined();
});

describe('a silence', () => {
  const silence = (match: Record<string, string>, change: object = {}) => ({
    match,
    for: '2 hours',
    reason: 'a load test',
    ...change,
  });
  const kept = () => {
    using silences = openSilences(rig.stateDir);
    return silences.list();
  };

  it('is made, listed and ended; a token for some services knows its own alone', async () => {
    const [responder, robot] = [session('responder'), token(['shop'])];
    const ids = async (bearer: string) =>
      ((await call(bearer, 'GET', '/silences')).body['silences'] as { id: string }[]).map(({ id }) => id);
    const all = await call(responder, 'POST', '/silences', silence({ alertname: 'HighErrorRate' }));
    expect(all).toMatchObject({ status: 200, body: { by: 'responder', reason: 'a load test' } });
    expect(await call(robot, 'POST', '/silences', silence({ alertname: 'HighErrorRate' }))).toMatchObject({
      status: 403,
    });
    const own = await call(robot, 'POST', '/silences', silence({ service: 'shop' }));
    expect(own).toMatchObject({ status: 200, body: { by: 'token:robot' } });
    expect(kept()).toEqual(expect.arrayContaining([all.body, own.body]));
    expect((await ids(session('viewer'))).sort()).toEqual([all.body['id'], own.body['id']].sort());
    expect(await ids(robot)).toEqual([own.body['id']]);
    const end = (bearer: string, { body }: typeof all) => call(bearer, 'DELETE', `/silences/${String(body['id'])}`);
    expect(await end(robot, all)).toMatchObject({ status: 404 });
    expect(await end(robot, own)).toMatchObject({ status: 200 });
    expect(await end(responder, all)).toMatchObject({ status: 200 });
    expect(await end(responder, all)).toMatchObject({ status: 404 });
    expect(kept()).toEqual([]);
    expect(readAudit(rig.stateDir, 2)).toMatchObject([
      { who: 'responder', what: 'unsilence', on: all.body['id'], result: 'refused' },
      { who: 'responder', what: 'unsilence', on: all.body['id'], result: 'done' },
    ]);
  });

  it.each([
    ['no labels', silence({}), 400],
    ['no time', silence({ a: 'b' }, { for: '0 s' }), 409],
    ['more than a year', silence({ a: 'b' }, { for: '99999999999999 days' }), 409],
    ['a time that is none', silence({ a: 'b' }, { for: 'a while' }), 400],
    ['no reason', silence({ a: 'b' }, { reason: '' }), 400],
  ])('is not made with %s', async (_, body, status) => {
    expect(await call(session('responder'), 'POST', '/silences', body)).toMatchObject({ status });
    expect(kept()).toEqual([]);
  });
});

it('lists reviews page by page, shows one, and takes the word of a person on its cause and items', async () => {
  const lead = session('lead');
  const reviewed = async (service: string): Promise<string> => {
    const open = await rig.waiting({ service });
    const decision = { digest: open.proposal?.digest, verdict: 'approved' };
    await call(lead, 'POST', `/runs/${open.workflowId}/decision`, decision);
    expect(await rig.ended(open)).toMatchObject({ outcome: 'mitigated' });
    return `${open.workflowId}/${open.runId}`;
  };
  const list = async (query = '', bearer = lead) => (await call(bearer, 'GET', `/reviews${query}`)).body;
  const named = (page: Record<string, unknown>) =>
    (page['reviews'] as { workflowId: string; runId: string }[]).map(
      ({ workflowId, runId }) => `${workflowId}/${runId}`,
    );
  const paths = [await reviewed('shop'), await reviewed('mail')];
  await until(async () => named(await list()).length === 2);
  expect(named(await list()).sort()).toEqual([...paths].sort());
  expect(named(await list('?service=mail'))).toEqual([paths[1]]);
  expect(named(await list('?search=nothing+like+it'))).toEqual([]);
  expect(named(await list('', token(['mail'])))).toEqual([paths[1]]);
  const first = await list('?limit=1');
  const second = await list(`?limit=1&cursor=${String(first['cursor'])}`);
  expect([...named(first), ...named(second)].sort()).toEqual([...paths].sort());
  expect(second['cursor']).toBeUndefined();
  expect(await call(lead, 'GET', '/reviews?cursor=abc')).toMatchObject({ status: 409 });

  const at = `/reviews/${paths[0]}`;
  const shown = await call(lead, 'GET', at);
  expect(shown).toMatchObject({ status: 200, body: { id: `review.${paths[0]?.replace('/', '.')}`, state: 'open' } });
  expect(await call(token(['mail']), 'GET', at)).toMatchObject({ status: 403 });
  expect(await call(lead, 'GET', '/reviews/incident.shop.none/run')).toMatchObject({ status: 404 });
  const cause = { cause: 'the price was renamed', reason: 'seen in the diff' };
  expect(await call(session('viewer'), 'POST', `${at}/cause`, cause)).toMatchObject({ status: 403 });
  expect(await call(token(), 'POST', `${at}/cause`, cause)).toMatchObject({
    status: 403,
    body: { detail: expect.stringContaining('is nobody in the configuration') },
  });
  expect(await call(lead, 'POST', `${at}/cause`, cause)).toMatchObject({
    status: 200,
    body: {
      causes: expect.arrayContaining([expect.objectContaining({ what: cause.cause, state: 'confirmed' })]),
    },
  });
  const items = shown.body['actionItems'] as { id: string; state: string }[];
  const item = items.find(({ id, state }) => state === 'open' && id !== 'confirm-the-cause')?.id ?? '';
  const change = { owner: 'cto', dueAt: '2030-01-02T00:00:00Z' };
  const changed = await call(lead, 'POST', `${at}/items/${item}/change`, change);
  expect(changed.body['actionItems']).toContainEqual(expect.objectContaining({ id: item, ...change }));
  const closed = await call(lead, 'POST', `${at}/items/${item}/close`, { text: 'fixed in 1.4.1' });
  expect(closed.body['actionItems']).toContainEqual(
    expect.objectContaining({ id: item, state: 'done', closedBy: 'lead', note: 'fixed in 1.4.1' }),
  );
  expect(await call(lead, 'POST', `${at}/items/${item}/close`, {})).toMatchObject({ status: 403 });
});
