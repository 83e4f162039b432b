/**
 * Clicks on the buttons of Holdfast's Slack messages: signed by Slack over the raw bytes (`v0`), at most five minutes old, taken
 * once. Who clicked is the person of the configuration with this Slack id. Slack waits three seconds, so a click is answered at
 * once and its outcome is written into the message.
 * Source  docs.slack.dev, "Verifying requests from Slack", "block_actions payload".
 */
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowNotFoundError } from '@temporalio/client';
import { z } from 'zod';
import { createSlack, SlackEnv, type Slack } from '../channels/slack/api.ts';
import { answeredContent, Click, kindOf, REASON, type Answered, type ClickKind } from '../channels/slack/blocks.ts';
import type { SignedDecision, Status } from '../contracts/index.ts';
import { createLimiter } from '../limiter.ts';
import { failure } from '../errors.ts';
import { audit, type Trail } from '../audit.ts';
import { audited } from '../operations/audited.ts';
import * as operations from '../operations/people.ts';
import { DECIDE_MS, statusOf, type Access } from '../operations/temporal.ts';
import type { Chosen } from '../sign.ts';
import { acknowledge } from './deliver.ts';
import { equal, recent } from './source.ts';

const TRIES = 5;
const LONGEST_WAIT_MS = 30_000;
const WINDOW_MS = 10 * 60 * 1000;

const Field = z.object({ [REASON]: z.object({ [REASON]: z.object({ value: z.string().max(500).nullable() }) }) });
const Payload = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id: z.string() }),
  container: z.object({ channel_id: z.string(), message_ts: z.string() }),
  actions: z.tuple([z.object({ action_id: z.string(), value: z.string() })]),
  state: z.object({ values: z.unknown() }).optional(),
});
type Payload = z.output<typeof Payload>;

export interface Interactions {
  /** Take a click; what comes of it is written into its message. Anything but `taken` says why it was refused. */
  receive(raw: Buffer, headers: Headers): 'taken' | 'closed' | 'signature' | 'replayed' | 'malformed';
  /** Resolves when every click that was taken is answered. */
  stop(): Promise<void>;
}

export function slackInteractions(access: Access, trail: Trail): Interactions {
  const { settings, config } = access;
  const { env, HOLDFAST_STATE_DIR: stateDir } = config;
  const { log } = trail;
  const { HOLDFAST_SLACK_SIGNING_SECRET: secret } = env;
  const parsed = SlackEnv.safeParse(env);
  if (!secret || !parsed.success) {
    if (secret) log('gateway: /slack/interactions is closed: set HOLDFAST_SLACK_TOKEN to open it');
    return { receive: () => 'closed', stop: async () => undefined };
  }
  const slack = createSlack(parsed.data);
  const seen = openSeen(stateDir);
  const answering = new Set<Promise<void>>();
  /** Anybody may send what is not taken: it must not fill the trail. */
  const noted = createLimiter({ atMost: 20, withinMs: 60_000 });

  const untaken = (why: 'signature' | 'replayed' | 'malformed') => {
    const tried = { who: 'unknown', via: 'slack', what: 'click', on: '', result: 'refused' as const };
    if (noted.take('untaken') === 0) audit(trail, { ...tried, detail: why });
    return why;
  };
  const answer = async ({ container, user, actions: [action], state }: Payload): Promise<void> => {
    const { channel_id: channel, message_ts: ts } = container;
    const reason = Field.safeParse(state?.values).data?.[REASON][REASON].value ?? undefined;
    try {
      const answered = await outcomeOf(
        { kind: kindOf(action.action_id), click: Click.parse(JSON.parse(action.value)), reason },
        settings.people.find(({ channels }) => channels.some(({ via, to }) => via === 'slack' && to === user.id))?.name,
        { access, trail },
      );
      await show(slack, { channel, ts }, answered);
    } catch (error) {
      log(`gateway: a click in Slack was not answered: ${JSON.stringify(String(error))}`);
    }
  };
  return {
    receive(raw, headers) {
      const at = headers.get('x-slack-request-timestamp') ?? '';
      const signature = headers.get('x-slack-signature') ?? '';
      const expected = `v0=${createHmac('sha256', secret).update(`v0:${at}:`).update(raw).digest('hex')}`;
      if (!equal(signature, expected) || !/^\d+$/.test(at) || !recent(Number(at))) return untaken('signature');
      if (!seen.isFirst(signature)) return untaken('replayed');
      const payload = Payload.safeParse(jsonOf(new URLSearchParams(raw.toString('utf8')).get('payload')));
      if (!payload.success) return untaken('malformed');
      const done = answer(payload.data).finally(() => answering.delete(done));
      answering.add(done);
      return 'taken';
    },
    async stop() {
      await Promise.all(answering);
      seen.close();
    },
  };
}

function jsonOf(text: string | null): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** Signatures of the last minutes, in the inbox's file: a restart forgets none. */
function openSeen(stateDir: string): { isFirst(signature: string): boolean; close(): void } {
  const db = new DatabaseSync(join(stateDir, 'inbox.sqlite'), { timeout: 1000 });
  db.exec('create table if not exists slack_clicks (signature text primary key, at integer not null) strict');
  const forget = db.prepare('delete from slack_clicks where at < ?');
  const note = db.prepare('insert into slack_clicks values (?, ?) on conflict do nothing');
  return {
    isFirst(signature) {
      forget.run(Date.now() - WINDOW_MS);
      return note.run(signature, Date.now()).changes === 1;
    },
    close: () => db.close(),
  };
}

interface World {
  access: Access;
  trail: Trail;
}
const WHAT = { approve: 'approved', reject: 'declined', acknowledge: 'acknowledge' } as const;

/** Do what a click asks for, as far as the person may, and say what came of it. */
async function outcomeOf(
  { kind, click, reason }: { kind: ClickKind | undefined; click: Click; reason: string | undefined },
  person: string | undefined,
  { access, trail }: World,
): Promise<Answered> {
  const refused = (why: string): Answered => ({ line: `Refused, nothing was changed: ${why}` });
  if (kind === undefined) return refused('there is no such button');
  const detail = click.digest === undefined ? '' : `proposal ${click.digest.slice(0, 8)}`;
  const tried = { who: person ?? 'unknown', via: 'slack', what: WHAT[kind], on: click.workflowId, detail };
  try {
    const options = kind === 'approve' && person !== undefined ? await waysOf(click, access) : undefined;
    if (options !== undefined) return { line: `${person}: which way?`, choices: { ...click, options } }; // nothing is decided yet
    return await audited(trail, tried, async () => {
      if (person === undefined) throw failure('NotAllowed', 'this Slack user is nobody of the configuration');
      if (kind !== 'acknowledge') return await decide(click, { person, verdict: WHAT[kind], reason }, access);
      await acknowledge(access.client, { ...click, by: person });
      return { line: `${person} is looking at it.` };
    });
  } catch (error) {
    if (error instanceof TooLate) return error.answered;
    const gone = error instanceof WorkflowNotFoundError || (isFailure(error) && error.type === 'NotFound');
    if (gone) return { ...refused('this has ended'), ended: true };
    if (isFailure(error) && error.type !== 'Unavailable')
      return refused(person === undefined ? error.message : `${error.message} (${person})`);
    trail.log(`gateway: a click of ${person} has no answer yet: ${JSON.stringify(String(error))}`);
    return { line: `No answer yet (${person}): Temporal or the worker is away. Click again, it counts once.` };
  }
}

const isFailure = (error: unknown): error is ApplicationFailure => error instanceof ApplicationFailure;

/** The proposal of a button can no longer be decided. */
class TooLate extends Error {
  readonly answered: Answered;
  constructor(why: string, answered: Answered) {
    super(why);
    this.answered = answered;
  }
}

/** The ways to approve that the button leaves open, where its proposal waits and has several. */
async function waysOf({ workflowId, runId, digest, option }: Click, access: Access): Promise<string[] | undefined> {
  if (option !== undefined) return undefined;
  const status = await statusOf(access, { workflowId, runId }, DECIDE_MS);
  return waitsFor(status, digest) ? status.proposal?.options : undefined;
}

async function decide(
  click: Click,
  { person, verdict, reason }: Pick<SignedDecision, 'person' | 'verdict'> & Chosen,
  access: Access,
): Promise<Answered> {
  const { workflowId, runId, digest = '', option } = click;
  const ref = { workflowId, runId };
  const updateId = `slack:${digest}:${person}:${verdict}:${option ?? ''}`;
  const decision = { ...ref, digest, person, verdict, option, reason, via: 'slack' as const, updateId };
  const ballot = await operations.decide(access, decision).catch(async (error: unknown) => {
    const after = await statusOf(access, ref).catch(() => undefined);
    if (after === undefined || !isFailure(error) || error.type === 'Unavailable' || waitsFor(after, digest))
      throw error;
    throw new TooLate(error.message, {
      line: `Too late, nothing was changed: ${error.message}`,
      over: digest,
      ended: after.phase === 'closed',
    });
  });
  const { verdict: standing, approvedBy, needed } = ballot;
  if (standing === 'declined') return { line: `Rejected by ${person}.`, over: digest };
  const by = `Approved by ${approvedBy.join(', ')}`;
  return standing === 'open'
    ? { line: `${by}: ${approvedBy.length} of ${needed} needed.` }
    : { line: `${by}.`, over: digest };
}

const waitsFor = ({ phase, proposal }: Status, digest: string | undefined): boolean =>
  phase === 'waiting' && proposal?.digest === digest;

/** Write an answer into the message as it is now. */
async function show(slack: Slack, { channel, ts }: { channel: string; ts: string }, answered: Answered): Promise<void> {
  for (let tried = 1; ; tried += 1)
    try {
      const { blocks } = await slack.read(channel, ts);
      return await slack.update(channel, ts, answeredContent(blocks, answered));
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.nonRetryable === true || tried === TRIES) throw error;
      const asked = typeof error.nextRetryDelay === 'number' ? error.nextRetryDelay : 1000;
      await sleep(Math.min(asked, LONGEST_WAIT_MS));
    }
}
