import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { readAudit } from '../../src/audit.ts';
import { startPeople, type PeopleRig } from './people.ts';
import { startConsole, type ConsoleRig } from './rig.ts';

jest.setTimeout(150_000); // a command takes seconds to start
const ROOT = join(__dirname, '..', '..');
let people: PeopleRig;
let rig: ConsoleRig;
beforeAll(async () => {
  people = await startPeople();
  rig = await startConsole({ env: people.env });
}, 180_000);
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await people[Symbol.asyncDispose]();
}, 60_000);

/** The command line beside the gateway. */
async function cli(args: string[], input = '') {
  const env = { HOLDFAST_STATE_DIR: rig.stateDir, HOLDFAST_PUBLIC_URL: rig.url };
  const { exitCode, stdout, stderr } = await execa(process.execPath, ['src/cli/main.ts', ...args], {
    cwd: ROOT,
    env,
    input,
    reject: false,
  });
  return { exitCode, stdout, stderr };
}
const login = (person: string) => cli(['login', `${person}@example.com`], people.passwordOf(`${person}@example.com`));

it('signs in and out; the session is kept for its owner alone, and ends at the gateway too', async () => {
  expect(await cli(['whoami'])).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('sign in first') });
  expect(await cli(['login', 'lead@example.com'], 'a wrong password')).toMatchObject({ exitCode: 5 });
  expect(await login('lead')).toMatchObject({ exitCode: 0, stdout: 'signed in as lead for twelve hours' });
  const file = join(rig.stateDir, 'session.json');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const kept = readFileSync(file, 'utf8');
  expect((await cli(['whoami'])).stdout).toContain('lead: read');
  expect(await cli(['logout'])).toMatchObject({ exitCode: 0 });
  expect(await cli(['whoami'])).toMatchObject({ exitCode: 5 });
  writeFileSync(file, kept); // a copy of a session that has ended
  expect(await cli(['whoami'])).toMatchObject({ exitCode: 5 });
});

it('acknowledges and approves as whoever has signed in, without a key of its own', async () => {
  const open = await rig.waiting();
  const digest = open.proposal?.digest ?? '';
  await login('responder');
  expect(await cli(['ack', open.workflowId])).toMatchObject({ exitCode: 0 });
  expect(await cli(['approve', open.workflowId, '--proposal', digest])).toMatchObject({ exitCode: 5 });
  await login('lead');
  expect(await cli(['approve', open.workflowId, '--proposal', '00000000'])).toMatchObject({ exitCode: 5 });
  expect(await cli(['approve', open.workflowId, '--proposal', digest.slice(0, 8)])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('Roll shop back from v2 to v1 (approved, 1 of 1)'),
  });
  const closed = await rig.ended(open);
  expect(closed).toMatchObject({ outcome: 'mitigated', decision: { by: ['lead'], via: 'api' } });
  expect(closed.timeline).toContainEqual(expect.objectContaining({ kind: 'acknowledged', who: 'responder' }));
});

it('follows an incident to its end over the API, one line of JSON for each event, and says what it asks', async () => {
  const open = await rig.waiting();
  await login('lead');
  const args = ['src/cli/main.ts', 'watch', '--json']; // the newest open incident
  const env = { HOLDFAST_STATE_DIR: rig.stateDir, TEMPORAL_ADDRESS: '127.0.0.1:1' };
  const watching = execa(process.execPath, args, { cwd: ROOT, env, reject: false });
  const events: { kind: string; what: string; outcome?: string }[] = [];
  for await (const line of watching) {
    const event = JSON.parse(line) as (typeof events)[number];
    events.push(event);
    if (event.kind === 'asks')
      await cli(['approve', open.workflowId, '--proposal', (open.proposal?.digest ?? '').slice(0, 8)]);
  }
  expect(await watching).toMatchObject({ exitCode: 0 });
  const kinds = events.map(({ kind }) => kind);
  const { timeline } = await rig.status(open.workflowId, open.runId);
  expect(kinds.filter((kind) => !['asks', 'outcome'].includes(kind))).toEqual(timeline.map(({ kind }) => kind));
  expect(events.find(({ kind }) => kind === 'asks')?.what).toContain('Asked of approver: Roll shop back from v2 to v1');
  expect(events.at(-1)).toMatchObject({ kind: 'outcome', outcome: 'mitigated' });
  const listed = JSON.parse((await cli(['incidents', '--json'])).stdout) as object[];
  expect(listed).toContainEqual(expect.objectContaining({ runId: open.runId, phase: 'closed', service: 'shop' }));
});

it('says by its exit code that a person must go on, and that there is no such incident', async () => {
  const open = await rig.waiting();
  await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
  await rig.ended(open);
  const watched = await cli(['watch', open.workflowId]);
  expect(watched).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('Outcome: stopped') });
  expect(await cli(['incident', 'incident.nothing.high-error-rate'])).toMatchObject({ exitCode: 4 });
  expect((await cli(['--help'])).stdout).toContain('Exit codes: 0 done, 1 failed');
});

it('makes, lists and revokes tokens for an admin, and for nobody else', async () => {
  const create = ['token', 'create', 'ci', '--scope', 'read', 'deploy', '--service', 'shop', '--days', '7', '--json'];
  await login('lead');
  expect(await cli(create)).toMatchObject({ exitCode: 5, stderr: 'lead may not administer' });
  await login('cto');
  expect(await cli([...create.slice(0, 3), '--scope', 'approve'])).toMatchObject({ exitCode: 2 });
  const made = JSON.parse((await cli(create)).stdout) as { id: string; token: string };
  const who = () => fetch(`${rig.url}/api/session`, { headers: { authorization: `Bearer ${made.token}` } });
  expect((await who()).status).toBe(200);
  expect((await cli(['token', 'list'])).stdout).toContain(`${made.id}  ci  read,deploy  shop  by cto`);
  expect(await cli(['token', 'revoke', made.id])).toMatchObject({ exitCode: 0 });
  expect((await who()).status).toBe(401);
  expect(await cli(['token', 'revoke', made.id])).toMatchObject({ exitCode: 4 });
});

it('holds changes, deployments and alerts up, and lets them go on, as whoever has signed in; and prints that for a program', async () => {
  const json = async (...args: string[]) =>
    JSON.parse((await cli([...args, '--json'])).stdout) as Record<string, unknown> | object[];
  await login('responder');
  expect(await json('freeze', 'shop', 'staging', '--reason', 'year end')).toEqual({
    service: 'shop',
    environment: 'staging',
    freeze: { reason: 'year end' },
  });
  expect(await cli(['freeze', 'shop', 'moon', '--reason', 'year end'])).toMatchObject({ exitCode: 4 });
  expect(await json('unfreeze', 'shop', 'staging')).toMatchObject({ freeze: null });
  expect(await json('kill-switch', 'on', 'shop', '--reason', 'a key leaked')).toEqual({ service: 'shop', on: true });
  expect(await json('kill-switch', 'off', 'shop')).toEqual({ service: 'shop', on: false });
  const silence = await json('silence', 'alertname=Odd', '--for', '1 hour', '--reason', 'a drill');
  expect(silence).toMatchObject({ by: 'responder', match: { alertname: 'Odd' } });
  expect(await json('silences')).toEqual([silence]);
  const { id } = silence as { id: string };
  expect(await json('unsilence', id)).toEqual({ ended: id });
  expect(await cli(['unsilence', id])).toMatchObject({ exitCode: 4 });
  expect(await json('logout')).toEqual({ signedOut: true });
  expect(await cli(['kill-switch', 'on', 'shop'])).toMatchObject({ exitCode: 5 });
  const done = readAudit(rig.stateDir, 20).filter(({ via, result }) => via === 'api' && result === 'done');
  expect(done.map(({ who, what }) => `${who}: ${what}`).slice(0, 6)).toEqual([
    'responder: unsilence',
    'responder: silence',
    'responder: kill switch off',
    'responder: kill switch on',
    'responder: unfreeze',
    'responder: freeze',
  ]);
});

it('shows the audit trail, and finds that somebody has changed it', async () => {
  expect((await cli(['audit', 'list'])).stdout).toContain('create token');
  expect(await cli(['audit', 'verify'])).toMatchObject({ exitCode: 0 });
  const file = join(rig.stateDir, 'audit.jsonl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"sign in"', '"sign out"'));
  expect(await cli(['audit', 'verify'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('line 1 was changed'),
  });
});

it('says that the gateway is away', async () => {
  const env = { HOLDFAST_STATE_DIR: rig.stateDir, HOLDFAST_PUBLIC_URL: 'http://127.0.0.1:1' };
  const args = ['src/cli/main.ts', 'login', 'lead@example.com'];
  const { exitCode, stderr } = await execa(process.execPath, args, { cwd: ROOT, env, input: 'x', reject: false });
  expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringContaining('cannot be reached') });
});
