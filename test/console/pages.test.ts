import { readAudit, verifyAudit } from '../../src/audit.ts';
import type { Status } from '../../src/contracts/index.ts';
import { charts } from '../../src/console/pages/charts.ts';
import { until } from '../support/until.ts';
import { pathOf, startConsole, type ConsoleRig } from './rig.ts';
import { visitor } from './visitor.ts';

let rig: ConsoleRig;
beforeAll(async () => {
  rig = await startConsole();
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());

const audited = (result: string) => readAudit(rig.stateDir, 20).filter((entry) => entry.result === result);

it('says on one page what is wrong, what is asked of whom until when, its risk and undo, and what happens without an answer', async () => {
  const open = await rig.waiting();
  const { text } = await rig.visitor('approver').get(pathOf(open));
  expect(text).toContain('High error rate on shop production: 20 % of the requests fail');
  expect(text).toContain('Asked of you');
  expect(text).toContain('Roll shop back from v2 to v1');
  expect(text).toMatch(/If nobody answers[^]*lead \(engineering lead\) will be asked/);
  expect(text).toMatch(/<dt>Risk<\/dt>[^]*<dt>Undo<\/dt>/);
  expect(text).toContain('&quot;kind&quot;: &quot;roll-back&quot;');
  expect(text).toContain('error patterns');
  const now = rig.visitor('approver');
  await until(async () => (await now.get('/')).text.includes('1 waits for you'));
  expect((await now.get('/')).text).toContain('Roll shop back from v2 to v1');
  await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
  await rig.ended(open);
});

it('shows who must go on where a run has handed over, until somebody takes over', async () => {
  const workflowId = 'incident.shop.triage';
  const incident = {
    service: 'shop',
    environment: 'production',
    severity: 'critical',
    summary: 'odd',
    openedBy: 'test',
  };
  const args = [{ ...incident, openedAt: new Date().toISOString() }];
  await rig.client.workflow.execute('triage', { workflowId, taskQueue: 'holdfast', args });
  const approver = rig.visitor('approver');
  let text = '';
  await until(async () => {
    ({ text } = await approver.get('/'));
    return text.includes('Waiting for approver: Triage on shop') && /[1-9] waits for you/.test(text);
  });
  const [path = ''] = /\/runs\/incident\.shop\.triage\.escalation\.0\/[\w-]+/.exec(text) ?? [];
  expect((await approver.get(path)).text).not.toContain('/pause"');
  expect((await approver.send(path, `${path}/takeOver`, { text: 'mine' })).status).toBe(303);
  expect(await rig.client.workflow.getHandle(`${workflowId}.escalation.0`).result()).toMatchObject({
    outcome: 'taken-over',
  });
  await until(async () => !(await approver.get('/')).text.includes('Triage on shop'));
});

it('approves by a form, tells who did, and the run goes on', async () => {
  const open = await rig.waiting();
  const approver = rig.visitor('approver');
  const sent = await approver.send(pathOf(open), `${pathOf(open)}/decide`, { verdict: 'approved', reason: 'go on' });
  expect(sent.status).toBe(303);
  expect(sent.headers.get('location')).toBe(pathOf(open));
  const closed = await rig.ended(open);
  expect(closed).toMatchObject({ outcome: 'mitigated', decision: { by: ['approver'], via: 'console' } });
  expect((await approver.get(pathOf(open))).text).toContain('Closed as mitigated');
  expect(audited('done')[0]).toMatchObject({ who: 'approver', via: 'console', what: 'approved' });
  expect(verifyAudit(rig.stateDir).fault).toBeUndefined();
});

it('draws what the run has read, with marks from the release to the recovery, and says what it has not read', async () => {
  const open = await rig.waiting();
  const approver = rig.visitor('approver');
  await approver.send(pathOf(open), `${pathOf(open)}/decide`, { verdict: 'approved' });
  const ended = await rig.ended(open);
  const { measurements = [] } = ended;
  const ratios = measurements.find(({ quantity }) => quantity === 'error-ratio')?.points.map(({ value }) => value);
  expect([ratios?.[0], ratios?.at(-1)]).toEqual([0.2, 0]);
  const { text } = await approver.get(pathOf(open));
  expect(text).toMatch(
    /<desc id="error-ratio-said">\d+ readings from [^<]+; first 20 %, highest 20 %, last 0 %; limit 1 %</,
  );
  expect(text.match(/<circle class="point"/g)?.length).toBe(measurements.flatMap(({ points }) => points).length);
  expect(text).toMatch(/Clients waiting for the pool<[^]{0,60}No data: this run has not read it/);
  expect(text).toMatch(/<li>opened, [^]*<li>approved by approver via console, [^]*<li>recovered, /);
  expect(text).not.toContain('v2 released'); // long ago, in this world
  const deployedAt = new Date(Date.parse(open.incident.openedAt) - 60_000).toISOString();
  const drawn = await charts({ ...ended, running: { version: 'v2', deployedAt } });
  expect(drawn.toString()).toMatch(/<li>v2 released, [^]*<li>opened, /);
});

it('rejects by a form, and changes nothing', async () => {
  const open = await rig.waiting();
  await rig.visitor('lead').send(pathOf(open), `${pathOf(open)}/decide`, { verdict: 'declined' });
  expect(await rig.ended(open)).toMatchObject({ outcome: 'declined', decision: { by: ['lead'] } });
  expect(rig.simulator.world.running).toBe('v2');
});

it('lets a responder acknowledge, note, pause, resume and stop, each with its name', async () => {
  const open = await rig.waiting();
  const responder = rig.visitor('responder');
  const path = pathOf(open);
  const send = async (message: string) =>
    expect(await responder.send(path, `${path}/${message}`)).toMatchObject({ status: 303 });
  await send('acknowledge');
  const acknowledged = async () =>
    (await rig.client.workflow.getHandle(open.workflowId).query<Status>('status')).timeline.some(
      ({ kind }) => kind === 'acknowledged',
    );
  await until(acknowledged); // it comes by way of the ladder
  await send('pause');
  await send('resume');
  await responder.send(path, `${path}/note`, { text: 'I look at the database' });
  await responder.send(path, `${path}/stop`, { text: 'by hand' });
  const { timeline, outcome } = await rig.ended(open);
  expect(outcome).toBe('stopped');
  const said = timeline.filter(({ who }) => who === 'responder').map(({ kind }) => kind);
  expect(said).toEqual(['acknowledged', 'paused', 'resumed', 'note', 'stopped']);
});

it('shows text from outside as text', async () => {
  const evil = `<script>alert(1)</script><img src=x onerror=alert(1)>" autofocus onfocus="x {{7*7}} \u202e <b>`;
  const open = await rig.waiting({ summary: evil });
  const approver = rig.visitor('approver');
  await approver.send(pathOf(open), `${pathOf(open)}/note`, { text: evil });
  await until(async () => (await approver.get('/')).text.includes('alert(1)'));
  for (const path of [pathOf(open), '/'])
    expect((await approver.get(path)).text).not.toMatch(/<script>|<img|<b>|" autofocus/);
  const { text } = await approver.get(`/past?q=${encodeURIComponent('"><script>alert(1)</script>')}`);
  expect(text).not.toContain('<script>alert');
  await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
  await rig.ended(open);
});

describe('a decision that is not one', () => {
  it('changes nothing and is in the audit trail: another site, a hidden origin, no token, another session, a session that ended', async () => {
    const open = await rig.waiting();
    const path = `${pathOf(open)}/decide`;
    const [approver, other] = [rig.visitor('approver'), rig.visitor('approver')];
    const page = (await approver.get(pathOf(open))).text;
    const csrf = /name="csrf" value="(\w+)"/.exec(page)?.[1] ?? '';
    const form = { csrf, digest: open.proposal?.digest ?? '', verdict: 'approved' };
    const entries = audited('refused').length;
    expect((await approver.post(path, form, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await approver.post(path, form, { origin: 'null' })).status).toBe(403);
    expect((await approver.post(path, { ...form, csrf: '' })).status).toBe(403);
    expect((await other.post(path, form)).status).toBe(403);
    expect((await visitor(rig.url, 'hfs_forged').post(path, form)).status).toBe(401);
    expect((await rig.visitor('responder').send(pathOf(open), `${pathOf(open)}/acknowledge`)).status).toBe(303);
    expect((await approver.get(path)).status).toBe(404);
    await approver.post('/sign-out', { csrf });
    expect((await approver.post(path, form)).status).toBe(401);
    expect(audited('refused').length - entries).toBe(6);
    const { phase, decision } = await rig.status(open.workflowId);
    expect({ phase, decision }).toEqual({ phase: 'waiting', decision: undefined });
    await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
    await rig.ended(open);
  });

  it('is refused with the reason for whoever may not decide, for another proposal, and for a run that has ended', async () => {
    const open = await rig.waiting();
    const path = pathOf(open);
    const decide = { digest: open.proposal?.digest ?? '', verdict: 'approved' };
    const cto = rig.visitor('cto');
    expect((await cto.get(path)).text).not.toContain('name="verdict"');
    const approver = rig.visitor('approver');
    const stale = await approver.send(path, `${path}/decide`, { ...decide, digest: '0'.repeat(64) });
    expect(stale.status).toBe(403);
    expect(stale.text).toContain('another proposal is open now');
    await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
    await rig.ended(open);
    const csrf = /name="csrf" value="(\w+)"/.exec((await approver.get(path)).text)?.[1] ?? '';
    expect((await approver.post(`${path}/decide`, { ...decide, csrf })).status).toBe(403);
  });
});

it('counts people and not clicks where two must approve, and tells who has decided', async () => {
  const { firstExecutionRunId: runId } = await rig.client.workflow.start('productionDeployment', {
    workflowId: 'deployment.mail.production',
    taskQueue: 'holdfast',
    args: [{ service: 'mail', environment: 'production', ref: '1.4.0', orderedBy: 'console:approver' }],
  });
  const path = `/runs/deployment.mail.production/${runId}`;
  const asked = async () => rig.status('deployment.mail.production', runId);
  await until(async () => (await asked()).phase === 'waiting');
  const approver = rig.visitor('approver');
  const own = await approver.send(path, `${path}/decide`, { verdict: 'approved' });
  expect(own.status).toBe(403);
  expect(own.text).toContain('approver asked for it: somebody else must decide');
  const lead = rig.visitor('lead');
  expect((await lead.send(path, `${path}/decide`, { verdict: 'approved' })).status).toBe(303);
  expect((await lead.send(path, `${path}/decide`, { verdict: 'approved' })).text).toContain('has decided already');
  expect((await asked()).phase).toBe('waiting');
  await rig.client.workflow.getHandle('deployment.mail.production').signal('stop', { by: 'test' });
  await rig.client.workflow.getHandle('deployment.mail.production', runId).result();
});

it('shows until when a canary bakes, by the configuration, where its step stands', async () => {
  const workflowId = 'deployment.shop.production';
  const { firstExecutionRunId: runId } = await rig.client.workflow.start('productionDeployment', {
    workflowId,
    taskQueue: 'holdfast',
    args: [{ service: 'shop', environment: 'production', ref: '1.4.0', orderedBy: 'console:responder' }],
  });
  const path = `/runs/${workflowId}/${runId}`;
  await until(async () => (await rig.status(workflowId, runId)).phase === 'waiting');
  for (const person of ['approver', 'lead'])
    await rig.visitor(person).send(path, `${path}/decide`, { verdict: 'approved' });
  const baking = async () =>
    (await rig.status(workflowId, runId)).steps?.find(
      ({ name, state }) => name.startsWith('Canary') && state === 'running',
    );
  await until(async () => (await baking()) !== undefined);
  const end = new Date(Date.parse((await baking())?.at ?? '') + 600_000).toISOString();
  const shown = new RegExp(
    `Bakes until <time datetime="${end}">[^<]*${end.slice(11, 19)} UTC</time>[^]*data-left>in 9 min`,
  );
  const viewer = rig.visitor('viewer');
  await until(async () => shown.test((await viewer.get('/deployments')).text));
  expect((await viewer.get(path)).text).toMatch(shown);
  await rig.client.workflow.getHandle(workflowId, runId).signal('stop', { by: 'test' });
  await rig.client.workflow.getHandle(workflowId, runId).result();
  expect((await viewer.get(path)).text).not.toContain('Bakes');
});
