/** PagerDuty's Events API as its public reference describes it, on a real HTTP server: no account is at hand here. */
import { createNotifier, openChannels } from '../../src/channels/notifier.ts';
import { pagerduty as source } from '../../src/gateway/sources/pagerduty.ts';
import { failsAsDeclared, refusesNonsense, serving } from '../activities/http-server.ts';
import { settings } from '../activities/settings.ts';
import { announcementOf, deliveryOf, hostile, LINK, seenAs, seenOnOneLine } from './messages.ts';

interface SentEvent {
  routing_key: string;
  event_action: string;
  dedup_key: string;
  client_url?: string;
  payload?: { summary: string; severity: string; source: string; custom_details: { text: string; answer: string } };
}

const people = [{ name: 'responder', roles: ['approver' as const], channels: [{ via: 'pagerduty', to: 'team' }] }];
const variables = (url: string) => ({
  HOLDFAST_PAGERDUTY_ROUTING_KEYS: 'team=R0123456789,leads=R9876543210',
  PAGERDUTY_EVENTS_URL: url,
});
function channelAt(url: string) {
  const { page, announce } = openChannels(variables(url), { ...settings, people }).open.get('pagerduty') ?? {};
  if (page === undefined || announce === undefined) throw new Error('the channel is not open');
  return { page, announce };
}
/** Takes events and keeps them. */
async function pagerDuty() {
  const events: SentEvent[] = [];
  const server = await serving(({ method, url, body }) => {
    if (method !== 'POST' || url.pathname !== '/v2/enqueue') return { status: 404 };
    events.push(JSON.parse(body) as SentEvent);
    return {
      status: 202,
      body: { status: 'success', message: 'Event processed', dedup_key: events.at(-1)?.dedup_key },
    };
  });
  return { ...server, events };
}
const aPage = (change: Parameters<typeof deliveryOf>[0] = {}) => deliveryOf({ to: 'team', ...change });

it('triggers an alert of the page by its key, which Holdfast knows for its own when it comes back', async () => {
  await using server = await pagerDuty();
  const { page } = channelAt(server.url);
  await page(aPage());
  await page(aPage()); // as after a crash
  const [event, again] = server.events;
  expect(event).toMatchObject({
    routing_key: 'R0123456789',
    event_action: 'trigger',
    dedup_key: expect.stringMatching(/^holdfast\|incident\.shop\.high-error-rate\|run-1\|[0-9a-f]{32}$/),
    payload: {
      summary: 'Roll back shop v2 → v1?',
      severity: 'critical',
      source: 'shop.production',
      custom_details: { person: 'responder' },
    },
  });
  expect(again?.dedup_key).toBe(event?.dedup_key);
  const data = { id: 'P1', title: 'Roll back', incident_key: event?.dedup_key };
  expect(source.normalise({ event: { event_type: 'incident.triggered', data } }, new Headers())).toEqual([]);
});

it('keeps a key within its 255 letters, and two of them apart', async () => {
  await using server = await pagerDuty();
  const long = { workflowId: 'w'.repeat(300) };
  await channelAt(server.url).page(aPage({ ...long, key: '1' }));
  await channelAt(server.url).page(aPage({ ...long, key: '2' }));
  const keys = server.events.map(({ dedup_key: key }) => key);
  expect(new Set(keys).size).toBe(2);
  for (const key of keys) expect(key).toMatch(/^holdfast\|.{1,246}$/);
});

it('acknowledges and resolves every page that the announcement names, from any process', async () => {
  await using server = await pagerDuty();
  const { page } = channelAt(server.url);
  for (const key of ['asked', 'asked:2', 'told']) await page(aPage({ key }));
  const keys = server.events.splice(0).map(({ dedup_key: key }) => key);
  const { announce } = channelAt(server.url); // as another worker has it
  const paged = {
    asked: { person: 'responder', times: 2 },
    told: { person: 'responder', times: 1 },
    'by mail': { person: 'lead', times: 1 },
  };
  await announce(announcementOf({ paged }));
  await announce(announcementOf({ state: 'closed' }));
  expect(server.events).toEqual([]);
  await announce(announcementOf({ paged, state: 'acknowledged' }));
  await announce(announcementOf({ paged, state: 'closed' }));
  expect(server.events.map(({ event_action: action, dedup_key: key }) => [action, key])).toEqual(
    ['acknowledge', 'resolve'].flatMap((action) => keys.map((key) => [action, key])),
  );
});

it('carries no code: others see its alerts', async () => {
  await using server = await pagerDuty();
  const { to: _, ...page } = aPage();
  const env = { ...variables(server.url), HOLDFAST_CODE_SECRET: 'a secret of more than sixteen letters' };
  await createNotifier(env, { ...settings, people }).page({ channel: 'pagerduty', page });
  expect(JSON.stringify(server.events)).not.toContain('code');
});

it('links to the run in the console, where there is one', async () => {
  await using server = await pagerDuty();
  await channelAt(server.url).page(aPage({ key: 'linked', link: LINK }));
  await channelAt(server.url).page(aPage());
  expect(server.events.map(({ client_url: url }) => url)).toEqual([LINK, undefined]);
});

it.each(hostile)('passes text from outside on as text: %j', async (text) => {
  await using server = await pagerDuty();
  await channelAt(server.url).page(aPage({ subject: text, text }));
  expect(server.events[0]?.payload?.summary).toBe(seenOnOneLine(text));
  expect(server.events[0]?.payload?.custom_details.text).toBe(seenAs(text));
});

describe('a failure', () => {
  failsAsDeclared((url) => channelAt(url).page(aPage()));
  refusesNonsense((url) => channelAt(url).page(aPage()));

  it('names the key that is missing', async () => {
    const paged = channelAt('http://127.0.0.1:1').page(aPage({ to: 'nobody' }));
    await expect(paged).rejects.toMatchObject({ type: 'NotConfigured', message: expect.stringContaining('"nobody"') });
  });

  it('that is a key not of the form stops whoever starts', () => {
    expect(() => openChannels({ HOLDFAST_PAGERDUTY_ROUTING_KEYS: 'R0123456789' }, settings)).toThrow(
      /pagerduty is wrong:[^]*use <name>=<integration key>/,
    );
  });
});
