import { statSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { createSignIn, type SignIn } from '../src/auth.ts';
import { freePort } from '../src/embedded/ports.ts';
import { startPeople, type PeopleRig } from './console/people.ts';

const EMAIL = 'responder@example.com';
let people: PeopleRig;
let signIn: SignIn;
let password: string;

beforeAll(async () => {
  people = await startPeople();
  password = people.passwordOf(EMAIL);
  signIn = createSignIn({ url: people.url, key: people.publishableKey });
}, 120_000);
afterAll(() => people[Symbol.asyncDispose]());

it('proves the address of a person of the configuration by the generated password, and no other', async () => {
  expect(await signIn.withPassword(EMAIL, password)).toBe(EMAIL);
  expect(await signIn.withPassword(EMAIL, 'another')).toBeUndefined();
  expect(await signIn.withPassword('lead@example.com', password)).toBeUndefined();
  expect(statSync(join(people.stateDir, 'accounts.json')).mode & 0o777).toBe(0o600);
});

it('lets nobody else make an account', async () => {
  const { auth } = createClient(people.url, people.publishableKey, { auth: { persistSession: false } });
  const { error } = await auth.signUp({ email: 'stranger@example.com', password: 'a long password' });
  expect(error?.code).toBe('signup_disabled');
});

it('sends a code and a link, each of which signs in once', async () => {
  await signIn.sendCode(EMAIL);
  const text = people.mails().at(-1)?.text ?? '';
  const code = /\b\d{6}\b/.exec(text)?.[0] ?? '';
  expect(await signIn.withCode(EMAIL, '000000')).toBeUndefined();
  expect(await signIn.withCode(EMAIL, code)).toBe(EMAIL);
  expect(await signIn.withCode(EMAIL, code)).toBeUndefined();
  expect(statSync(join(people.stateDir, 'mail.jsonl')).mode & 0o777).toBe(0o600);

  await signIn.sendCode(EMAIL);
  const link = /http:\/\/127\.0\.0\.1:4100\/sign-in\/link\?token_hash=([\w.-]+)/.exec(
    people.mails().at(-1)?.text ?? '',
  );
  expect(await signIn.withLink(link?.[1] ?? '')).toBe(EMAIL);
  expect(await signIn.withLink(link?.[1] ?? '')).toBeUndefined();
});

it('sends nothing to a stranger and does not tell so', async () => {
  const before = people.mails().length;
  await signIn.sendCode('stranger@example.com');
  expect(people.mails()).toHaveLength(before);
});

it('says that Supabase is away, and says it once, rather than that the password is wrong', async () => {
  const away = createSignIn({ url: `http://127.0.0.1:${await freePort()}`, key: people.publishableKey });
  const written = jest.spyOn(console, 'error').mockImplementation();
  await expect(away.withPassword(EMAIL, password)).rejects.toMatchObject({
    type: 'Unavailable',
    message: 'Supabase Auth does not answer: ECONNREFUSED',
  });
  expect(written).not.toHaveBeenCalled();
  written.mockRestore();
});
