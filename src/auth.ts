import { createClient, isAuthApiError, type AuthError } from '@supabase/supabase-js';
import { failure } from './errors.ts';
import { failureOf } from './http.ts';
import { createRedaction, type Redact } from './redaction.ts';

/** Whose address is proved; `undefined` where nothing is. Every call @throws Unavailable or RateLimited. */
export interface SignIn {
  withPassword(email: string, password: string): Promise<string | undefined>;
  /** Send a code and a link to an address that has an account; nobody is told whether it has one. */
  sendCode(email: string): Promise<void>;
  withCode(email: string, code: string): Promise<string | undefined>;
  withLink(tokenHash: string): Promise<string | undefined>;
}

const NOBODY = [400, 401, 403, 404, 422];
/** A team has fewer accounts; Supabase Auth answers a page at a time. */
const MOST_ACCOUNTS = 1000;

interface Project {
  url: string;
  key: string;
}
/** Supabase's client writes what is thrown here to the console; what is answered it takes for its error, with that message. */
const answered: typeof fetch = (input, init) =>
  fetch(input, init).catch((error: unknown) =>
    Object.assign(new Response(null, { status: 503 }), { message: codeOf(error) }),
  );

/** Such as ECONNREFUSED: whoever is not signed in yet reads it, and needs no address. */
const codeOf = (error: unknown): string => {
  const { cause } = Object(error) as { cause?: unknown };
  const { code } = Object(cause) as { code?: unknown };
  return typeof code === 'string' ? code : 'no answer';
};

/** A client that keeps no session of Supabase's. */
const clientOf = ({ url, key }: Project) =>
  createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { fetch: answered },
  });

/** Sign-in through Supabase Auth with the publishable key. It proves an address and keeps no session of Supabase's. */
export function createSignIn(project: Project): SignIn {
  const client = () => clientOf(project);
  const redact = createRedaction([project.key]);
  interface Answer {
    data: { user: { email?: string | undefined; email_confirmed_at?: string | null | undefined } | null };
    error: AuthError | null;
  }
  const prove = async (ask: (auth: ReturnType<typeof client>['auth']) => Promise<Answer>) => {
    const { auth } = client();
    const { data, error } = await ask(auth);
    if (error !== null) return refused(error, redact);
    await auth.signOut({ scope: 'local' });
    return data.user?.email_confirmed_at ? data.user.email?.toLowerCase() : undefined;
  };
  return {
    withPassword: (email, password) => prove((auth) => auth.signInWithPassword({ email, password })),
    async sendCode(email) {
      const { error } = await client().auth.signInWithOtp({ email, options: { shouldCreateUser: false } });
      if (error !== null) refused(error, redact);
    },
    withCode: (email, token) => prove((auth) => auth.verifyOtp({ email, token, type: 'magiclink' })),
    withLink: (tokenHash) => prove((auth) => auth.verifyOtp({ token_hash: tokenHash, type: 'magiclink' })),
  };
}

/** Whoever tries to sign in is shown it. */
function refused(error: AuthError, redact: Redact): undefined {
  if (error.status === 429) throw failure('RateLimited', 'too many tries: wait a minute');
  if (isAuthApiError(error) && NOBODY.includes(error.status)) return undefined;
  throw failure('Unavailable', `Supabase Auth does not answer: ${redact(error.message)}`);
}

/**
 * Give an address a password to sign in with: an account, proved from the start, or another password for the one that it has.
 * The key is a secret one. @throws NotAllowed or Refused (permanent), Unavailable or RateLimited.
 */
export async function givePassword(project: Project, email: string, password: string): Promise<'made' | 'changed'> {
  const { admin } = clientOf(project).auth;
  const { error } = await admin.createUser({ email, password, email_confirm: true });
  if (error === null) return 'made';
  if (error.code !== 'email_exists') throw undone(error);
  const { data, error: untold } = await admin.listUsers({ perPage: MOST_ACCOUNTS });
  if (untold !== null) throw undone(untold);
  const account = data.users.find((user) => user.email?.toLowerCase() === email);
  if (account === undefined)
    throw failure('NotFound', `Supabase Auth has an account of ${email}, and does not list it`);
  const { error: unchanged } = await admin.updateUserById(account.id, { password });
  if (unchanged !== null) throw undone(unchanged);
  return 'changed';
}

const undone = ({ status, message }: AuthError): Error => failureOf(status || 503, 'Supabase Auth', message);
