import { z } from 'zod';
import { failure } from '../errors.ts';
import { audit } from '../audit.ts';
import type { Entry } from './entry.ts';
import { createLimiter } from '../limiter.ts';
import { codePage, linkPage, signInPage } from './pages/sign-in.ts';
import { refusalOf, type Parts } from './parts.ts';
import type { Asked, Door } from './routes.ts';

const WINDOW_MS = 5 * 60 * 1000;
const Form = z.object({
  to: z
    .string()
    .regex(/^\/(?![/\\])[\w./%-]*$/)
    .catch('/'),
  email: z.string().trim().toLowerCase().max(200).catch(''),
  password: z.string().max(200).catch(''),
  code: z.string().trim().max(20).catch(''),
  token_hash: z.string().max(200).catch(''),
});

/** Open a session for a person of the configuration whose address Supabase Auth has proved. */
export function createSessions(parts: Parts) {
  const { access, store } = parts;
  const [perAddress, perEmail] = [
    createLimiter({ atMost: 20, withinMs: WINDOW_MS }),
    createLimiter({ atMost: 50, withinMs: WINDOW_MS }),
  ];
  return {
    /** @throws RateLimited where there were too many tries, NotConfigured without Supabase Auth. */
    ways(email: string, address: string): NonNullable<Parts['signIn']> {
      if (parts.signIn === undefined)
        throw failure('NotConfigured', 'nobody can sign in: set HOLDFAST_AUTH_URL and HOLDFAST_AUTH_KEY');
      const seconds = Math.max(perAddress.take(address), email === '' ? 0 : perEmail.take(email));
      if (seconds > 0) throw failure('RateLimited', `too many tries: wait ${seconds} seconds`, {}, seconds * 1000);
      return parts.signIn;
    },
    /** The secret of a new session; `undefined` where the proved address is nobody's. */
    open(proved: string | undefined, of: { tried: string; via: string }): { key: string; person: string } | undefined {
      const { tried, via } = of;
      const person = access.settings.people.find(({ email }) => email !== undefined && email === proved);
      const result = person === undefined ? 'refused' : 'done';
      audit(parts, { who: person?.name ?? 'unknown', via, what: 'sign in', on: '', result, detail: tried });
      return person && { key: store.openSession(person.name, proved ?? ''), person: person.name };
    },
  };
}
export type Sessions = ReturnType<typeof createSessions>;

/** Routes for signing in and out; a link that is opened changes nothing until its button is pressed. */
export function signInRoutes(door: Door, entry: Entry, sessions: Sessions): void {
  const formOf = async (c: Asked) => Form.parse(await c.req.parseBody());
  const wrong = 'that is not right: try again, or have a code sent';
  const enter = async (
    c: Asked,
    of: { email: string; to: string; tried: string },
    prove: (ways: ReturnType<Sessions['ways']>) => Promise<string | undefined>,
    again: (told: string) => ReturnType<typeof signInPage>,
  ): Promise<Response> => {
    const { email, to, tried } = of;
    try {
      const proved = await prove(sessions.ways(email, entry.addressOf(c)));
      const opened = sessions.open(proved, { tried, via: 'console' });
      if (opened === undefined) return await c.html(again(wrong), 401);
      entry.start(c, opened.key);
      return c.redirect(to, 303);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return await c.html(again(refusal.told), refusal.status);
    }
  };

  door.route('GET', '/sign-in', 'anyone', (c) => c.html(signInPage(Form.parse(c.req.query()).to)));
  door.route('POST', '/sign-in', 'anyone', async (c) => {
    const { email, password, to } = await formOf(c);
    return enter(
      c,
      { email, to, tried: email },
      (ways) => ways.withPassword(email, password),
      (told) => signInPage(to, told),
    );
  });
  door.route('POST', '/sign-in/send', 'anyone', async (c) => {
    const { email, to } = await formOf(c);
    try {
      await sessions.ways(email, entry.addressOf(c)).sendCode(email);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return c.html(signInPage(to, refusal.told), refusal.status);
    }
    return c.html(codePage(to, email));
  });
  door.route('POST', '/sign-in/code', 'anyone', async (c) => {
    const { email, code, to } = await formOf(c);
    return enter(
      c,
      { email, to, tried: email },
      (ways) => ways.withCode(email, code),
      (told) => codePage(to, email, told),
    );
  });
  door.route('GET', '/sign-in/link', 'anyone', (c) => c.html(linkPage(Form.parse(c.req.query()).token_hash)));
  door.route('POST', '/sign-in/link', 'anyone', async (c) => {
    const { token_hash: hash } = await formOf(c);
    return enter(
      c,
      { email: '', to: '/', tried: 'link' },
      (ways) => ways.withLink(hash),
      (told) => signInPage('/', told),
    );
  });
  door.route('POST', '/sign-out', 'read', (c) => {
    entry.end(c);
    return c.redirect('/sign-in', 303);
  });
}
