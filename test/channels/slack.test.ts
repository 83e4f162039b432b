/** Slack against the `emulate` server; what that one never says (limits, being away) against a server of its own. */
import { openChannels } from '../../src/channels/notifier.ts';
import type { Announcement } from '../../src/contracts/index.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { failsAsDeclared, listening, serving, type Answer } from '../activities/http-server.ts';
import { killedWhen } from '../activities/killed.ts';
import { settings } from '../activities/settings.ts';
import { announcementOf, deliveryOf, hostile, LINK, seenAs, seenOnOneLine } from './messages.ts';
import { buttonsOf, startSlack, textsOf, type Shown, type SlackRig } from './slack-rig.ts';

let rig: SlackRig;
beforeAll(async () => {
  rig = await startSlack();
});
afterAll(() => rig[Symbol.asyncDispose]());

function channelAt(change: Record<string, string> = {}) {
  const { page, announce } = openChannels({ ...rig.env, ...change }, settings).open.get('slack') ?? {};
  if (page === undefined || announce === undefined) throw new Error('the channel is not open');
  return { page, announce };
}
const aPage = (change: Parameters<typeof deliveryOf>[0] = {}) => deliveryOf({ to: rig.user('ada'), ...change });

/**
 * Stands between the channel and Slack: a call is passed on and answered, passed on and never answered, or refused as by a Slack
 * that is away.
 */
const between = (deal: (method: string) => 'answered' | 'unanswered' | 'away') =>
  listening((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const { authorization = '', 'content-type': type = '' } = request.headers;
      const method = (request.url ?? '').slice(1);
      const init = { method: 'POST', headers: { authorization, 'content-type': type }, body: Buffer.concat(chunks) };
      const pass = async (): Promise<string> => (await fetch(rig.apiUrl + method, init)).text();
      const dealt = deal(method);
      if (dealt === 'away') response.writeHead(503).end();
      else
        void pass().then((body) => {
          if (dealt === 'answered') response.setHeader('content-type', 'application/json').end(body);
        });
    });
  });

describe('a page', () => {
  it('is a direct message with the exact ask, the code, and buttons that carry the proposal', async () => {
    await channelAt().page(aPage({ key: 'exact', code: '7KQM-2XHD' }));
    const [message] = await rig.messages(await rig.direct('ada'));
    if (message === undefined) throw new Error('there is none');
    expect(message.text).toBe('Decide: Roll back shop v2 → v1?');
    expect(textsOf(message)).toEqual([
      'Roll back shop v2 → v1?',
      'critical, shop production, development team\n3 errors are new in v2\nUndo: release v2 again',
      expect.stringContaining('{"by":"responder","code":"7KQM-2XHD"}'),
    ]);
    const { workflowId, runId, asks } = aPage();
    const carried = { workflowId, runId, digest: asks?.digest };
    expect(buttonsOf(message).map(({ action_id, value }) => [action_id, JSON.parse(value)])).toEqual([
      ['approve', carried],
      ['reject', carried],
      ['acknowledge', { workflowId, runId }],
    ]);
    expect(await rig.messages()).toEqual([]); // the others see nothing of it
  });

  it('comes once, however often it is sent, and again under another key', async () => {
    const { page } = channelAt();
    const before = (await rig.messages(await rig.direct('ada'))).length;
    await page(aPage({ key: 'often' }));
    await page(aPage({ key: 'often', text: 'changed' }));
    await page(aPage({ key: 'another' }));
    expect(await rig.messages(await rig.direct('ada'))).toHaveLength(before + 2);
  });

  it('comes once when the worker is killed after Slack took it and before it knew', async () => {
    let taken = false;
    await using stalling = await between((method) => {
      if (method !== 'chat.postMessage') return 'answered';
      taken = true;
      return 'unanswered';
    });
    const stateDir = scratchFolder();
    const { to, code: _, ...page } = aPage({ key: 'killed', person: 'responder' });
    const people = [{ ...settings.people[0], channels: [{ via: 'slack', to }] }];
    const before = (await rig.messages(await rig.direct('ada'))).length;
    const request = {
      provider: 'channels',
      activity: 'page',
      variables: { ...rig.env, SLACK_API_URL: `${stalling.url}/` },
      settings: { ...settings, people },
      argument: { channel: 'slack', page },
    };
    await killedWhen(stateDir, request, async () => taken);
    await removeScratch(stateDir);
    await channelAt().page(aPage({ key: 'killed' }));
    expect(await rig.messages(await rig.direct('ada'))).toHaveLength(before + 1);
  });
});

describe('an announcement', () => {
  it('is one message of the incident that shows its newest state, with the story as its thread', async () => {
    const { announce } = channelAt();
    const of = (change: Partial<Announcement>) => announcementOf({ runId: 'story', ...change });
    const digest = 'd'.repeat(64);
    await announce(of({ at: '2026-11-24T09:00:00.000Z', subject: 'High error rate on shop' }));
    await announce(
      of({
        at: '2026-11-24T09:01:00.000Z',
        subject: 'Waits',
        asks: { digest, summary: 'Roll back', expiresAt: '2026-11-24T10:00:00.000Z' },
      }),
    );
    const [asking] = await rig.messages();
    expect(asking && buttonsOf(asking).map(({ action_id }) => action_id)).toEqual(['approve', 'reject', 'acknowledge']);
    await announce(of({ at: '2026-11-24T09:02:00.000Z', state: 'closed', subject: 'Mitigated' }));
    await announce(of({ at: '2026-11-24T09:01:00.000Z', subject: 'Waits' })); // late
    await announce(of({ at: '2026-11-24T09:02:00.000Z', state: 'closed', subject: 'Mitigated' })); // again
    const [message, ...others] = await rig.messages();
    expect(others).toEqual([]);
    if (message === undefined) throw new Error('there is none');
    expect(textsOf(message)[0]).toBe('✅ Mitigated');
    expect(buttonsOf(message)).toEqual([]);
    const [, ...story] = await rig.thread(message.ts);
    expect(story.map((line) => textsOf(line)[0])).toEqual(['🔴 Waits', '✅ Mitigated']);
  });

  it('comes once when Slack took it and its answer was lost', async () => {
    await using silent = await between((method) => (method === 'chat.postMessage' ? 'unanswered' : 'answered'));
    const before = (await rig.messages()).length;
    const lost = channelAt({ SLACK_API_URL: `${silent.url}/` }).announce(announcementOf({ runId: 'lost' }));
    await expect(lost).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
    await channelAt().announce(announcementOf({ runId: 'lost' }));
    expect(await rig.messages()).toHaveLength(before + 1);
  });

  it('goes on where an attempt was cut short, with no line of the story twice', async () => {
    await using away = await between((method) => (method === 'chat.update' ? 'away' : 'answered'));
    await channelAt().announce(announcementOf({ runId: 'cut short' }));
    const closing = announcementOf({ runId: 'cut short', at: '2026-11-24T09:05:00.000Z', state: 'closed' });
    const cut = channelAt({ SLACK_API_URL: `${away.url}/` }).announce(closing);
    await expect(cut).rejects.toMatchObject({ type: 'Unavailable' });
    await channelAt().announce(closing);
    const [message] = await rig.messages();
    expect(message && buttonsOf(message)).toEqual([]);
    expect(await rig.thread(message?.ts ?? '')).toHaveLength(2);
  });

  it('keeps the runs of an incident apart', async () => {
    const { announce } = channelAt();
    const before = (await rig.messages()).length;
    await announce(announcementOf({ runId: 'first' }));
    await announce(announcementOf({ runId: 'second' }));
    expect(await rig.messages()).toHaveLength(before + 2);
  });
});

it('links to the run in the console, also when it has ended', async () => {
  const { page, announce } = channelAt();
  await page(aPage({ key: 'linked', link: LINK }));
  await announce(announcementOf({ runId: 'linked', link: LINK }));
  await announce(announcementOf({ runId: 'linked', link: LINK, at: '2026-11-24T09:05:00.000Z', state: 'closed' }));
  const linksOf = ({ blocks }: Shown): unknown[] =>
    blocks.flatMap(({ elements }) =>
      (elements as { elements?: unknown[] }[]).flatMap((section) => section.elements ?? []),
    );
  for (const [message] of [await rig.messages(await rig.direct('ada')), await rig.messages()])
    expect(message && linksOf(message)).toContainEqual({ type: 'link', url: LINK, text: 'Open it in the console' });
});

describe('text from outside', () => {
  it.each(hostile)('is shown letter by letter and pings nobody: %j', async (text) => {
    const { page, announce } = channelAt();
    await page(aPage({ key: `hostile ${text}`, subject: text, text, level: 'team' }));
    const asks = { digest: 'd'.repeat(64), summary: text, expiresAt: '2026-11-24T10:00:00.000Z' };
    await announce(announcementOf({ runId: `hostile ${text}`, subject: text, text, asks }));
    for (const [message] of [await rig.messages(await rig.direct('ada')), await rig.messages()]) {
      if (message === undefined) throw new Error('there is none');
      expect(textsOf(message)[0]).toContain(seenOnOneLine(text)); // textsOf takes `text` elements only: nothing here is markup
      expect(textsOf(message)[1]).toContain(seenAs(text));
      expect(message.text).not.toMatch(/<|>|[\u202A-\u202E\n]/);
    }
  });
});

describe('a failure', () => {
  failsAsDeclared((url) => channelAt({ SLACK_API_URL: `${url}/` }).page(aPage()));

  it.each([
    ['ratelimited', { headers: { 'retry-after': '9' } }, { type: 'RateLimited', nextRetryDelay: 9000 }],
    ['internal_error', {}, { type: 'Unavailable', nonRetryable: false }],
    ['token_revoked', {}, { type: 'NotAllowed', nonRetryable: true }],
    ['users_list_not_supplied', {}, { type: 'Refused', nonRetryable: true }],
  ])('that is said as ok: false (%s) is one', async (error, answer: Answer, expected) => {
    await using server = await serving(() => ({ ...answer, body: { ok: false, error } }));
    await expect(channelAt({ SLACK_API_URL: `${server.url}/` }).page(aPage())).rejects.toMatchObject(expected);
  });

  it.each(['<html>', '{"ok":true}'])('that is no answer of Slack (%s) is refused', async (body) => {
    await using server = await serving(() => ({ body }));
    const paged = channelAt({ SLACK_API_URL: `${server.url}/` }).page(aPage());
    await expect(paged).rejects.toMatchObject({ type: 'UnexpectedResponse', nonRetryable: true });
  });

  it('names what is missing: nobody of this id, a channel that is not there, a right that the token lacks', async () => {
    await expect(channelAt().page(aPage({ to: 'U404' }))).rejects.toMatchObject({ type: 'NotFound' });
    const announced = channelAt({ HOLDFAST_SLACK_CHANNEL: 'C404' }).announce(announcementOf());
    await expect(announced).rejects.toMatchObject({ type: 'NotFound' });
    const paged = channelAt({ HOLDFAST_SLACK_TOKEN: 'xoxb-poor' }).page(aPage({ key: 'poor' }));
    await expect(paged).rejects.toMatchObject({ type: 'NotAllowed', message: 'Slack chat.postMessage: missing_scope' });
  });
});
