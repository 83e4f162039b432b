import type { Payload, PayloadCodec } from '@temporalio/common';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { z } from 'zod';
import type { Asked, Env } from '../console/routes.ts';
import { equal } from './source.ts';

/** Temporal answers at most 4 MB at once; base64 makes it a third more. */
const BODY_LIMIT = 8 * 1024 * 1024;

const Body = z.object({
  payloads: z.array(z.object({ metadata: z.record(z.string(), z.base64()).default({}), data: z.base64().default('') })),
});
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const fromBase64 = (entries: Record<string, string>): Record<string, Uint8Array> =>
  Object.fromEntries(Object.entries(entries).map(([name, text]) => [name, Buffer.from(text, 'base64')]));
const toJson = ({ metadata, data }: Payload) => ({
  metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, bytes]) => [name, base64(bytes)])),
  data: base64(data ?? new Uint8Array()),
});

/**
 * Temporal's remote codec: shows what histories hold to whoever has the token or has signed in to the console, in the Temporal UI
 * or by `temporal --codec-endpoint`. Of web pages only the Temporal UI's may ask.
 * Source: https://docs.temporal.io/production-deployment/data-encryption
 */
export function codecServer(of: {
  /** In the order in which they encode. */
  codecs: PayloadCodec[];
  token: string | undefined;
  uiUrl: string | undefined;
  /** Whether who asks has signed in and may read. */
  isReader: (c: Asked) => boolean;
}): Hono<Env> {
  const { token, isReader } = of;
  const ways = {
    encode: (payloads: Payload[]) =>
      of.codecs.reduce(async (so, one) => one.encode(await so), Promise.resolve(payloads)),
    decode: (payloads: Payload[]) =>
      of.codecs.reduceRight(async (so, one) => one.decode(await so), Promise.resolve(payloads)),
  };
  const hasToken = (c: Asked): boolean =>
    token !== undefined && equal(c.req.header('authorization') ?? '', `Bearer ${token}`);
  const ui = of.uiUrl === undefined ? undefined : new URL(of.uiUrl).origin;
  const app = new Hono<Env>();
  app.use(
    cors({
      origin: (origin) => (origin === ui ? origin : null),
      allowMethods: ['POST'],
      allowHeaders: ['authorization', 'content-type', 'x-namespace'],
      credentials: true,
      maxAge: 600,
    }),
  );
  app.use(async (c, next) => {
    const origin = c.req.header('origin');
    if (origin !== undefined && origin !== ui) return c.json({ error: 'this page may not ask' }, 403);
    if (!hasToken(c) && !isReader(c)) return c.json({ error: 'sign in to the console, or show the token' }, 401);
    return await next();
  });
  app.use(bodyLimit({ maxSize: BODY_LIMIT, onError: (c) => c.json({ error: 'the body is larger than 8 MiB' }, 413) }));
  for (const way of ['encode', 'decode'] as const)
    app.post(`/${way}`, async (c) => {
      const body = Body.safeParse(await c.req.json().catch(() => undefined));
      if (!body.success) return c.json({ error: 'send {"payloads": [{"metadata": {…}, "data": "<base64>"}]}' }, 400);
      const payloads = body.data.payloads.map(({ metadata, data }) => ({
        metadata: fromBase64(metadata),
        data: Buffer.from(data, 'base64'),
      }));
      try {
        return c.json({ payloads: (await ways[way](payloads)).map(toJson) });
      } catch (error) {
        return c.json({ error: error instanceof Error ? error.message : String(error) }, 400);
      }
    });
  return app;
}
