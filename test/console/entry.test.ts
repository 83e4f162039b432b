import { once } from 'node:events';
import { Hono } from 'hono';
import { serve } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import { createEntry } from '../../src/console/entry.ts';
import type { Parts } from '../../src/console/parts.ts';
import type { Asked } from '../../src/console/routes.ts';

async function addressWith(behindProxy: '0' | '1', forwarded: string): Promise<string> {
  const parts = { access: { config: { HOLDFAST_BEHIND_PROXY: behindProxy } } } as unknown as Parts;
  const { addressOf } = createEntry(parts);
  const app = new Hono().get('/', (c) => c.text(addressOf(c as unknown as Asked)));
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  try {
    if (!server.listening) await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return await (await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-forwarded-for': forwarded } })).text();
  } finally {
    server.close();
  }
}

it('limits tries by whom the proxy in front has seen, not by what that one says of itself', async () => {
  expect(await addressWith('1', '203.0.113.9, 198.51.100.7')).toBe('198.51.100.7');
});

it('believes no header where there is no proxy', async () => {
  expect(await addressWith('0', '203.0.113.9')).toBe('127.0.0.1');
});

it.each([
  ['https://holdfast.example', '__Host-holdfast=key; Path=/; HttpOnly; Secure; SameSite=Strict'],
  ['http://127.0.0.1:4100', 'holdfast=key; Path=/; HttpOnly; SameSite=Strict'],
])('keeps the session of %s from scripts and from other sites', async (publicUrl, cookie) => {
  const entry = createEntry({ access: { config: { HOLDFAST_PUBLIC_URL: publicUrl } } } as unknown as Parts);
  const app = new Hono().get('/', (c) => {
    entry.start(c as unknown as Asked, 'key');
    return c.text('');
  });
  expect((await app.request('/')).headers.get('set-cookie')).toBe(cookie);
});
