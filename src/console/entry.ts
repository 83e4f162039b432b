import { createHmac, timingSafeEqual } from 'node:crypto';
import { getConnInfo } from '@hono/node-server/conninfo';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { html } from 'hono/html';
import { audit } from '../audit.ts';
import { serviceOf } from '../operations/runs.ts';
import { createLimiter } from '../limiter.ts';
import { again, outside } from './pages/layout.ts';
import type { Parts } from './parts.ts';
import { principalOf, whyNot } from './rights.ts';
import type { Asked, Rule } from './routes.ts';

/** Who comes in by a browser: cookie, origin, CSRF token. */
export function createEntry(parts: Parts) {
  const { access, store } = parts;
  const { HOLDFAST_PUBLIC_URL: publicUrl, HOLDFAST_BEHIND_PROXY: proxied } = access.config;
  const secure = publicUrl?.startsWith('https:') === true;
  const cookie = secure ? '__Host-holdfast' : 'holdfast';
  const sessionOf = (c: Asked): string => getCookie(c, cookie) ?? '';
  const csrfOf = (c: Asked): string => createHmac('sha256', sessionOf(c)).update('csrf').digest('hex');

  /** A form of ours, and no other site's: browsers send `Origin` with every post, `null` from where they hide it. */
  const fromHere = (c: Asked): boolean => {
    const own = publicUrl === undefined ? `http://${c.req.header('host')}` : new URL(publicUrl).origin;
    const origin = c.req.header('origin');
    return origin === undefined ? c.req.header('sec-fetch-site') === 'same-origin' : origin === own;
  };
  /** Whoever has no name cannot fill the audit trail. */
  const nameless = createLimiter({ atMost: 60, withinMs: 60_000 });
  const refuse = (c: Asked, status: 401 | 403, who: string | undefined, detail: string) => {
    const tried = { via: 'console', what: `${c.req.method} ${c.req.path}`, on: '', detail };
    if (who !== undefined || nameless.take('') === 0)
      audit(parts, { who: who ?? 'unknown', ...tried, result: 'refused' });
    return c.html(outside(status === 401 ? 'Sign in again' : 'Not allowed', backLink(), detail), status);
  };
  const toSignIn = (c: Asked): Response | Promise<Response> => {
    const { path } = c.req;
    if (c.req.header('accept')?.includes('text/html') !== true) return c.text('sign in first', 401);
    if (c.req.header('sec-fetch-site') === 'cross-site') return c.html(again(path));
    return c.redirect(path === '/' ? '/sign-in' : `/sign-in?to=${encodeURIComponent(path)}`, 303);
  };

  return {
    csrfOf,
    sessionOf,
    /** Where a request comes from, for rate limits. */
    addressOf: (c: Asked): string =>
      (proxied === '1' ? c.req.header('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined) ??
      getConnInfo(c).remote.address ??
      'unknown',
    start(c: Asked, key: string): void {
      setCookie(c, cookie, key, { httpOnly: true, sameSite: 'Strict', secure, path: '/' });
    },
    end(c: Asked): void {
      store.closeSession(sessionOf(c));
      deleteCookie(c, cookie, { path: '/', secure });
    },
    /** See `createDoor`. */
    check: async (c: Asked, rule: Rule): Promise<Response | undefined> => {
      const writes = c.req.method !== 'GET' && c.req.method !== 'HEAD';
      const principal = principalOf(sessionOf(c), store, access.settings);
      if (writes && !fromHere(c))
        return refuse(
          c,
          403,
          principal?.name,
          `this was sent from ${c.req.header('origin') ?? 'elsewhere'}, not from here`,
        );
      if (rule === 'anyone') return undefined;
      if (principal?.kind !== 'person')
        return writes ? refuse(c, 401, undefined, 'the session has ended: nothing was done') : toSignIn(c);
      const id = c.req.param('id');
      const why = whyNot(principal, rule, id === undefined ? c.req.param('service') : serviceOf(id));
      if (why !== undefined) return refuse(c, 403, principal.name, why);
      if (writes && !same((await c.req.parseBody())['csrf'], csrfOf(c)))
        return refuse(c, 403, principal.name, 'the form is not one of this session: open the page again');
      c.set('principal', principal);
      return undefined;
    },
  };
}
export type Entry = ReturnType<typeof createEntry>;

const same = (given: unknown, wanted: string): boolean =>
  typeof given === 'string' &&
  given.length === wanted.length &&
  timingSafeEqual(Buffer.from(given), Buffer.from(wanted));

/** Where somebody may go who was refused. */
const backLink = () => html`<p><a href="/">Now</a></p>`;
