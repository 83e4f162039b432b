import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAudit } from '../../src/audit.ts';
import type { Status } from '../../src/contracts/index.ts';
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
const token = (scopes: ('read' | 'respond' | 'deploy')[], services: string[] = []) =>
  rig.store.createToken({ name: 'robot', scopes, services, by: 'cto', expires: inAnHour() }).token;
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
const stop = async (open: Status) => {
  await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
  await rig.ended(open);
};

it('takes no write without its body, also where every field of it may be left out', async () => {
  const open = await rig.waiting();
  const headers = { authorization: `Bearer ${session('lead')}` };
  const path = `${rig.url}/api/runs/${open.workflowId}/stop`;
  expect((await fetch(path, { method: 'POST', headers })).status).toBe(415);
  const typed = { ...headers, 'content-type': 'application/json' };
  expect((await fetch(path, { method: 'POST', headers: typed })).status).toBe(400);
  expect((await rig.status(open.workflowId)).phase).toBe('waiting');
  await stop(open);
});

it('lists incidents page by page, shows one, and takes its decision', async () => {
  const [first, second] = [await rig.waiting(), await rig.waiting({ service: 'mail' })];
  const lead = session('lead');
  const ids = async (query: string) =>
    ((await call(lead, 'GET', `/incidents?state=open${query}`)).body['runs'] as Status[]).map((run) => run.workflowId);
  await until(async () => (await ids('')).length === 2);
  expect(await ids('&service=mail')).toEqual([second.workflowId]);
  const page = (await call(lead, 'GET', '/incidents?state=open&limit=1')).body;
  const next = await ids(`&limit=1&cursor=${String(page['cursor'])}`);
  expect([...(page['runs'] as Status[]).map((run) => run.workflowId), ...next].sort()).toEqual(
    [first.workflowId, second.workflowId].sort(),
  );
  expect(await call(lead, 'GET', '/incidents?cursor=abc')).toMatchObject({ status: 409 });

  const shown = (await call(lead, 'GET', `/runs/${first.workflowId}`)).body as unknown as Status;
  expect(shown.proposal?.digest).toBe(first.proposal?.digest);
  const decision = { digest: first.proposal?.digest, verdict: 'approved', reason: 'it is the release' };
  const decided = await call(lead, 'POST', `/runs/${first.workflowId}/decision`, decision);
  expect(decided).toMatchObject({ status: 200, body: { verdict: 'approved', approvedBy: ['lead'] } });
  expect(await rig.ended(first)).toMatchObject({ outcome: 'mitigated', decision: { by: ['lead'], via: 'api' } });
  await stop(second);
});

it('takes the same write with one key once, and tells another request under that key apart', async () => {
  const open = await rig.waiting();
  const responder = session('responder');
  const path = `/runs/${open.workflowId}/note`;
  const key = { 'idempotency-key': 'note-1' };
  const answers = [];
  for (let i = 0; i < 3; i += 1) answers.push(await call(responder, 'POST', path, { text: 'once' }, key));
  expect(answers.map(({ status, body }) => ({ status, body }))).toEqual(
    Array(3).fill({ status: 200, body: { accepted: true } }),
  );
  expect(await call(responder, 'POST', path, { text: 'other' }, key)).toMatchObject({ status: 422 });
  expect(await call(session('lead'), 'POST', path, { text: 'of another person' }, key)).toMatchObject({ status: 200 });
  const { timeline } = await rig.status(open.workflowId);
  expect(timeline.filter(({ kind }) => kind === 'note').map(({ what }) => what)).toEqual(['once', 'of another person']);
  await stop(open);
});

it('never takes a decision of a token, nor a rollback of production, and sees only its services', async () => {
  const open = await rig.waiting();
  const robot = token(['read', 'respond', 'deploy'], ['shop']);
  const decision = { digest: open.proposal?.digest, verdict: 'approved' };
  const decided = await call(robot, 'POST', `/runs/${open.workflowId}/decision`, decision);
  expect(decided).toMatchObject({ status: 403, type: 'application/problem+json' });
  expect(decided.body['detail']).toContain('a token never decides');
  const rollback = { service: 'shop', environment: 'production' };
  expect(await call(robot, 'POST', '/rollbacks', rollback)).toMatchObject({ status: 403 });
  const deployment = { service: 'mail', environment: 'production', ref: '1.4.0' };
  expect(await call(robot, 'POST', '/deployments', deployment)).toMatchObject({ status: 403 });
  await until(
    async () => ((await call(session('lead'), 'GET', '/incidents?state=open')).body['runs'] as Status[]).length === 1,
  );
  expect((await call(token(['read'], ['mail']), 'GET', '/incidents?state=open')).body['runs']).toEqual([]);
  expect((await rig.status(open.workflowId)).phase).toBe('waiting');
  const refused = readAudit(rig.stateDir, 10).filter(
    ({ who, result }) => who === 'token:robot' && result === 'refused',
  );
  expect(refused).toHaveLength(3);
  await stop(open);
});

it('orders by a token on behalf of whoever made it, who is not asked about it', async () => {
  const order = { service: 'shop', environment: 'staging', ref: '1.4.0' };
  const started = await call(token(['deploy']), 'POST', '/deployments', order);
  expect(started).toMatchObject({ status: 200, body: { workflowId: 'deployment.shop.staging' } });
  const { events } = await rig.client.workflow.getHandle('deployment.shop.staging').fetchHistory();
  const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  expect(JSON.parse(Buffer.from(input?.data ?? []).toString())).toMatchObject({
    orderedBy: 'token:robot',
    onBehalfOf: 'cto',
  });
  await rig.client.workflow.getHandle('deployment.shop.staging').signal('stop', { by: 'test' });
});

it('makes, lists and revokes tokens; the secret is told once and works until then', async () => {
  const cto = session('cto');
  const [wanted, key] = [{ name: 'ci', scopes: ['read'], days: 1 }, { 'idempotency-key': 'token-1' }];
  const made = await call(cto, 'POST', '/tokens', wanted, key);
  const secret = String(made.body['token']);
  expect(secret).toMatch(/^hft_/);
  const again = await call(cto, 'POST', '/tokens', wanted, key);
  expect(again).toMatchObject({ status: 409, body: { detail: expect.stringContaining('its answer is given once') } });
  for (const file of globSync('console.sqlite*', { cwd: rig.stateDir }))
    expect(readFileSync(join(rig.stateDir, file), 'latin1')).not.toContain(secret);
  expect(await call(secret, 'GET', '/session')).toMatchObject({
    status: 200,
    body: { name: 'token:ci', kind: 'token' },
  });
  const listed = (await call(cto, 'GET', '/tokens')).body;
  expect(JSON.stringify(listed)).toContain('"ci"');
  expect(JSON.stringify(listed)).not.toContain(secret);
  expect(await call(cto, 'DELETE', `/tokens/${String(made.body['id'])}`)).toMatchObject({ status: 200 });
  expect(await call(secret, 'GET', '/session')).toMatchObject({ status: 401 });
  const tried = { who: 'unknown', via: 'api', what: 'GET /api/session', result: 'refused' };
  expect(readAudit(rig.stateDir, 1)).toMatchObject([tried]);
  const expired = rig.store.createToken({
    name: 'old',
    scopes: ['read'],
    services: [],
    by: 'cto',
    expires: '2020-01-01T00:00:00Z',
  });
  expect(await call(expired.token, 'GET', '/session')).toMatchObject({ status: 401 });
});

it('starts a deployment as the person who asks, joins the same one, and refuses another meanwhile', async () => {
  const responder = session('responder');
  const order = { service: 'shop', environment: 'production', ref: '1.4.0' };
  const started = await call(responder, 'POST', '/deployments', order);
  expect(started).toMatchObject({ status: 200, body: { workflowId: 'deployment.shop.production', joined: false } });
  expect(await call(responder, 'POST', '/deployments', order)).toMatchObject({
    body: { runId: started.body['runId'], joined: true },
  });
  expect(await call(responder, 'POST', '/deployments', { ...order, ref: '1.5.0' })).toMatchObject({ status: 409 });
  expect(await call(responder, 'POST', '/deployments', { ...order, environment: 'moon' })).toMatchObject({
    status: 404,
  });
  expect((await rig.status('deployment.shop.production')).incident.openedBy).toBe('api:responder');
  await rig.client.workflow.getHandle('deployment.shop.production').signal('stop', { by: 'test' });
});

it('begins a deployment anew once the same one, which has ended, is closed', async () => {
  const order = { service: 'mail', environment: 'production', ref: '1.4.0' };
  const ended = await rig.client.workflow.start('productionDeployment', {
    workflowId: 'deployment.mail.production',
    taskQueue: 'nobody',
    memo: { order: { ...order, orderedBy: 'test' }, outcome: 'released' },
    workflowExecutionTimeout: '3 seconds',
  });
  const started = await call(session('cto'), 'POST', '/deployments', order);
  expect(started).toMatchObject({ status: 200, body: { workflowId: ended.workflowId, joined: false } });
  const before = rig.client.workflow.getHandle(ended.workflowId, ended.firstExecutionRunId);
  expect((await before.describe()).status.name).toBe('TIMED_OUT');
  await rig.client.workflow.getHandle(ended.workflowId).signal('stop', { by: 'test' });
});

it('says what is wrong as problem+json, and how long to wait when there are too many requests', async () => {
  const viewer = session('viewer');
  for (const [method, path, body, status] of [
    ['GET', '/runs/control.shop', undefined, 400],
    ['GET', '/runs/incident.shop.triage', undefined, 404],
    ['GET', '/incidents?limit=9999', undefined, 400],
    ['GET', '/nothing', undefined, 404],
    ['POST', '/deployments', { service: '../x' }, 403],
  ] as const)
    expect(await call(viewer, method, path, body)).toMatchObject({
      status,
      type: 'application/problem+json',
      body: { status },
    });
  const responder = session('responder');
  const typed = (type: string) => call(responder, 'POST', '/deployments', {}, { 'content-type': type });
  expect(await typed('text/plain')).toMatchObject({ status: 415, type: 'application/problem+json' });
  expect(await typed('application/json')).toMatchObject({ status: 400, type: 'application/problem+json' });
  let last = await call(viewer, 'GET', '/session');
  for (let i = 0; i < 310 && last.status === 200; i += 1) last = await call(viewer, 'GET', '/session');
  expect(last.status).toBe(429);
  expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
});

it('describes each of its routes by OpenAPI 3.1', async () => {
  const { body } = await call('', 'GET', '/openapi.json');
  expect(body['openapi']).toBe('3.1.0');
  const paths = Object.keys(body['paths'] as object);
  expect(paths).toEqual(
    expect.arrayContaining([
      '/api/incidents',
      '/api/runs/{id}',
      '/api/runs/{id}/decision',
      '/api/deployments',
      '/api/tokens',
    ]),
  );
});

it('lets exactly one of many decisions count that race over console and API, and tells the others who won', async () => {
  for (let round = 0; round < 8; round += 1) {
    const open = await rig.waiting();
    const path = `/runs/${open.workflowId}/${open.runId}`;
    const digest = open.proposal?.digest ?? '';
    const [approver, lead] = [rig.visitor('approver'), session('lead')];
    const csrf = /name="csrf" value="(\w+)"/.exec((await approver.get(path)).text)?.[1] ?? '';
    const form = { csrf, digest, verdict: 'approved' };
    const racing = await Promise.all([
      approver.post(`${path}/decide`, form),
      call(lead, 'POST', `/runs/${open.workflowId}/decision`, { digest, verdict: 'declined' }),
      approver.post(`${path}/decide`, form),
      call(lead, 'POST', `/runs/${open.workflowId}/decision`, { digest, verdict: 'declined' }),
    ]);
    const won = racing.filter(({ status }) => status < 400);
    expect(won).toHaveLength(1);
    const closed = await rig.ended(open);
    const winner = closed.decision?.by[0] ?? '';
    expect(closed.timeline.filter(({ kind }) => kind === 'approved' || kind === 'declined')).toHaveLength(1);
    for (const loser of racing.filter(({ status }) => status >= 400)) {
      const told = 'text' in loser ? /role="alert">([^<]*)/.exec(loser.text)?.[1] : String(loser.body['detail']);
      expect(told).toMatch(new RegExp(`by ${winner}|has decided already`));
    }
  }
}, 300_000);
