/** Break-glass, as people meet it: console without JavaScript, API and command line, over a real Temporal. */
import { join } from 'node:path';
import { execa } from 'execa';
import { readAudit } from '../../src/audit.ts';
import type { Status } from '../../src/contracts/index.ts';
import { secondLookId } from '../../src/runbook/catalogue.ts';
import { until } from '../support/until.ts';
import { pathOf, startConsole, type ConsoleRig } from './rig.ts';
import { settings } from './settings.ts';

const ROOT = join(__dirname, '..', '..');
const REASON = 'the shop is down and nobody answers';
let rig: ConsoleRig;
beforeAll(async () => {
  const breakGlass = { roles: ['admin' as const], secondPersonWithin: '1 hour' };
  const medium = { ...settings.approval.medium, quorum: 2, breakGlass };
  rig = await startConsole({ settings: { ...settings, approval: { ...settings.approval, medium } } });
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

const decide = (status: Status): string => `${pathOf(status)}/decide`;
const lookIdOf = ({ proposal }: Status): string => secondLookId({ service: 'shop', digest: proposal?.digest ?? '' });
/** The run in which a second person is asked, when it asks. */
async function looking(open: Status): Promise<Status> {
  let status: Status | undefined;
  await until(async () => {
    status = await rig.status(lookIdOf(open)).catch(() => undefined);
    return status?.phase === 'waiting' && status.waitingFor.length > 0;
  });
  return status as Status;
}
const api = (person: string, path: string, body?: object) =>
  fetch(`${rig.url}/api${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${rig.store.openSession(person, `${person}@example.com`)}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
/** Approve alone over the API, and wait until that is over. */
async function alone(): Promise<Status> {
  const open = await rig.waiting();
  const decision = { digest: open.proposal?.digest, verdict: 'approved', breakGlass: true, reason: REASON };
  const answer = await api('cto', `/runs/${open.workflowId}/decision`, decision);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    verdict: 'approved',
    approvedBy: ['cto'],
    needed: 2,
    breakGlass: { workflowId: lookIdOf(open), reason: REASON },
  });
  await rig.ended(open);
  return open;
}
async function cli(...args: string[]) {
  const { HOLDFAST_DECISION_KEY_ID, HOLDFAST_DECISION_PRIVATE_KEY } = rig.config.env;
  const env = {
    HOLDFAST_STATE_DIR: rig.stateDir,
    TEMPORAL_ADDRESS: rig.config.TEMPORAL_ADDRESS,
    HOLDFAST_DECISION_KEY_ID,
    HOLDFAST_DECISION_PRIVATE_KEY,
  };
  return await execa(process.execPath, ['src/cli/main.ts', ...args], { cwd: ROOT, env, reject: false });
}

it('is a form of its own for whom the rule names, needs a reason, and everybody sees who approved alone and who must look', async () => {
  const open = await rig.waiting();
  expect((await rig.visitor('approver').get(pathOf(open))).text).not.toContain('Break-glass');
  const cto = rig.visitor('cto');
  const { text } = await cto.get(pathOf(open));
  expect(text).toMatch(/<details id="break-glass"[^]*The rule asks for 2 people[^]*within 1 hour[^]*Approve alone</);
  expect(text).toContain('cto lacks the role approver for medium risk.');
  expect(text).not.toContain('>Reject<');
  const without = await cto.send(pathOf(open), decide(open), { verdict: 'approved', reason: ' ' });
  expect(without.status).toBe(403);
  expect(without.text).toContain('Not done: break-glass needs a reason');
  expect((await cto.send(pathOf(open), decide(open), { verdict: 'approved', reason: REASON })).status).toBe(303);
  expect(await rig.ended(open)).toMatchObject({ outcome: 'mitigated', decision: { by: ['cto'], via: 'console' } });
  expect(readAudit(rig.stateDir, 20)).toContainEqual(
    expect.objectContaining({
      who: 'cto',
      what: 'approved alone (break-glass)',
      result: 'done',
      detail: expect.stringContaining(REASON),
    }),
  );
  expect((await cto.get(pathOf(open))).text).toMatch(
    new RegExp(`Break-glass: cto approved it alone</strong>, because: ${REASON}[^]*href="/runs/${lookIdOf(open)}"`),
  );

  const look = await looking(open);
  const lead = rig.visitor('lead');
  await until(async () => (await lead.get('/')).text.includes('Approved by one person alone: to be looked at'));
  expect((await cto.get(pathOf(look))).text).not.toContain('name="verdict"');
  const page = (await lead.get(`/runs/${look.workflowId}`)).text;
  expect(page).toContain(`cto via console at`);
  expect(page).toMatch(/If nobody looks[^]*the ladder is climbed/);
  expect(page).not.toMatch(/\/(pause|stop|takeOver)"/);
  const objected = await lead.send(pathOf(look), decide(look), { verdict: 'declined', reason: '' });
  expect(objected.text).toContain('to object needs a note');
  expect((await lead.send(pathOf(look), decide(look), { verdict: 'approved' })).status).toBe(303);
  expect(await rig.ended(look)).toMatchObject({ outcome: 'confirmed', decision: { by: ['lead'] } });
  await until(async () => !(await lead.get('/')).text.includes('to be looked at'));
});

it('is of the API for people with the role, never for a token, and what waits for a second person is listed', async () => {
  const open = await alone();
  const { token } = rig.store.createToken({
    name: 'ci',
    scopes: ['read', 'respond', 'deploy'],
    services: [],
    by: 'cto',
    expires: new Date(Date.now() + 60_000).toISOString(),
  });
  const look = await looking(open);
  const refused = await fetch(`${rig.url}/api/runs/${look.workflowId}/decision`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ digest: look.proposal?.digest, verdict: 'approved', breakGlass: true, reason: REASON }),
  });
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain('a token never decides');
  await until(async () => (await (await api('viewer', '/incidents?state=open')).text()).includes(look.workflowId));
  const document = await (await fetch(`${rig.url}/api/openapi.json`)).json();
  expect(document).toMatchObject({
    components: { schemas: { Decision: { properties: { breakGlass: { enum: [true] } } } } },
  });
  const own = { digest: look.proposal?.digest, verdict: 'approved' };
  expect(await (await api('cto', `/runs/${look.workflowId}/decision`, own)).text()).toContain(
    'a second person must look',
  );
  expect((await api('approver', `/runs/${look.workflowId}/decision`, own)).status).toBe(200);
  expect(await rig.ended(look)).toMatchObject({ outcome: 'confirmed' });
});

it('is of the command line with a reason, and so is the answer of the second person', async () => {
  const open = await rig.waiting();
  const proposal = (open.proposal?.digest ?? '').slice(0, 8);
  const as = ['approve', open.workflowId, '--as', 'cto', '--proposal', proposal, '--break-glass'];
  expect(await cli(...as)).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('needs a reason') });
  const done = await cli(...as, '--reason', REASON);
  expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('(approved, 1 of 2)') });
  expect(done.stdout).toMatch(new RegExp(`A second person must look by \\S+: approve or reject ${lookIdOf(open)}`));
  await rig.ended(open);
  const look = await looking(open);
  await until(async () => (await cli('incidents')).stdout.includes(`waiting for approver, lead  ${look.workflowId}`));
  const objecting = ['--as', 'lead', '--proposal', (look.proposal?.digest ?? '').slice(0, 8), '--reason', 'not so'];
  expect(await cli('reject', look.workflowId, ...objecting)).toMatchObject({ exitCode: 0 });
  expect(await rig.ended(look)).toMatchObject({ outcome: 'objected', note: expect.stringContaining('not so') });
  await until(async () => (await rig.status(`${look.workflowId}.escalation.0`)).waitingFor.includes('approver'));
  await rig.client.workflow.getHandle(`${look.workflowId}.escalation.0`).signal('takeOver', { by: 'approver' });
}, 120_000);
