/** Clicks in Slack, posted by the test as Slack posts them, for an incident that runs on a real Temporal with a simulated world. */
import { createHmac } from 'node:crypto';
import { readAudit } from '../../src/audit.ts';
import type { DeploymentOrder } from '../../src/contracts/index.ts';
import { deliveryOf } from '../channels/messages.ts';
import { buttonsOf, textsOf } from '../channels/slack-rig.ts';
import { SECRET, startDecisions, type Decisions, type Waiting } from './decisions-rig.ts';
import { post as postAlert, secrets, type Running } from './rig.ts';
import { until } from '../support/until.ts';

let rig: Decisions;
beforeAll(async () => {
  rig = await startDecisions();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** The newest line of the audit trail. */
const audited = () => readAudit(rig.stateDir, 1)[0];
const bodyOf = (
  ts: string,
  action: string,
  value: string,
  by = 'ada',
  container: string = rig.slack.channel,
  reason: string | null = null,
): string =>
  new URLSearchParams({
    payload: JSON.stringify({
      type: 'block_actions',
      user: { id: rig.slack.user(by) || by, username: by },
      container: { type: 'message', message_ts: ts, channel_id: container },
      actions: [{ type: 'button', action_id: action, block_id: 'b', value, action_ts: '1' }],
      state: { values: { reason: { reason: { type: 'plain_text_input', value: reason } } } },
      response_url: 'http://127.0.0.1:1/never-asked',
    }),
  }).toString();
const signed = (body: string, { secret = SECRET, at = Math.floor(Date.now() / 1000) } = {}) => ({
  'x-slack-request-timestamp': String(at),
  'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`,
});
const post = async (body: string, headers: Record<string, string>): Promise<number> => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  return (
    await fetch(`${rig.gateway.url}/slack/interactions`, { method: 'POST', body, headers: { ...form, ...headers } })
  ).status;
};
const click = async (of: Waiting, action: string, by?: string, value = of.valueOf(action)): Promise<void> => {
  const body = bodyOf(of.ts, action, value, by);
  expect(await post(body, signed(body))).toBe(200);
};
/** The last line of the message, once it has changed. */
const answerOf = async (of: Waiting, before = ''): Promise<string> => {
  let last = before;
  await until(async () => {
    const shown = await of.message();
    last = shown.blocks.some(({ block_id: id }) => id === 'answer') ? (textsOf(shown).at(-1) ?? '') : '';
    return last !== before && last !== '';
  });
  return last;
};
/** Wait until the incident knows that this person looks at it. */
const acknowledgedBy = (of: Waiting, by: string): Promise<void> =>
  until(async () =>
    (await of.status()).timeline.some(({ kind, who: whose }) => kind === 'acknowledged' && whose === by),
  );
const actionsOf = async (of: Waiting): Promise<string[]> =>
  buttonsOf(await of.message()).map(({ action_id: id }) => id);

it('approves what the button was shown with, and says in the message who did', async () => {
  const incident = await rig.waiting();
  await click(incident, 'approve');
  expect(await answerOf(incident)).toBe('Approved by responder.');
  expect(await actionsOf(incident)).toEqual(['acknowledge']);
  await expect(incident.handle.result()).resolves.toMatchObject({ outcome: 'mitigated' });
  expect((await incident.status()).decision).toMatchObject({ verdict: 'approved', by: ['responder'], via: 'slack' });
  expect(audited()).toMatchObject({ who: 'responder', via: 'slack', what: 'approved', result: 'done' });
  expect(audited()?.detail).toBe(`proposal ${incident.digest.slice(0, 8)}`);
});

it('rejects', async () => {
  const incident = await rig.waiting();
  await click(incident, 'reject');
  expect(await answerOf(incident)).toBe('Rejected by responder.');
  await expect(incident.handle.result()).resolves.toMatchObject({ outcome: 'declined' });
});

it('acknowledges and leaves the decision open', async () => {
  const incident = await rig.waiting();
  await click(incident, 'acknowledge');
  expect(await answerOf(incident)).toBe('responder is looking at it.');
  expect(await actionsOf(incident)).toEqual(['approve', 'reject', 'acknowledge']);
  await acknowledgedBy(incident, 'responder');
  await click(incident, 'reject');
  await incident.handle.result();
});

it('knows who acknowledges in PagerDuty', async () => {
  const incident = await rig.waiting();
  const { workflowId, runId } = await incident.status();
  const acknowledging = (key: string): string =>
    JSON.stringify({
      event: {
        event_type: 'incident.acknowledged',
        occurred_at: new Date().toISOString(),
        agent: { id: 'P1', type: 'user_reference', summary: 'Ada Lovelace' },
        data: { id: 'Q1', title: 'Roll back', incident_key: key },
      },
    });
  const postSigned = async (body: string): Promise<number> => {
    const signature = createHmac('sha256', secrets.HOLDFAST_PAGERDUTY_SECRET).update(body).digest('hex');
    return (await postAlert(rig.gateway.url, 'pagerduty', body, { 'x-pagerduty-signature': `v1=${signature}` })).status;
  };
  expect(await postSigned(acknowledging(`holdfast|${workflowId}|${runId}|0`))).toBe(202);
  await acknowledgedBy(incident, 'Ada Lovelace in PagerDuty');
  await click(incident, 'reject');
  await incident.handle.result();
  for (const key of [`holdfast|${workflowId}|${runId}|0`, 'holdfast|0', 'another alert', ''])
    // ended, unknown, not ours
    expect(await postSigned(acknowledging(key))).toBe(202);
});

it('answers in a direct message too', async () => {
  const incident = await rig.waiting();
  const { workflowId, runId } = await incident.status();
  const asks = { digest: incident.digest, expiresAt: '2100-01-01T00:00:00.000Z' };
  await rig.page(deliveryOf({ to: rig.slack.user('ada'), workflowId, runId, asks }));
  const direct = await rig.slack.direct('ada');
  const [{ ts } = { ts: '' }] = await rig.slack.messages(direct);
  const body = bodyOf(ts, 'reject', incident.valueOf('reject'), 'ada', direct);
  expect(await post(body, signed(body))).toBe(200);
  await until(
    async () =>
      textsOf((await rig.slack.messages(direct))[0] ?? { ts, text: '', blocks: [] }).at(-1) ===
      'Rejected by responder.',
  );
  await incident.handle.result();
});

it('asks which way where there are several, and takes the reason', async () => {
  const order: DeploymentOrder = { service: 'shop', environment: 'staging', ref: '1.4.0', orderedBy: 'cli:lead' };
  const deployment = await rig.waitingRun('stagingDeployment', order);
  expect((await deployment.status()).proposal?.options).toEqual(['retry', 'skip']);
  const before = audited();
  await click(deployment, 'approve');
  const which = await answerOf(deployment);
  expect(which).toBe('responder: which way?');
  expect(audited()).toEqual(before); // nothing is decided yet
  expect(await actionsOf(deployment)).toEqual(['acknowledge', 'approve.retry', 'approve.skip', 'reject']);

  const [, , skip] = buttonsOf(await deployment.message());
  const skipping = skip?.value ?? '';
  await click(deployment, 'approve.skip', 'ada', skipping);
  expect(await answerOf(deployment, which)).toBe(
    'Refused, nothing was changed: to leave a step out needs a reason (responder)',
  );
  const body = bodyOf(deployment.ts, 'approve.skip', skipping, 'ada', rig.slack.channel, 'it passed by hand');
  expect(await post(body, signed(body))).toBe(200);
  await until(async () => (await actionsOf(deployment)).length === 1);
  const { timeline } = await deployment.status();
  expect(timeline).toContainEqual(
    expect.objectContaining({
      kind: 'approved',
      who: 'responder via slack',
      what: expect.stringMatching(/\(skip\).*: it passed by hand$/),
    }),
  );
  await deployment.handle.terminate();
});

it('refuses whoever may not, says why, and leaves the buttons to those who may', async () => {
  const incident = await rig.waiting();
  await click(incident, 'approve', 'grace');
  const refused = await answerOf(incident);
  expect(refused).toMatch(/^Refused, nothing was changed: .*visitor/);
  expect(await actionsOf(incident)).toEqual(['approve', 'reject', 'acknowledge']);
  await click(incident, 'approve', 'U404STRANGER');
  expect(await answerOf(incident, refused)).toBe(
    'Refused, nothing was changed: this Slack user is nobody of the configuration',
  );
  expect(audited()).toMatchObject({ who: 'unknown', via: 'slack', what: 'approved', result: 'refused' });
  expect((await incident.status()).phase).toBe('waiting');
  await click(incident, 'reject');
  await incident.handle.result();
});

it('refuses the button of another proposal and takes it away', async () => {
  const incident = await rig.waiting();
  const other = 'f'.repeat(64);
  await click(incident, 'approve', 'ada', incident.valueOf('approve').replace(incident.digest, other));
  expect(await answerOf(incident)).toContain('Too late, nothing was changed: another proposal is open now');
  expect((await incident.status()).phase).toBe('waiting');
  await click(incident, 'reject');
  await incident.handle.result();
});

it('says that it is too late where it was decided already, and by whom', async () => {
  const incident = await rig.waiting();
  await click(incident, 'reject');
  await incident.handle.result();
  const first = await answerOf(incident);
  await click(incident, 'approve');
  expect(await answerOf(incident, first)).toBe(
    'Too late, nothing was changed: it was declined already by responder via slack',
  );
  expect(await actionsOf(incident)).toEqual([]);
});

it('takes no click that is forged, replayed, too old or of the future', async () => {
  const incident = await rig.waiting();
  const now = Math.floor(Date.now() / 1000);
  const body = bodyOf(incident.ts, 'approve', incident.valueOf('approve'));
  const tampered = bodyOf(incident.ts, 'approve', incident.valueOf('approve'), 'grace');
  for (const headers of [
    {},
    signed(body, { secret: 'another secret' }),
    signed(tampered),
    signed(body, { at: now - 400 }),
    signed(body, { at: now + 400 }),
    { ...signed(body, { at: now - 400 }), 'x-slack-request-timestamp': String(now) },
    { ...signed(body), 'x-slack-signature': '' },
  ])
    expect(await post(body, headers as Record<string, string>)).toBe(401);
  const tried = { who: 'unknown', via: 'slack', what: 'click', result: 'refused', detail: 'signature' };
  expect(readAudit(rig.stateDir, 50)).toContainEqual(expect.objectContaining(tried));
  expect((await incident.status()).phase).toBe('waiting');

  const rejecting = bodyOf(incident.ts, 'reject', incident.valueOf('reject'));
  const headers = signed(rejecting);
  expect(await post(rejecting, headers)).toBe(200);
  expect(await post(rejecting, headers)).toBe(409);
  await expect(incident.handle.result()).resolves.toMatchObject({ outcome: 'declined' });
});

it('says that there is no answer yet while Temporal is away, and leaves the buttons', async () => {
  const incident = await rig.waiting();
  await using away = await rig.gatewayAlone();
  const body = bodyOf(incident.ts, 'acknowledge', incident.valueOf('acknowledge'));
  const init = { method: 'POST', body, headers: signed(body) };
  expect((await fetch(`${away.url}/slack/interactions`, init)).status).toBe(200);
  expect(await answerOf(incident)).toBe(
    'No answer yet (responder): Temporal or the worker is away. Click again, it counts once.',
  );
  expect(await actionsOf(incident)).toEqual(['approve', 'reject', 'acknowledge']);
  await incident.handle.terminate();
});

it('knows a replay after a restart, and is closed without its secret', async () => {
  const body = bodyOf('1.1', 'approve', 'of nothing');
  const headers = signed(body);
  const postTo = async ({ url }: Running): Promise<number> =>
    (await fetch(`${url}/slack/interactions`, { method: 'POST', body, headers })).status;
  {
    await using running = await rig.gatewayAlone();
    expect(await postTo(running)).toBe(200);
  }
  await using again = await rig.gatewayAlone();
  expect(await postTo(again)).toBe(409);
  await using closed = await rig.gatewayAlone({ HOLDFAST_SLACK_SIGNING_SECRET: '' });
  expect(await postTo(closed)).toBe(404);
});

it.each([
  ['nothing', ''],
  ['no JSON', 'payload=%7B'],
  ['another kind', `payload=${encodeURIComponent(JSON.stringify({ type: 'view_submission', user: { id: 'U1' } }))}`],
])('refuses %s although it is signed', async (_, body) => {
  expect(await post(body, signed(body))).toBe(400);
});
