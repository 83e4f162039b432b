import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter } from '@temporalio/common';
import { Client, Connection } from '@temporalio/client';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal, temporalCli } from '../../src/embedded/temporal.ts';
import { endProcess, runCommand } from '../../src/processes.ts';
import { temporalOf } from '../../src/temporal.ts';
import { openStore } from '../../src/console/store.ts';
import { runGateway, scratch, settings } from './rig.ts';

const UI = 'http://ui.example';
const TOKEN = 'token-of-the-codec';
const env = {
  HOLDFAST_CODEC_KEYS: `test=${randomBytes(32).toString('base64')}`,
  HOLDFAST_CODEC_TOKEN: TOKEN,
  HOLDFAST_TEMPORAL_UI_URL: `${UI}/some/path`,
};
const { metadata, data } = defaultPayloadConverter.toPayload('canary');
const plain = {
  metadata: { encoding: Buffer.from(metadata?.['encoding'] ?? []).toString('base64') },
  data: Buffer.from(data ?? []).toString('base64'),
};

async function ask(url: string, way: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/codec/${way}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as { payloads?: unknown[] },
  };
}

it('decodes for whoever has the token what it encoded', async () => {
  await using folder = scratch();
  await using gateway = await runGateway({ stateDir: folder.stateDir, env });
  const encoded = await ask(gateway.url, 'encode', { payloads: [plain] });
  expect(JSON.stringify(encoded.body)).not.toContain(plain.data.slice(0, 8));
  const decoded = await ask(gateway.url, 'decode', encoded.body, { origin: UI, 'x-namespace': 'default' });
  expect(decoded).toMatchObject({ status: 200, body: { payloads: [plain] } });
  expect(decoded.headers.get('access-control-allow-origin')).toBe(UI);
});

it('refuses a wrong token, another page and what is no payload', async () => {
  await using folder = scratch();
  await using gateway = await runGateway({ stateDir: folder.stateDir, env });
  const statusOf = async (body: unknown, headers: Record<string, string>) =>
    (await ask(gateway.url, 'decode', body, headers)).status;
  expect(await statusOf({ payloads: [plain] }, { authorization: 'Bearer token-of-another' })).toBe(401);
  expect(await statusOf({ payloads: [plain] }, { authorization: '' })).toBe(401);
  expect(await statusOf({ payloads: [plain] }, { origin: 'http://elsewhere.example' })).toBe(403);
  expect(await statusOf({ payloads: [{ data: 'not base64!' }] }, {})).toBe(400);
});

it('answers the preflight of the Temporal UI and of no other page', async () => {
  await using folder = scratch();
  await using gateway = await runGateway({ stateDir: folder.stateDir, env });
  const allowed = async (origin: string) => {
    const headers = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-namespace',
    };
    const response = await fetch(`${gateway.url}/codec/decode`, { method: 'OPTIONS', headers });
    return response.headers.get('access-control-allow-origin');
  };
  expect(await allowed(UI)).toBe(UI);
  expect(await allowed('http://elsewhere.example')).toBeNull();
});

it('is closed without keys, and without a token to whoever has not signed in', async () => {
  await using folder = scratch();
  const statusWithout = async (name: string): Promise<number> => {
    await using gateway = await runGateway({ stateDir: folder.stateDir, env: { ...env, [name]: '' } });
    return (await fetch(`${gateway.url}/codec/decode`, { method: 'POST', body: '{}' })).status;
  };
  expect(await statusWithout('HOLDFAST_CODEC_KEYS')).toBe(404);
  expect(await statusWithout('HOLDFAST_CODEC_TOKEN')).toBe(401);
});

it('opens with the session of a person who has signed in, by cookie or bearer, and with no token of a machine', async () => {
  await using folder = scratch();
  const { stateDir } = folder;
  const people = settings.people.map((person) => ({ ...person, email: `${person.name}@example.com` }));
  await using gateway = await runGateway({ stateDir, people, env: { ...env, HOLDFAST_CODEC_TOKEN: '' } });
  const store = openStore(stateDir);
  const session = store.openSession('responder', 'responder@example.com');
  const of = { name: 'ci', scopes: ['read' as const], services: [], by: 'responder', expires: '2999-01-01T00:00:00Z' };
  const { token } = store.createToken(of);
  const statusOf = async (headers: Record<string, string>) =>
    (await ask(gateway.url, 'encode', { payloads: [plain] }, { authorization: '', ...headers })).status;
  expect(await statusOf({ cookie: `holdfast=${session}`, origin: UI })).toBe(200);
  expect(await statusOf({ authorization: `Bearer ${session}` })).toBe(200);
  expect(await statusOf({ cookie: `holdfast=${session}`, origin: 'http://elsewhere.example' })).toBe(403);
  expect(await statusOf({ authorization: `Bearer ${token}` })).toBe(401);
  store.closeSession(session);
  expect(await statusOf({ cookie: `holdfast=${session}`, origin: UI })).toBe(401);
  store.close();
});

it('lets the Temporal CLI read a history that it could not read otherwise', async () => {
  await using folder = scratch();
  const { stateDir } = folder;
  await using gateway = await runGateway({ stateDir, env });
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const { connection, dataConverter } = temporalOf({ ...env, TEMPORAL_ADDRESS: address });
  const client = new Client({ connection: await Connection.connect(connection), dataConverter });
  await client.workflow.start('highErrorRate', { workflowId: 'one', taskQueue: 'nobody', args: ['canary'] });
  const show = ['workflow', 'show', '--workflow-id', 'one', '--output', 'json', '--address', address];
  const codec = ['--codec-endpoint', `${gateway.url}/codec`, '--codec-auth', `Bearer ${TOKEN}`];
  const command = await temporalCli();
  expect((await runCommand({ command, args: show })).stdout).not.toContain(plain.data);
  expect((await runCommand({ command, args: [...show, ...codec] })).stdout).toContain(plain.data);
  await client.connection.close();
  await endProcess(stateDir, 'temporal');
});
