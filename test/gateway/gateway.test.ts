import { createActivities, env } from '../../activities/alert-sender.ts';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { alertOf, defineSource } from '../../src/gateway/source.ts';
import * as rig from './rig.ts';

const { group, postAlertmanager, postSentry, postWebhook } = rig;
const MIB = 1024 * 1024;
/** The value of a metric without labels. */
const metric = async (gateway: rig.Running, name: string): Promise<number> =>
  Number(new RegExp(`^holdfast_gateway_${name} (\\S+)$`, 'm').exec((await gateway.get('/metrics')).text)?.[1]);
const nested = (depth: number): string => `{"alerts":[],"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;

describe('while Temporal is away', () => {
  let folder: ReturnType<typeof rig.scratch>;
  let gateway: rig.Running;
  beforeEach(async () => {
    folder = rig.scratch();
    gateway = await rig.runGateway({ stateDir: folder.stateDir });
  });
  afterEach(async () => {
    await gateway.stop();
    await folder[Symbol.asyncDispose]();
  });

  it('accepts an alert of every source', async () => {
    const issue = { id: 1, title: 'TypeError', project: { slug: 'shop' } };
    const answers = [
      await postAlertmanager(gateway.url, group()),
      await postWebhook(gateway.url, { name: 'HighErrorRate', service: 'shop', summary: 'bad' }),
      await postSentry(gateway.url, 'issue', { action: 'created', data: { issue } }),
    ];
    for (const answer of answers) expect(answer).toMatchObject({ status: 202, body: { accepted: 1 } });
    expect(await metric(gateway, 'inbox_waiting')).toBe(3);
  });

  it("knows the monitor's own alert again when it is sent twice", async () => {
    const { hostname, port } = new URL(gateway.url);
    const address = { HOLDFAST_GATEWAY_HOST: hostname, HOLDFAST_GATEWAY_PORT: port };
    const sender = createActivities(env.parse({ ...rig.secrets, ...address }), rig.settings);
    const alert = alertOf({ source: 'monitor', key: 'm:1:firing', name: 'HighErrorRate', service: 'shop', labels: {} });
    await sender.sendAlert(alert);
    await sender.sendAlert(alert);
    expect(await metric(gateway, 'alerts_accepted_total')).toBe(2);
    expect(await metric(gateway, 'alerts_duplicate_total')).toBe(1);
  });

  it('answers 202 with none accepted when there is nothing to do', async () => {
    const nothing = { status: 202, body: { accepted: 0 } };
    expect(await postSentry(gateway.url, 'installation', { action: 'created', data: {} })).toMatchObject(nothing);
    expect(await postAlertmanager(gateway.url, group({ name: 'Watchdog' }))).toMatchObject(nothing);
  });

  it('refuses what is not genuine with 401, whatever it holds', async () => {
    for (const source of ['alertmanager', 'webhook', 'sentry'])
      for (const body of ['{}', 'no JSON', nested(5000)])
        expect(await rig.post(gateway.url, source, body, {})).toMatchObject({ status: 401 });
    expect((await gateway.get('/metrics')).text).toContain('requests_refused_total{reason="signature"} 9');
    expect(await metric(gateway, 'alerts_accepted_total')).toBe(0);
  });

  it.each(['alertmanager', 'webhook', 'sentry'])(
    'answers 401 to another secret and 400 to what is no JSON, keeps another shape aside, and tells a person once: %s',
    async (source) => {
      const before = await metric(gateway, 'inbox_aside');
      const genuine = (body: string) => ({
        ...rig.bearer,
        ...rig.signedAsWebhook(body),
        ...rig.signedBySentry(body, 'issue'),
      });
      const forged = { ...genuine('{"other":1}'), authorization: 'Bearer another-token' };
      expect(await rig.post(gateway.url, source, '{"other":2}', forged)).toMatchObject({ status: 401 });
      for (const body of ['no JSON', nested(64)])
        expect(await rig.post(gateway.url, source, body, genuine(body))).toMatchObject({ status: 400 });
      const waiting = await metric(gateway, 'inbox_waiting');
      for (const body of ['{"other":2}', '[]', 'null'])
        expect(await rig.post(gateway.url, source, body, genuine(body))).toMatchObject({
          status: 202,
          body: { accepted: 0 },
        });
      expect(await metric(gateway, 'inbox_aside')).toBe(before + 3);
      expect(await metric(gateway, 'inbox_waiting')).toBe(waiting + 3); // one alert, repeated
    },
  );

  it.each([
    ['what is no JSON', 'no JSON', {}, 400],
    ['an empty body', '', {}, 400],
    ['65 levels', nested(64), {}, 400],
    ['half a million levels', `${'['.repeat(500_000)}${']'.repeat(500_000)}`, {}, 400],
    ['a form', '{"alerts":[]}', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['text', '{"alerts":[]}', { 'content-type': 'text/plain' }, 415],
    ['more than 8 MiB', `{"alerts":[],"x":"${'x'.repeat(8 * MIB)}"}`, {}, 413],
  ])('refuses %s', async (_, body, headers, status) => {
    const answer = await rig.post(gateway.url, 'alertmanager', body, { ...rig.bearer, ...headers });
    expect(answer).toMatchObject({ status, body: { error: expect.any(String) } });
  });

  it.each([
    ['64 levels', nested(63), {}],
    ['brackets in a text', JSON.stringify({ alerts: [], x: `"\\${'['.repeat(1000)}` }), {}],
    ['JSON with a character set', '{"alerts":[]}', { 'content-type': 'application/json; charset=utf-8' }],
    ['almost 8 MiB', `{"alerts":[],"x":"${'x'.repeat(8 * MIB - 30)}"}`, {}],
  ])('accepts %s', async (_, body, headers) => {
    expect(await rig.post(gateway.url, 'alertmanager', body, { ...rig.bearer, ...headers })).toMatchObject({
      status: 202,
    });
  });

  it('ends a body of unknown length at 8 MiB', async () => {
    const { port, hostname } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    socket.on('error', () => undefined); // it is closed while more is being written
    socket.write('POST /alerts/alertmanager HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n');
    socket.write(`authorization: ${rig.bearer['authorization']}\r\ntransfer-encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 140; i += 1) socket.write(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
    expect(await answer).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  it('keeps the raw bytes, once for all repeats', async () => {
    const body = JSON.stringify({ ...group(), note: 'Grüße\u0000' }, null, 3);
    for (let i = 0; i < 3; i += 1) await postAlertmanager(gateway.url, body);
    using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
    const rows = db.prepare('select raw from bodies').all();
    expect(rows.map(({ raw }) => Buffer.from(raw as Uint8Array).toString())).toEqual([body]);
    expect(db.prepare('select deliveries, status from alerts').all()).toEqual([{ deliveries: 3, status: 'firing' }]);
    expect(await metric(gateway, 'alerts_duplicate_total')).toBe(2);
  });

  it('answers 503 when the inbox cannot be written, and 202 again when it can', async () => {
    using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
    db.exec('begin immediate');
    expect(await postAlertmanager(gateway.url, group())).toMatchObject({ status: 503 });
    expect(await gateway.get('/readyz')).toMatchObject({ status: 503 });
    expect(await gateway.get('/healthz')).toMatchObject({ status: 200 });
    db.exec('rollback');
    expect(await postAlertmanager(gateway.url, group())).toMatchObject({ status: 202 });
    expect(await metric(gateway, 'alerts_accepted_total')).toBe(1);
  });

  it('is ready, and says that Temporal is away', async () => {
    await postAlertmanager(gateway.url, group());
    const { status, text } = await gateway.get('/readyz');
    expect({ status, body: JSON.parse(text) as unknown }).toMatchObject({
      status: 200,
      body: { status: 'ready', inbox: { waiting: 1, aside: 0 }, temporal: 'away, alerts are kept' },
    });
  });

  it('shows nothing to whoever has not signed in, and lets its pages run nothing of their own', async () => {
    expect(await gateway.get('/')).toMatchObject({ status: 401 });
    const { status, headers, text } = await gateway.get('/sign-in');
    expect(status).toBe(200);
    expect(text).toContain('Sign in to Holdfast');
    expect(text).not.toMatch(/<style|style=|<script(?! type="module" src="\/assets\/)|\son\w+=/);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('has metrics that a scraper reads', async () => {
    await postAlertmanager(gateway.url, group());
    const { text, headers } = await gateway.get('/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[\w.+-]+",?)+\})? [\d.]+)$/);
    expect(await metric(gateway, 'inbox_oldest_age_seconds')).toBeLessThan(10);
  });
});

it('closes an endpoint without a secret: 404, one line at start and one at the first call', async () => {
  await using folder = rig.scratch();
  const env = {
    HOLDFAST_ALERTMANAGER_TOKEN: '',
    HOLDFAST_AUTH_URL: 'http://127.0.0.1:1',
    HOLDFAST_AUTH_KEY: 'publishable',
  };
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir, env });
  expect(gateway.logged).toEqual([
    expect.stringContaining('/alerts/alertmanager is closed: set HOLDFAST_ALERTMANAGER_TOKEN'),
  ]);
  for (let i = 0; i < 3; i += 1)
    expect(await rig.post(gateway.url, 'alertmanager', '{"alerts":[]}', { authorization: 'Bearer ' })).toMatchObject({
      status: 404,
    });
  expect(gateway.logged).toHaveLength(2);
  expect(await rig.post(gateway.url, 'constructor', '{}', {})).toMatchObject({ status: 404 });
  expect(await postWebhook(gateway.url, { name: 'a' })).toMatchObject({ status: 202 });
});

it('answers 404 on every endpoint while no secret is set', async () => {
  await using folder = rig.scratch();
  const env = Object.fromEntries(Object.keys(rig.secrets).map((name) => [name, '']));
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir, env });
  for (const answer of [
    await postAlertmanager(gateway.url, group()),
    await postWebhook(gateway.url, { name: 'a' }),
    await postSentry(gateway.url, 'issue', {}),
  ])
    expect(answer).toMatchObject({ status: 404 });
});

it('does not start with a secret that cannot be one, and does not show it', async () => {
  await using folder = rig.scratch();
  const starting = rig.runGateway({ stateDir: folder.stateDir, env: { HOLDFAST_WEBHOOK_SECRET: 'whsec_s3cret!' } });
  await expect(starting).rejects.toThrow(/HOLDFAST_WEBHOOK_SECRET$/);
});

it('does not start on a taken port, and names the variable', async () => {
  await using folder = rig.scratch();
  await using other = rig.scratch();
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir });
  const env = { HOLDFAST_GATEWAY_PORT: new URL(gateway.url).port };
  await expect(rig.runGateway({ stateDir: other.stateDir, env })).rejects.toThrow('set HOLDFAST_GATEWAY_PORT');
});

it('puts a genuine body aside that a source cannot handle, and goes on', async () => {
  await using folder = rig.scratch();
  const [good] = [alertOf({ source: 'odd', key: 'k', name: 'n', labels: {} })];
  const odd = defineSource({
    name: 'odd',
    secret: 'HOLDFAST_ALERTMANAGER_TOKEN',
    verify: () => true,
    normalise: (body) =>
      (body as { alerts: { length: number } }).alerts.length === 0 ? [{ ...good, key: '' }] : [good],
  });
  await using gateway = await rig.runGateway({ stateDir: folder.stateDir, more: [odd] });
  const answers = [];
  for (const body of ['{"breaks":1}', '{"alerts":[]}', '{"alerts":[1]}'])
    answers.push((await rig.post(gateway.url, 'odd', body, {})).body.accepted);
  expect(answers).toEqual([0, 0, 1]);
  expect(await metric(gateway, 'inbox_aside')).toBe(2);
  expect(gateway.logged.filter((line) => line.includes('put aside'))).toHaveLength(2);
});
