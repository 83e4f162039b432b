/** E-mail against a real `maildev`; the refusals that it never makes against a server that only refuses. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { openChannels } from '../../src/channels/notifier.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { settings } from '../activities/settings.ts';
import { BROWSER, openPage } from '../support/temporal-ui.ts';
import { startMail, type MailRig } from './mail-rig.ts';
import { announcementOf, deliveryOf, hostile, LINK, seenAs, seenOnOneLine } from './messages.ts';

const withBrowser = BROWSER === undefined ? it.skip : it;
let mail: MailRig;
beforeAll(async () => {
  mail = await startMail();
});
beforeEach(() => mail.clear());
afterAll(() => mail[Symbol.asyncDispose]());

function channelAt(url = mail.url) {
  const env = {
    HOLDFAST_SMTP_URL: url,
    HOLDFAST_MAIL_FROM: 'holdfast@shop.example',
    HOLDFAST_MAIL_LIST: 'incidents@shop.example',
  };
  const { page, announce } = openChannels(env, settings).open.get('email') ?? {};
  if (page === undefined || announce === undefined) throw new Error('the channel is not open');
  return { page, announce };
}
const aPage = (change: Parameters<typeof deliveryOf>[0] = {}) => deliveryOf({ to: 'ada@shop.example', ...change });

it('sends a page to the person alone, with the exact ask and the code, as text and as HTML', async () => {
  await channelAt().page(aPage({ code: '7KQM-2XHD' }));
  const [received, ...others] = await mail.received();
  expect(others).toEqual([]);
  expect(received).toMatchObject({
    subject: '[critical] Decide: Roll back shop v2 → v1?',
    from: [{ address: 'holdfast@shop.example' }],
    to: [{ address: 'ada@shop.example' }],
  });
  for (const said of ['3 errors are new in v2\nUndo: release v2 again', 'critical, shop production, development team'])
    expect(received?.text).toContain(said);
  expect(received?.text).toContain('{"by":"responder","code":"7KQM-2XHD"}');
  expect(received?.html).toContain('{&quot;by&quot;:&quot;responder&quot;,&quot;code&quot;:&quot;7KQM-2XHD&quot;}');
});

it('links to the run in the console, whatever the address', async () => {
  const { page, announce } = channelAt();
  await page(aPage({ link: LINK }));
  await announce(announcementOf({ link: `${LINK}?a="b"&c=<d>` }));
  const [paged, announced] = await mail.received();
  expect(paged?.text).toContain(`Open it in the console: ${LINK}`);
  expect(paged?.html).toContain(`<p><a href="${LINK}">Open it in the console</a></p>`);
  expect(announced?.html).toContain(`<a href="${LINK}?a=&quot;b&quot;&amp;c=&lt;d&gt;">`);
});

it('gives what is sent again the same id, and everything of a run one thread', async () => {
  const { page, announce } = channelAt();
  await page(aPage({ key: 'one' }));
  await page(aPage({ key: 'one' }));
  await page(aPage({ key: 'two' }));
  await announce(announcementOf());
  await announce(announcementOf({ runId: 'run-2' }));
  const received = await mail.received();
  const ids = received.map(({ headers }) => headers['message-id']);
  expect(ids[1]).toBe(ids[0]);
  expect(new Set(ids).size).toBe(4);
  const [first, ...threads] = received.map(({ headers }) => headers.references);
  expect(threads.map((thread) => thread === first)).toEqual([true, true, true, false]);
  expect(received.at(-1)?.to).toMatchObject([{ address: 'incidents@shop.example' }]);
});

it.each(hostile)('shows text from outside letter by letter, and makes no header of it: %j', async (text) => {
  const { page, announce } = channelAt();
  await page(aPage({ subject: text, text }));
  const asks = { digest: 'd'.repeat(64), summary: text, expiresAt: '2026-11-24T10:00:00.000Z' };
  await announce(announcementOf({ subject: text, text, asks }));
  const received = await mail.received();
  expect(received).toHaveLength(2);
  for (const { subject, text: plain, html, envelope, headers } of received) {
    expect(subject).toContain(seenOnOneLine(text));
    expect(plain.replaceAll('\r\n', '\n')).toContain(seenAs(text));
    const tags = [...html.matchAll(/<[^>]*>/g)].map(([tag]) => tag);
    expect(new Set(tags)).toEqual(
      new Set(['<!doctype html>', '<meta charset="utf-8">', '<p style="white-space: pre-wrap">', '</p>']),
    );
    expect(envelope.to).toHaveLength(1);
    expect(headers).not.toHaveProperty('bcc');
  }
});

withBrowser('opens in a browser as text: no dialog, no request', async () => {
  for (const text of hostile) await channelAt().page(aPage({ key: text, subject: text, text }));
  const { page, close } = await openPage('about:blank');
  const asked: string[] = [];
  page.on('request', (request) => void asked.push(request.url()));
  page.on('dialog', (dialog) => {
    asked.push(dialog.message());
    void dialog.dismiss();
  });
  for (const [i, { html }] of (await mail.received()).entries()) {
    await page.setContent(html);
    expect(await page.locator('p').allInnerTexts()).toContain(seenAs(hostile[i] ?? ''));
    expect(await page.locator('body *:not(p)').count()).toBe(0);
  }
  await close();
  expect(asked).toEqual([]);
});

it('announces nothing where there is no list', () => {
  const env = { HOLDFAST_SMTP_URL: mail.url, HOLDFAST_MAIL_FROM: 'holdfast@shop.example' };
  expect(openChannels(env, settings).open.get('email')?.announce).toBeUndefined();
});

describe('a failure', () => {
  it('that is a wrong password is permanent', async () => {
    await expect(channelAt(mail.wrongUrl).page(aPage())).rejects.toMatchObject({
      type: 'NotAllowed',
      nonRetryable: true,
    });
  });

  it('that is nobody listening is transient', async () => {
    const paged = channelAt(`smtp://127.0.0.1:${await freePort()}`).page(aPage());
    await expect(paged).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });

  it.each([
    ['550 no such mailbox', { type: 'Refused', nonRetryable: true }],
    ['451 try again later', { type: 'Unavailable', nonRetryable: false }],
  ])('that the server answers with %s is known for what it is', async (reply, expected) => {
    const server = createServer((socket) => {
      socket.write('220 ready\r\n');
      socket.on('data', (line) => void socket.write(/^RCPT/i.test(String(line)) ? `${reply}\r\n` : '250 ok\r\n'));
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const paged = channelAt(`smtp://127.0.0.1:${(server.address() as AddressInfo).port}`).page(aPage());
    await expect(paged).rejects.toMatchObject(expected);
    await new Promise((resolve) => void server.close(resolve));
  });

  it('that is a server which says nothing is given up within the time of an attempt', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const began = performance.now();
    const paged = channelAt(`smtp://127.0.0.1:${(server.address() as AddressInfo).port}`).page(aPage());
    await expect(paged).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
    expect(performance.now() - began).toBeLessThan(9000);
    server.close();
  });
});
