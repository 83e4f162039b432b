import { randomBytes } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { App, EmailDriver } from '@supabase/lite';
import { z } from 'zod';
import type { Settings } from '../contracts/index.ts';
import { readIfThere, writeWhole } from '../processes.ts';

/** E-mail address → password of the embedded platform's people. */
const Accounts = z.record(z.string(), z.string());

const fileOf = (stateDir: string): string => join(stateDir, 'accounts.json');
const readAccounts = async (file: string): Promise<Record<string, string>> =>
  Accounts.parse(JSON.parse((await readIfThere(file)) ?? '{}'));

/** A password for each person of the configuration who has an address, in `accounts.json` (mode 600); those that are there stay. */
export async function writeAccounts(stateDir: string, { people }: Settings): Promise<string> {
  const file = fileOf(stateDir);
  const before = await readAccounts(file);
  const accounts = people.flatMap(({ email }) =>
    email === undefined ? [] : [[email, before[email] ?? randomBytes(12).toString('base64url')] as const],
  );
  await writeWhole(file, JSON.stringify(Object.fromEntries(accounts), null, 2));
  return file;
}

/** Make the accounts that are not there yet, of an app that lets people sign up. */
export async function makeAccounts(app: App, apikey: string, file: string): Promise<void> {
  const { auth } = app.getClient({ apikey });
  for (const [email, password] of Object.entries(await readAccounts(file))) {
    const { error } = await auth.signUp({ email, password });
    if (error === null) console.log(`account: ${email}`);
    else if (error.code !== 'user_already_exists') throw error;
  }
}

/** Mail of the embedded Supabase is not sent: it lies in a file that only its owner can read. */
export const mailInto = (file: string): EmailDriver => ({
  async send({ to, subject, html = '' }) {
    const text = html.replaceAll(/<[^>]*>/g, '').trim();
    const mail = { at: new Date().toISOString(), to, subject, text };
    await appendFile(file, `${JSON.stringify(mail)}\n`, { mode: 0o600 });
  },
});
