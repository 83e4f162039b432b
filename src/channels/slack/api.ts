import { LogLevel, WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebClient } from '@slack/web-api';
import { z } from 'zod';
import { failure, type FailureType } from '../../errors.ts';
import { failureOf, parsed } from '../../http.ts';

/** Three calls in a row must end before the activity that makes them does. */
const TIMEOUT_MS = 3000;
const PAGE_SIZE = 200;

/** Slack's environment, of the worker and of the gateway. */
export const SlackEnv = z.object({
  HOLDFAST_SLACK_TOKEN: z.string().startsWith('xoxb-'),
  SLACK_API_URL: z.url().default('https://slack.com/api/'),
});

export type Block = { type: string; block_id?: string } & Record<string, unknown>;

/** What a message shows, and what Holdfast finds it again by. `text` is its fall-back, for notifications. */
export interface Content {
  text: string;
  blocks: Block[];
  metadata?: { event_type: string; event_payload: Record<string, string> };
}

const Message = z.object({
  ts: z.string(),
  blocks: z.array(z.looseObject({ type: z.string(), block_id: z.string().exactOptional() })).default([]),
  metadata: z.object({ event_type: z.string(), event_payload: z.record(z.string(), z.unknown()) }).optional(),
});
export type Message = z.output<typeof Message>;
const Messages = z.object({
  messages: z.array(Message),
  response_metadata: z.object({ next_cursor: z.string().optional() }).optional(),
});

/** `ok: false` to failure, by Slack's error codes. Source: docs.slack.dev, "Web API methods", errors of each. */
const ERRORS: Partial<Record<string, FailureType>> = {
  ...Object.fromEntries(['ratelimited', 'rate_limited', 'message_limit_exceeded'].map((code) => [code, 'RateLimited'])),
  ...Object.fromEntries(
    ['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout'].map((code) => [code, 'Unavailable']),
  ),
  ...Object.fromEntries(
    'invalid_auth not_authed account_inactive token_revoked token_expired missing_scope no_permission access_denied not_in_channel cant_update_message restricted_action'
      .split(' ')
      .map((code) => [code, 'NotAllowed']),
  ),
  ...Object.fromEntries(
    ['channel_not_found', 'user_not_found', 'message_not_found', 'thread_not_found'].map((code) => [code, 'NotFound']),
  ),
};

function failureFrom(error: unknown, what: string): Error {
  if (error instanceof WebAPIRateLimitedError)
    return failure('RateLimited', `${what}: told to wait`, {}, error.retryAfter * 1000);
  if (error instanceof WebAPIHTTPError) return failureOf(error.statusCode, what, '', new Headers(error.headers));
  if (!(error instanceof WebAPIPlatformError))
    return failure('Unavailable', `${what}: no answer (${error instanceof Error ? error.message : String(error)})`);
  const code = String(error.data.error);
  if (!/^[a-z_]+$/.test(code)) return failure('UnexpectedResponse', `${what}: the answer is not Slack's`);
  const retryAfter = error.data.response_metadata?.retryAfter;
  const waitMs = retryAfter === undefined ? undefined : retryAfter * 1000;
  return failure(ERRORS[code] ?? 'Refused', `${what}: ${code}`, {}, waitMs);
}

/** Slack's Web API as far as it is used, with failures of the closed list. A call is made once: whoever calls tries again. */
export function createSlack({ HOLDFAST_SLACK_TOKEN, SLACK_API_URL }: z.output<typeof SlackEnv>) {
  const client = new WebClient(HOLDFAST_SLACK_TOKEN, {
    slackApiUrl: SLACK_API_URL,
    allowAbsoluteUrls: false,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: TIMEOUT_MS,
    logLevel: LogLevel.ERROR,
  });
  const call = async <S extends z.ZodType>(
    method: string,
    schema: S,
    run: (client: WebClient) => Promise<unknown>,
  ): Promise<z.output<S>> => {
    const what = `Slack ${method}`;
    const answer = await run(client).catch((error: unknown) => {
      throw failureFrom(error, what);
    });
    return parsed(schema, answer, what);
  };
  const asWritten = {
    mrkdwn: false,
    link_names: false,
    parse: 'none',
    unfurl_links: false,
    unfurl_media: false,
  } as const;
  return {
    /** The conversation with one person, by the person's Slack id. */
    async directMessages(user: string): Promise<string> {
      const Opened = z.object({ channel: z.object({ id: z.string() }) });
      return (await call('conversations.open', Opened, ({ conversations }) => conversations.open({ users: user })))
        .channel.id;
    },
    /** The newest message that Holdfast marked so, among at most so many of the last `withinMs`; of a thread, where one is named. */
    async find(
      of: { channel: string; thread?: string; withinMs: number; atMost: number },
      marked: { event_type: string; event_payload: Record<string, string> },
    ): Promise<Message | undefined> {
      const { channel, thread } = of;
      const oldest = String((Date.now() - of.withinMs) / 1000);
      let cursor: string | undefined;
      for (let seen = 0; seen < of.atMost; seen += PAGE_SIZE) {
        const page = { channel, oldest, limit: PAGE_SIZE, include_all_metadata: true, ...(cursor && { cursor }) };
        const { messages, response_metadata: next } =
          thread === undefined
            ? await call('conversations.history', Messages, ({ conversations }) => conversations.history(page))
            : await call('conversations.replies', Messages, ({ conversations }) =>
                conversations.replies({ ...page, ts: thread }),
              );
        const found = messages.find(
          ({ metadata }) =>
            metadata?.event_type === marked.event_type &&
            Object.entries(marked.event_payload).every(([key, value]) => metadata.event_payload[key] === value),
        );
        if (found !== undefined) return found;
        cursor = next?.next_cursor || undefined;
        if (cursor === undefined) return undefined;
      }
      return undefined;
    },
    /** A message that begins a thread, or that stands alone, as it is now. @throws NotFound */
    async read(channel: string, ts: string): Promise<Message> {
      const { messages } = await call('conversations.replies', Messages, ({ conversations }) =>
        conversations.replies({ channel, ts, limit: 1, include_all_metadata: true }),
      );
      const [message] = messages;
      if (message?.ts !== ts) throw failure('NotFound', `Slack has no message ${ts} any more`);
      return message;
    },
    async post(channel: string, content: Content, thread?: string): Promise<void> {
      await call('chat.postMessage', z.object({ ts: z.string() }), ({ chat }) =>
        chat.postMessage({ channel, ...content, ...asWritten, ...(thread !== undefined && { thread_ts: thread }) }),
      );
    },
    async update(channel: string, ts: string, content: Content): Promise<void> {
      await call('chat.update', z.object({ ts: z.string() }), ({ chat }) =>
        chat.update({ channel, ts, ...content, link_names: false, parse: 'none' }),
      );
    },
  };
}
export type Slack = ReturnType<typeof createSlack>;
