import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { createNotifier } from '../../src/channels/notifier.ts';
import { failsAsDeclared, serving, type Asked } from '../activities/http-server.ts';
import { settings } from '../activities/settings.ts';
import { scratch } from '../gateway/rig.ts';
import { announcementOf, deliveryOf, hostile, LINK } from './messages.ts';

let folder: ReturnType<typeof scratch>;
beforeEach(() => {
  folder = scratch();
});
afterEach(() => folder[Symbol.asyncDispose]());

const HOLDFAST_NOTIFY_SECRET = `whsec_${Buffer.from('a secret of thirty-two letters...').toString('base64')}`;
const people = [{ name: 'responder', roles: ['approver' as const], channels: [{ via: 'webhook', to: 'ada' }] }];
/** Each call is of a process that remembers nothing of the others. */
const notifierAt = (url: string, HOLDFAST_PUBLIC_URL?: string) => {
  const env = () => ({
    HOLDFAST_STATE_DIR: mkdtempSync(join(folder.stateDir, 'state-')),
    HOLDFAST_NOTIFY_URL: url,
    HOLDFAST_NOTIFY_SECRET,
    HOLDFAST_PUBLIC_URL,
    HOLDFAST_CODE_SECRET: 'a secret of more than sixteen letters',
  });
  const notifier = () => createNotifier(env(), { ...settings, people });
  const { to: _, ...page } = deliveryOf();
  return {
    page: (change: Partial<typeof page> = {}) => notifier().page({ channel: 'webhook', page: { ...page, ...change } }),
    announce: () => notifier().announce({ channel: 'webhook', announcement: announcementOf() }),
  };
};
/** Receives webhooks, verified as any receiver would. */
async function receiver() {
  const received: { id: string | undefined; body: unknown }[] = [];
  const server = await serving(({ headers, body }: Asked) => {
    const verified = new Webhook(HOLDFAST_NOTIFY_SECRET).verify(body, headers as Record<string, string>);
    received.push({ id: String(headers['webhook-id']), body: verified });
    return { status: 204, body: '' };
  });
  return { ...server, received };
}

it('signs a page as Standard Webhooks asks, and carries no code', async () => {
  await using server = await receiver();
  await notifierAt(server.url).page();
  expect(server.received).toMatchObject([{ body: { type: 'holdfast.page', data: deliveryOf({ to: 'ada' }) } }]);
  expect(JSON.stringify(server.received)).not.toContain('"code"');
});

it('says where the console shows the run, where anybody knows and it has a page of its own there, and no password', async () => {
  await using server = await receiver();
  const { page, announce } = notifierAt(server.url, 'https://ada:secret@holdfast.example/');
  await page();
  await announce();
  await page({ runId: '"/../x' });
  await page({ workflowId: 'digest.shop', key: 'of no run' });
  await notifierAt(server.url).page({ key: 'of a console that nobody knows' });
  expect(server.received.map(({ body }) => (body as { data: { link?: string } }).data.link)).toEqual([
    LINK,
    LINK,
    'https://holdfast.example/runs/incident.shop.high-error-rate/%22%2F..%2Fx',
    undefined,
    undefined,
  ]);
});

it('gives what is sent again the same id, and anything else another', async () => {
  await using server = await receiver();
  const { page, announce } = notifierAt(server.url);
  await page();
  await page();
  await page({ key: 'another' });
  await announce();
  const [first, again, ...others] = server.received.map(({ id }) => id);
  expect(again).toBe(first);
  expect(new Set([first, ...others]).size).toBe(3);
});

it.each(hostile)('passes text from outside on as it is: %j', async (text) => {
  await using server = await receiver();
  await notifierAt(server.url).page({ text });
  expect(server.received).toMatchObject([{ body: { data: { text } } }]);
});

failsAsDeclared((url) => notifierAt(url).page());
