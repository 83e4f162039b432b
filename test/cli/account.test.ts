import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { execa } from 'execa';
import { readAudit } from '../../src/audit.ts';
import { createSignIn } from '../../src/auth.ts';
import { serving, type Answer, type Asked } from '../activities/http-server.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { jwtOf } from '../support/postgrest.ts';

const ROOT = join(__dirname, '..', '..');
const EMAIL = 'responder@example.com';
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

interface Account {
  id: string;
  email: string;
  password: string;
  email_confirmed_at?: string;
}

/** What Supabase Auth answers to whoever makes accounts with the service's key, and to whoever signs in. */
function supabaseAuth(serviceKey: string) {
  const accounts: Account[] = [];
  const refused = (status: number, code: string): Answer => ({
    status,
    headers: { 'x-supabase-api-version': '2024-01-01' },
    body: { code, message: code },
  });
  const session = (user: Account) => ({
    access_token: jwtOf('authenticated', 'x'),
    refresh_token: 'x',
    token_type: 'bearer',
    expires_in: 3600,
    user,
  });
  return ({ method, url, headers, body }: Asked): Answer => {
    const given = (body === '' ? {} : JSON.parse(body)) as Account & { email_confirm?: boolean };
    const known = accounts.find(({ email }) => email === given.email);
    if (url.pathname === '/auth/v1/token')
      return known?.password === given.password ? { body: session(known) } : refused(400, 'invalid_credentials');
    if (!url.pathname.startsWith('/auth/v1/admin/')) return { status: 204 };
    if (headers.authorization !== `Bearer ${serviceKey}`) return refused(401, 'no_authorization');
    if (method === 'GET') return { body: { users: accounts, aud: 'authenticated' } };
    if (method === 'PUT') {
      const changed = accounts.find(({ id }) => url.pathname.endsWith(id));
      return { body: Object.assign(changed ?? {}, given) };
    }
    if (known !== undefined) return refused(422, 'email_exists');
    const { email, password, email_confirm } = given;
    accounts.push({
      id: randomUUID(),
      email,
      password,
      ...(email_confirm === true && { email_confirmed_at: new Date().toISOString() }),
    });
    return { body: accounts.at(-1) };
  };
}

it('gives somebody of the configuration an account to sign in with, and another password later', async () => {
  const serviceKey = jwtOf('service_role', 'secret');
  await using auth = await serving(supabaseAuth(serviceKey));
  const env = {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_AUTH_URL: auth.url,
    RECORD_SUPABASE_URL: auth.url,
    RECORD_SUPABASE_SECRET_KEY: serviceKey,
  };
  const account = (email: string, more: Record<string, string> = {}, as = 'cto') =>
    execa(process.execPath, ['src/cli/main.ts', 'account', email, '--as', as], {
      cwd: ROOT,
      env: { ...env, ...more },
      reject: false,
    });
  const passwordOf = async (told: string): Promise<string> => {
    const { stdout, stderr } = await account(EMAIL);
    const [, password = ''] = new RegExp(`^${told} for ${EMAIL}: (\\S{24})$`).exec(stdout) ?? [];
    expect([password === '', stderr]).toEqual([false, '']);
    return password;
  };
  const signIn = createSignIn({ url: auth.url, key: jwtOf('anon', 'secret') });
  const first = await passwordOf('an account');
  expect(await signIn.withPassword(EMAIL, first)).toBe(EMAIL);
  const second = await passwordOf('a new password');
  expect(await signIn.withPassword(EMAIL, second)).toBe(EMAIL);
  expect(await signIn.withPassword(EMAIL, first)).toBeUndefined();

  expect(await account('stranger@example.com')).toMatchObject({ exitCode: 4 });
  expect(await account(EMAIL, {}, 'responder')).toMatchObject({ exitCode: 5 });
  expect(await account(EMAIL, { RECORD_SUPABASE_SECRET_KEY: jwtOf('anon', 'secret') })).toMatchObject({ exitCode: 5 });
  expect(await account(EMAIL, { HOLDFAST_AUTH_URL: 'http://127.0.0.1:1' })).toMatchObject({ exitCode: 2 });
  const noted = readAudit(stateDir, 10);
  expect(noted).toMatchObject([
    { who: 'cto', what: 'give a password', on: 'responder', result: 'refused' },
    { who: 'responder', what: 'account', result: 'refused' },
    { who: 'cto', result: 'done', detail: EMAIL },
    { who: 'cto', result: 'done', detail: EMAIL },
  ]);
  expect(JSON.stringify(noted)).not.toContain(second);
});
