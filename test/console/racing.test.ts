/** Decisions that race over every way there is, on one question after the other; each way is the one that people use. */
import { createHmac } from 'node:crypto';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { bundleWorkflowCode, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import * as codes from '../../activities/codes.ts';
import { readAudit, verifyAudit } from '../../src/audit.ts';
import { openChannels } from '../../src/channels/notifier.ts';
import { decide } from '../../src/cli/decide.ts';
import { oneTimeCode } from '../../src/codes.ts';
import type { Answer, Settings, SignedDecision, Status } from '../../src/contracts/index.ts';
import { signDecision } from '../../src/sign.ts';
import { announcementOf } from '../channels/messages.ts';
import { startSlack, type SlackRig } from '../channels/slack-rig.ts';
import { until } from '../support/until.ts';
import { pathOf, startConsole, type ConsoleRig } from './rig.ts';
import { settings } from './settings.ts';

/** A timeline keeps 200 lines: it must hold those of a run. Fifty runs are five hundred rounds. */
const [ROUNDS, RUNS] = [10, Number(process.env['HOLDFAST_RACING_RUNS'] ?? 5)];
const [CODE_SECRET, SLACK_SECRET] = ['a-secret-of-sixteen', 'a-slack-signing-secret'];
/** Who may approve, by their names in Slack. */
const SLACK_NAMES: Record<string, string> = { approver: 'ada', lead: 'grace', deputy: 'linus' };
const PEOPLE = Object.keys(SLACK_NAMES);
const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
let slack: SlackRig;
let rig: ConsoleRig;
let bundle: WorkflowBundleWithSourceMap;
/** Everybody's session, and the token of its forms. */
let sessions: Record<string, { session: string; csrf: string }>;

beforeAll(async () => {
  slack = await startSlack();
  const channels = (name: string) => [{ via: 'slack', to: slack.user(SLACK_NAMES[name] ?? '') }];
  const people: Settings['people'] = PEOPLE.map((name) => ({
    name,
    email: `${name}@example.com`,
    roles: ['approver'],
    channels: channels(name),
  }));
  const checking = codes.createActivities({ HOLDFAST_CODE_SECRET: CODE_SECRET }, settings);
  bundle = await bundleWorkflowCode({ workflowsPath: require.resolve('./racing-workflows.ts'), logger: quiet });
  rig = await startConsole({
    env: { ...slack.env, HOLDFAST_SLACK_SIGNING_SECRET: SLACK_SECRET, HOLDFAST_API_PER_MINUTE: '100000' },
    ports: { checkCode: (of) => checking.checkCode(of) },
    settings: { ...settings, people },
    bundle,
  });
  const sessionOf = async (name: string) => {
    const browser = rig.visitor(name);
    const [, csrf = ''] = /name="csrf" value="(\w+)"/.exec((await browser.get('/')).text) ?? [];
    return [name, { session: browser.session, csrf }] as const;
  };
  sessions = Object.fromEntries(await Promise.all(PEOPLE.map(sessionOf)));
}, 120_000);
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await slack[Symbol.asyncDispose]();
}, 60_000);

interface Try {
  of: Status;
  digest: string;
  person: string;
  verdict: Answer;
  ts: string;
}
/** What came of a try: `counted`, or what the loser was told. */
type Way = (one: Try) => Promise<string>;
const COUNTED = 'counted';
/** Who won; or that it is over, where the way itself does not reach the run that knows. */
const TOLD = /it was (approved|declined) already by \w+|has decided already|is counted already|the code is not one for/;
const told = (error: unknown): string => {
  const { cause } = error as Error;
  return cause instanceof Error ? cause.message : String(error);
};
const after = (done: Promise<unknown>): Promise<string> => done.then(() => COUNTED, told);

const WAYS: Record<string, Way> = {
  update: ({ of: { workflowId, runId }, digest, person, verdict }) => {
    const signed = signDecision(rig.config, { workflowId, runId, digest }, { person, verdict });
    const handle = rig.client.workflow.getHandle(workflowId, runId);
    return after(handle.executeUpdate<unknown, [SignedDecision]>('decide', { args: [signed] }));
  },
  console: async ({ of, digest, person, verdict }) => {
    const { session = '', csrf = '' } = sessions[person] ?? {};
    const response = await fetch(`${rig.url}${pathOf(of)}/decide`, {
      method: 'POST',
      redirect: 'manual',
      headers: { cookie: `holdfast=${session}`, origin: rig.url, 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ csrf, digest, verdict }),
    });
    const [, alert = ''] = /role="alert">([^<]*)/.exec(await response.text()) ?? [];
    return response.status === 303 ? COUNTED : alert;
  },
  api: async ({ of: { workflowId }, digest, person, verdict }) => {
    const response = await fetch(`${rig.url}/api/runs/${workflowId}/decision`, {
      method: 'POST',
      headers: { authorization: `Bearer ${sessions[person]?.session}`, 'content-type': 'application/json' },
      body: JSON.stringify({ digest, verdict }),
    });
    const { detail = '' } = (await response.json()) as { detail?: string };
    return response.ok ? COUNTED : detail;
  },
  cli: ({ of: { workflowId: id }, digest, person, verdict }) =>
    after(decide({ ...rig, close: async () => undefined }, { id, person, verdict, proposal: digest.slice(0, 8) })),
  slack: async ({ of: { workflowId, runId }, digest, person, verdict, ts }) => {
    const body = new URLSearchParams({
      payload: JSON.stringify({
        type: 'block_actions',
        user: { id: slack.user(SLACK_NAMES[person] ?? '') },
        container: { type: 'message', message_ts: ts, channel_id: slack.channel },
        actions: [
          {
            action_id: verdict === 'approved' ? 'approve' : 'reject',
            value: JSON.stringify({ workflowId, runId, digest }),
          },
        ],
      }),
    }).toString();
    const at = String(Math.floor(Date.now() / 1000));
    const signature = `v0=${createHmac('sha256', SLACK_SECRET).update(`v0:${at}:${body}`).digest('hex')}`;
    const headers = { 'x-slack-request-timestamp': at, 'x-slack-signature': signature };
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    await fetch(`${rig.url}/slack/interactions`, { method: 'POST', body, headers: { ...form, ...headers } });
    let outcome = '';
    await until(() => {
      const mine = readAudit(rig.stateDir, 20).find(
        (one) => one.via === 'slack' && one.who === person && one.detail.startsWith(`proposal ${digest.slice(0, 8)}`),
      );
      outcome = mine === undefined ? '' : mine.result === 'done' ? COUNTED : mine.detail;
      return outcome !== '';
    });
    return outcome;
  },
  /** Temporal answers a signal at once, whatever comes of it: that is in the timeline. */
  'temporal-ui': async ({ of: { workflowId, runId }, digest, person, verdict }) => {
    const code = oneTimeCode({ secret: CODE_SECRET, workflowId, runId, digest, person });
    const signal = verdict === 'approved' ? 'approve' : 'reject';
    await rig.client.workflow.getHandle(workflowId, runId).signal(signal, { by: person, code });
    return '';
  },
};

interface Told {
  way: string;
  person: string;
  verdict: Answer;
  said: string;
}
/** What came of signals, oldest first. */
const signals = (timeline: Status['timeline']): Status['timeline'] =>
  timeline.filter(
    ({ kind, what, who = '' }) =>
      who.endsWith(' via temporal-ui') || (kind === 'refused' && what.startsWith('A request')),
  );
const oneOf = <T>(all: T[]): T => all[Math.floor(Math.random() * all.length)] as T;
const isOpen = ({ phase, proposal }: Status, digest: string): boolean =>
  phase === 'waiting' && proposal?.digest === digest;

/** Everybody decides at once on the open question; what they have left open is approved by all of them at once. */
async function race(of: Status, ts: string): Promise<void> {
  const { workflowId, runId, proposal } = of;
  const { digest = '', risk } = proposal ?? {};
  const told: Told[] = [];
  const play = async (tries: Omit<Told, 'said'>[]): Promise<void> => {
    const saying = tries.map(async (one) => (await WAYS[one.way]?.({ of, digest, ts, ...one })) ?? '');
    const said = await Promise.all(saying);
    told.push(...tries.map((one, n) => ({ ...one, said: said[n] ?? '' })));
  };
  await play(
    Object.keys(WAYS).map((way) => ({
      way,
      person: oneOf(PEOPLE),
      verdict: Math.random() < 0.7 ? 'approved' : 'declined',
    })),
  );
  if (isOpen(await rig.status(workflowId, runId), digest))
    await play(PEOPLE.map((person) => ({ way: 'update', person, verdict: 'approved' })));
  let lines: Status['timeline'] = [];
  await until(async () => {
    const now = await rig.status(workflowId, runId);
    lines = now.timeline.slice(of.timeline.length);
    return signals(lines).length === 1 && now.phase === 'waiting' && !isOpen(now, digest);
  });
  const [signal] = signals(lines);
  for (const one of told.filter(({ way }) => way === 'temporal-ui'))
    one.said = signal?.kind === 'refused' ? signal.what : COUNTED;
  const next = lines.findIndex(({ kind }) => kind === 'proposed');
  const counted = lines.slice(0, next).filter(({ kind }) => kind === 'approved' || kind === 'declined');
  const [declined, approved] = ['declined', 'approved'].map((one) => counted.filter(({ kind }) => kind === one).length);
  const people = new Set(counted.map(({ who = '' }) => who.split(' via ')[0]));
  const all = JSON.stringify({ told, counted });
  expect([
    all,
    people.size, // not clicks
    told.filter(({ said }) => said === COUNTED).length,
    declined === 1 || (declined === 0 && approved === (risk === 'high' ? 2 : 1)),
    told.filter(({ said }) => said !== COUNTED && !TOLD.test(said)),
  ]).toEqual([all, counted.length, counted.length, true, []]);
}

it(
  'has one outcome however many decide at once over every way there is, counts people, tells the losers who won, and can be replayed',
  async () => {
    const announce = openChannels(slack.env, rig.settings).open.get('slack')?.announce;
    const histories: { workflowId: string; history: History }[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      let open = await rig.waiting();
      const { workflowId, runId, proposal } = open;
      const { digest = '', expiresAt = '' } = proposal ?? {};
      const asks = { digest, summary: 'round 1', expiresAt };
      await announce?.(announcementOf({ workflowId, runId, at: new Date().toISOString(), subject: 'Rounds', asks }));
      const [{ ts } = { ts: '' }] = await slack.messages();
      for (let round = 0; round < ROUNDS; round += 1) {
        await race(open, ts);
        open = await rig.status(workflowId, runId);
      }
      const handle = rig.client.workflow.getHandle(workflowId, runId);
      await handle.signal('stop', { by: 'test' });
      expect(await handle.result()).toMatchObject({ outcome: 'stopped' });
      histories.push({ workflowId, history: await handle.fetchHistory() });
    }
    for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: bundle }, histories))
      expect({ workflowId, error }).toEqual({ workflowId, error: undefined });
    expect(verifyAudit(rig.stateDir)).toEqual({ entries: expect.any(Number) });
  },
  RUNS * 180_000,
);
