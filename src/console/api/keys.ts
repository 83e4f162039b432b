import { createHash } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { Store } from '../store.ts';
import type { Asked, Env } from '../routes.ts';

/** Of an answer with a secret: it is given once, and kept nowhere. */
export const NO_STORE = { 'cache-control': 'no-store' };

const KEY = /^[\x21-\x7e]{1,200}$/;

const TOLD = 'this was done, and its answer is given once: revoke what it made, and make another';

/**
 * Answers a write with a known `Idempotency-Key` as it was answered first, for a day. A key belongs to one caller and one request;
 * what failed on our side may be tried again. Of an answer that is not to be stored it keeps that it was given. Source: IETF draft "The Idempotency-Key HTTP Header Field".
 */
export function onceByKey(
  store: Store,
  refuse: (c: Asked, status: 400 | 409 | 422, detail: string) => Response,
): MiddlewareHandler<Env> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key');
    if (key === undefined) return await next();
    if (!KEY.test(key)) return refuse(c, 400, 'the Idempotency-Key must be 1 to 200 visible characters');
    const { name } = c.var.principal;
    const digest = createHash('sha256')
      .update(JSON.stringify([c.req.method, c.req.path, await c.req.text()]))
      .digest('hex');
    if (!store.claimAnswer(name, key, digest)) {
      const before = store.answer(name, key);
      if (before !== undefined && before.digest !== digest)
        return refuse(c, 422, 'this Idempotency-Key was used for another request');
      if (before === undefined || before.status === 0)
        return refuse(c, 409, 'the first request with this key still runs');
      const type = before.status < 400 ? 'application/json' : 'application/problem+json';
      return new Response(before.body, { status: before.status, headers: { 'content-type': type } });
    }
    try {
      await next();
    } catch (error) {
      store.dropAnswer(name, key);
      throw error;
    }
    if (c.res.status >= 500 || c.res.status === 429) return store.dropAnswer(name, key);
    const secret = c.res.status < 400 && c.res.headers.get('cache-control') === NO_STORE['cache-control'];
    const told = secret ? refuse(c, 409, TOLD) : c.res.clone();
    store.keepAnswer(name, key, told.status, await told.text());
    return undefined;
  };
}
