import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { startConsole, type ConsoleRig } from './rig.ts';

let rig: ConsoleRig;
const assistant = new Client({ name: 'test', version: '1' });
beforeAll(async () => {
  rig = await startConsole();
  const { token } = rig.store.createToken({
    name: 'assistant',
    scopes: ['read', 'respond', 'deploy'],
    services: ['shop'],
    by: 'cto',
    expires: new Date(Date.now() + 3_600_000).toISOString(),
  });
  const env = { HOLDFAST_STATE_DIR: rig.stateDir, HOLDFAST_PUBLIC_URL: rig.url, HOLDFAST_TOKEN: token };
  const args = ['src/cli/main.ts', 'mcp'];
  await assistant.connect(
    new StdioClientTransport({ command: process.execPath, args, cwd: join(__dirname, '..', '..'), env }),
  );
}, 120_000);
afterAll(async () => {
  await assistant.close();
  await rig[Symbol.asyncDispose]();
});

const call = async (name: string, args: Record<string, unknown> = {}) => {
  const { content, isError } = await assistant.callTool({ name, arguments: args });
  return { text: (content as { text: string }[])[0]?.text ?? '', isError: isError === true };
};

it('reads, acknowledges and notes, and has no tool that decides', async () => {
  const { tools } = await assistant.listTools();
  expect(tools.map(({ name }) => name).sort()).toEqual([
    'acknowledge',
    'list_deployments',
    'list_incidents',
    'list_services',
    'note',
    'propose_deployment',
    'show_run',
  ]);
  const open = await rig.waiting();
  const id = open.workflowId;
  expect((await call('show_run', { id })).text).toContain('Roll shop back from v2 to v1');
  expect((await call('note', { id, text: 'it began with v2' })).isError).toBe(false);
  expect((await call('acknowledge', { id })).isError).toBe(false);
  const said = async () => (await rig.status(id)).timeline.filter(({ who }) => who === 'token:assistant');
  await until(async () => (await said()).length === 2); // an acknowledgement comes by way of the ladder
  expect((await said()).map(({ kind }) => kind)).toEqual(['note', 'acknowledged']);
  expect((await call('show_run', { id: 'control.shop' })).isError).toBe(true);
  await rig.client.workflow.getHandle(id).signal('stop', { by: 'test' });
  await rig.ended(open);
});

it('proposes a deployment that people must approve, and orders none that would run by itself or of another service', async () => {
  const order = { service: 'shop', environment: 'production', ref: '1.4.0' };
  expect((await call('propose_deployment', { ...order, environment: 'staging' })).text).toContain(
    'asks nobody to approve',
  );
  expect((await call('propose_deployment', { ...order, service: 'mail' })).isError).toBe(true);
  expect(await call('propose_deployment', order)).toMatchObject({ isError: false });
  const { incident } = await rig.status('deployment.shop.production');
  expect(incident.openedBy).toBe('token:assistant');
  await rig.client.workflow.getHandle('deployment.shop.production').signal('stop', { by: 'test' });
});
