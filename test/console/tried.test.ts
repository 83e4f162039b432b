/** What somebody tries without the right to: nothing happens, and it stands somewhere that it was tried. */
import { generateKeyPairSync } from 'node:crypto';
import { Client } from '@temporalio/client';
import { readAudit } from '../../src/audit.ts';
import type { SignedDecision, Status } from '../../src/contracts/index.ts';
import { signDecision } from '../../src/sign.ts';
import { until } from '../support/until.ts';
import { pathOf, startConsole, type ConsoleRig } from './rig.ts';

let rig: ConsoleRig;
let open: Status;
beforeAll(async () => {
  rig = await startConsole();
}, 120_000);
afterAll(() => rig[Symbol.asyncDispose]());
beforeEach(async () => {
  open = await rig.waiting();
});
afterEach(async () => {
  await rig.client.workflow.getHandle(open.workflowId).signal('stop', { by: 'test' });
  await rig.ended(open);
});

const trail = () => readAudit(rig.stateDir, 1000);
const decide = (by: Client, { workflowId, runId }: Status, decision: object) =>
  by.workflow.getHandle(workflowId, runId).executeUpdate<unknown, [object]>('decide', { args: [decision] });
const because = (message: string) => ({ cause: { message: expect.stringContaining(message) } });
const refOf = ({ workflowId, runId, proposal }: Status) => ({ workflowId, runId, digest: proposal?.digest ?? '' });
const expectUndecided = async (of: Status): Promise<void> => {
  const { phase, decision } = await rig.status(of.workflowId, of.runId);
  expect({ phase, decision }).toEqual({ phase: 'waiting', decision: undefined });
};

it.each([
  ['a person', () => 'approver@example.com'],
  ['the gateway', () => rig.client.options.identity], // it is that of this process
])(
  'takes nothing of a client of Temporal that calls itself %s; its signals stand in the timeline, its updates in the log of the worker',
  async (_, identity) => {
    const stranger = new Client({ connection: rig.client.connection, identity: identity() });
    const { privateKey } = generateKeyPairSync('ed25519');
    const own = {
      HOLDFAST_DECISION_KEY_ID: 'test',
      HOLDFAST_DECISION_PRIVATE_KEY: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    };
    const forged = signDecision({ env: own }, refOf(open), { person: 'approver', verdict: 'approved' });
    const warnings = rig.warned.length;
    const handle = stranger.workflow.getHandle(open.workflowId, open.runId);
    await handle.signal('approve', { by: 'approver', code: 'AAAA-AAAA' });
    await handle.signal('approve', { by: 'approver' });
    await expect(decide(stranger, open, forged)).rejects.toMatchObject(because('the signature is wrong'));
    await expect(decide(stranger, open, { by: 'approver' })).rejects.toMatchObject(
      because('this is not a signed decision'),
    );
    let tried: string[] = [];
    await until(async () => {
      const { timeline } = await rig.status(open.workflowId);
      tried = timeline.filter(({ kind }) => kind === 'refused').map(({ what }) => what);
      return tried.length === 2;
    });
    expect(tried.sort()).toEqual([
      expect.stringMatching(/^A request to approve changed nothing: the code is not one for approver/),
      expect.stringMatching(/^A request to approve changed nothing: the input must be/),
    ]);
    const { events } = await handle.fetchHistory();
    const claimed = events?.flatMap(({ workflowExecutionSignaledEventAttributes: of }) =>
      of?.signalName === 'approve' ? [of.identity] : [],
    );
    expect(claimed).toEqual([identity(), identity()]);
    await until(() => rig.warned.length >= warnings + 2);
    expect(rig.warned.slice(warnings)).toEqual([
      'a decision of approver via cli was refused: the signature is wrong',
      'a decision of somebody via no known way was refused: this is not a signed decision',
    ]);
    await expectUndecided(open);
    expect(rig.simulator.world.running).toBe('v2');
  },
);

it('refuses a decision that was signed for another environment of the service, however it is moved, and takes it where it belongs', async () => {
  const staging = await rig.waiting({ environment: 'staging' });
  const { workflowId, runId, digest } = refOf(open);
  const signed = signDecision(rig.config, refOf(staging), { person: 'lead', verdict: 'approved' });
  const moved: [SignedDecision, string][] = [
    [signed, 'the decision is for another run'],
    [{ ...signed, workflowId, runId }, 'another proposal is open now'],
    [{ ...signed, workflowId, runId, digest }, 'the signature is wrong'],
  ];
  for (const [decision, why] of moved)
    await expect(decide(rig.client, open, decision)).rejects.toMatchObject(because(why));

  const lead = rig.visitor('lead');
  const form = { digest: signed.digest, verdict: 'approved' };
  expect(await lead.send(pathOf(open), `${pathOf(open)}/decide`, form)).toMatchObject({ status: 403 });
  const { status } = await fetch(`${rig.url}/api/runs/${workflowId}/decision`, {
    method: 'POST',
    headers: { authorization: `Bearer ${lead.session}`, 'content-type': 'application/json' },
    body: JSON.stringify(form),
  });
  expect(status).toBe(403);
  const tried = { who: 'lead', what: 'approved', result: 'refused' };
  const detail = expect.stringMatching(`proposal ${signed.digest.slice(0, 8)}.*another proposal is open now`);
  expect(readAudit(rig.stateDir, 2)).toMatchObject([
    { ...tried, via: 'api', on: workflowId, detail },
    { ...tried, via: 'console', on: `${workflowId}/${runId}`, detail },
  ]);
  await expectUndecided(open);
  await expectUndecided(staging);
  expect(rig.simulator.world.running).toBe('v2');

  await decide(rig.client, staging, signed);
  expect(await rig.ended(staging)).toMatchObject({ outcome: 'mitigated', decision: { by: ['lead'] } });
  await expectUndecided(open);
});

it('shows and takes a decision of an incident outside of production over the API', async () => {
  const staging = await rig.waiting({ environment: 'staging' });
  const { session } = rig.visitor('lead');
  const headers = { authorization: `Bearer ${session}`, 'content-type': 'application/json' };
  const at = `${rig.url}/api/runs/${staging.workflowId}`;
  expect(await (await fetch(at, { headers })).json()).toMatchObject({ runId: staging.runId });
  const body = JSON.stringify({ digest: staging.proposal?.digest, verdict: 'declined' });
  expect((await fetch(`${at}/decision`, { method: 'POST', headers, body })).status).toBe(200);
  expect(await rig.ended(staging)).toMatchObject({ outcome: 'declined', decision: { by: ['lead'], via: 'api' } });
});

describe.each([
  'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)',
  'Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5',
  'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
  'WhatsApp/2.23.20.0',
])('a link that %s fetches', (agent) => {
  const asked = (path: string, of: RequestInit = {}) =>
    fetch(rig.url + path, { redirect: 'manual', headers: { 'user-agent': agent, accept: '*/*' }, ...of });
  const decision = () => new URLSearchParams({ digest: open.proposal?.digest ?? '', verdict: 'approved' }).toString();

  it.each(['GET', 'HEAD'])(
    'changes nothing by %s, and leaves no decision in the trail: none was tried',
    async (method) => {
      const before = trail();
      const links = [
        pathOf(open),
        `${pathOf(open)}?${decision()}`,
        `${pathOf(open)}/decide?${decision()}`,
        `/api/runs/${open.workflowId}/decision?${decision()}`,
        '/sign-in/link?token_hash=abc',
      ];
      for (const link of links) {
        const answer = await asked(link, { method });
        expect([200, 401, 404]).toContain(answer.status);
        expect(answer.headers.get('set-cookie')).toBeNull();
        expect(await answer.text()).not.toContain('Roll shop back');
      }
      expect(trail()).toEqual(before);
      const { timeline } = await rig.status(open.workflowId);
      expect(timeline.filter(({ kind }) => ['approved', 'declined', 'refused'].includes(kind))).toEqual([]);
      await expectUndecided(open);
    },
  );

  it('changes nothing by a POST either, and the trail says what was tried', async () => {
    const path = `${pathOf(open)}/decide`;
    expect((await asked(path, { method: 'POST', body: new URLSearchParams(decision()) })).status).toBe(403);
    expect(readAudit(rig.stateDir, 1)).toMatchObject([
      { who: 'unknown', via: 'console', what: `POST ${path}`, result: 'refused' },
    ]);
    await expectUndecided(open);
  });
});
