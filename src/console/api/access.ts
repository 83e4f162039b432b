import { createRoute, z } from '@hono/zod-openapi';
import { failure } from '../../errors.ts';
import { audited } from '../../operations/audited.ts';
import type { Parts } from '../parts.ts';
import type { Sessions } from '../sign-in.ts';
import type { Asked } from '../routes.ts';
import { answers, body, type Endpoint } from './endpoint.ts';
import { NO_STORE } from './keys.ts';
import * as schemas from './schemas.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Sessions of people, and tokens of machines. */
export function accessRoutes(
  endpoint: Endpoint,
  parts: Parts,
  sessions: Sessions,
  addressOf: (c: Asked) => string,
): void {
  const { store } = parts;
  const open = createRoute({
    method: 'post',
    path: '/api/session',
    request: body(schemas.Credentials),
    responses: answers(schemas.Session, 'A session of twelve hours, or that a code was sent'),
  });
  endpoint('anyone', open, async (c) => {
    const { email: given, password, code } = c.req.valid('json');
    const email = given.trim().toLowerCase();
    const ways = sessions.ways(email, addressOf(c));
    if (password === undefined && code === undefined) {
      await ways.sendCode(email);
      return c.json({ sent: true }, 200);
    }
    const proved = code === undefined ? ways.withPassword(email, password ?? '') : ways.withCode(email, code);
    const opened = sessions.open(await proved, { tried: email, via: 'api' });
    if (opened === undefined) throw failure('NotAllowed', 'that is not right');
    return c.json({ token: opened.key, person: opened.person }, 200);
  });
  const who = createRoute({
    method: 'get',
    path: '/api/session',
    responses: answers(schemas.Who, 'Who asks, and what for'),
  });
  endpoint('read', who, (c) => {
    const { name, kind, rights } = c.var.principal;
    return c.json({ name, kind, rights: [...rights] }, 200);
  });
  const close = createRoute({
    method: 'delete',
    path: '/api/session',
    responses: answers(schemas.Accepted, 'The session has ended'),
  });
  endpoint('read', close, (c) => {
    store.closeSession((c.req.header('authorization') ?? '').slice('Bearer '.length));
    return c.json({ accepted: true as const }, 200);
  });

  const list = createRoute({
    method: 'get',
    path: '/api/tokens',
    responses: answers(schemas.Tokens, 'Every token there was, without its secret'),
  });
  endpoint('administer', list, (c) => c.json({ tokens: store.tokens() }, 200));
  const create = createRoute({
    method: 'post',
    path: '/api/tokens',
    request: body(schemas.NewToken),
    responses: answers(schemas.CreatedToken, 'The token'),
  });
  endpoint('administer', create, async (c) => {
    const { days, ...of } = c.req.valid('json');
    const { principal } = c.var;
    const expires = new Date(Date.now() + days * DAY_MS).toISOString();
    const noted = { who: principal.name, via: 'api', what: 'create token', on: of.name, detail: of.scopes.join(', ') };
    const made = await audited(parts, noted, async () => {
      const strange = of.services.filter((one) => !parts.access.settings.services.some(({ name }) => name === one));
      if (strange.length > 0) throw failure('Refused', `there is no service ${strange.join(', ')}`);
      return store.createToken({ ...of, by: principal.name, expires });
    });
    return c.json(made, 200, NO_STORE);
  });
  const revoke = createRoute({
    method: 'delete',
    path: '/api/tokens/{token}',
    request: { params: z.object({ token: z.string().max(40) }) },
    responses: answers(schemas.Accepted, 'The token is no longer one'),
  });
  endpoint('administer', revoke, async (c) => {
    const { token } = c.req.valid('param');
    await audited(parts, { who: c.var.principal.name, via: 'api', what: 'revoke token', on: token }, async () => {
      if (!store.revokeToken(token)) throw failure('NotFound', `there is no token ${token} in force`);
    });
    return c.json({ accepted: true as const }, 200);
  });
}
