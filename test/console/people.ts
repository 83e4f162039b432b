import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeAccounts } from '../../src/embedded/accounts.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { endProcess } from '../../src/processes.ts';
import { settings } from './settings.ts';

/** A real Supabase with the accounts of the configuration's people; `env` leads the gateway to it. */
export async function startPeople() {
  const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-people-'));
  chmodSync(stateDir, 0o755); // the user "postgres" must get in
  const accounts = await writeAccounts(stateDir, settings);
  const { url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() });
  const people = { accounts, siteUrl: 'http://127.0.0.1:4100' };
  const supabase = await startSupabase({ stateDir, port: await freePort(), databaseUrl, people });
  return {
    ...supabase,
    stateDir,
    env: {
      HOLDFAST_AUTH_URL: supabase.url,
      HOLDFAST_AUTH_KEY: supabase.publishableKey,
      RECORD_SUPABASE_URL: supabase.url,
      RECORD_SUPABASE_SECRET_KEY: supabase.secretKey,
    },
    passwordOf: (email: string): string =>
      (JSON.parse(readFileSync(accounts, 'utf8')) as Record<string, string>)[email] ?? '',
    /** What was sent, oldest first. */
    mails: () =>
      readFileSync(join(stateDir, 'mail.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { to: string; text: string }),
    async [Symbol.asyncDispose]() {
      for (const name of ['supabase', 'postgres']) await endProcess(stateDir, name);
      rmSync(stateDir, { recursive: true });
    },
  };
}
export type PeopleRig = Awaited<ReturnType<typeof startPeople>>;
