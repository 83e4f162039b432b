/** Commands about who may do what: `login`, `logout`, `whoami`, `account`, `token`, `audit`. */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import { z } from 'zod';
import { readAudit } from '../audit.ts';
import { givePassword } from '../auth.ts';
import { verifyTrail } from '../operations/audited.ts';
import { recordOf } from '../record.ts';
import { loadConfig, loadSettings, type Config } from '../config.ts';
import { out } from './command.ts';
import { usageError } from './context.ts';
import { noting } from './noting.ts';
import { callApi, callAsPerson, forgetSession, gatewayUrl, keepSession } from './remote.ts';

const Session = z.object({ token: z.string(), person: z.string() });
const Who = z.object({ name: z.string(), kind: z.string(), rights: z.array(z.string()) });
const Token = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  services: z.array(z.string()),
  by: z.string(),
  expires: z.string(),
  revoked: z.string().nullable(),
});
type Token = z.output<typeof Token>;

/** A secret from the terminal, without showing it, or from standard input. */
async function secret(question: string): Promise<string> {
  if (!process.stdin.isTTY) return (await readAll(process.stdin)).trim();
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const answer = await terminal.question('');
  terminal.close();
  process.stderr.write('\n');
  return answer.trim();
}

const tokenLine = ({ id, name, scopes, services, by, expires, revoked }: Token): string =>
  [
    id,
    name,
    scopes.join(','),
    services.join(',') || 'every service',
    `by ${by}`,
    revoked === null ? `until ${expires}` : `REVOKED ${revoked}`,
  ].join('  ');

/** Where people sign in, with a key that may make accounts there. @throws usage error where this process has none. */
function accountsOf({ env }: Config): { url: string; key: string } {
  const { HOLDFAST_AUTH_URL: url, RECORD_SUPABASE_URL: record, RECORD_SUPABASE_SECRET_KEY: key } = env;
  if (url === undefined || key === undefined || url !== record)
    throw usageError('no key here makes accounts where people sign in (HOLDFAST_AUTH_URL): make it in Supabase itself');
  return { url, key };
}

export function accessCommands(program: Command): void {
  program
    .command('login <email>')
    .description('sign in through Supabase Auth; the password is asked for, or read from standard input')
    .option('--code', 'have a code sent instead of giving a password')
    .option('--json')
    .action(async (email: string, options: { code?: boolean; json?: boolean }) => {
      const config = loadConfig();
      const url = gatewayUrl(config);
      if (options.code === true) await callApi({ url }, z.unknown(), 'POST', '/session', { email });
      const given = options.code === true ? { code: await secret('Code: ') } : { password: await secret('Password: ') };
      const { token, person } = await callApi({ url }, Session, 'POST', '/session', { email, ...given });
      await keepSession(config, { url, person, token });
      out(options.json, { person, hours: 12 }, `signed in as ${person} for twelve hours`);
    });
  program
    .command('logout')
    .description('end the session')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => {
      const config = loadConfig();
      try {
        await callAsPerson(config, z.unknown(), 'DELETE', '/session');
      } finally {
        await forgetSession(config);
      }
      out(json, { signedOut: true }, 'signed out');
    });
  program
    .command('whoami')
    .description('who has signed in, and what for')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => {
      const who = await callAsPerson(loadConfig(), Who, 'GET', '/session');
      out(json, who, `${who.name}: ${who.rights.join(', ')}`);
    });
  program
    .command('account <email>')
    .description(
      'an account for somebody of the configuration, or a new password for it; the password is shown this once',
    )
    .requiredOption('--as <person>')
    .option('--json')
    .action(async (address: string, { as: who, json }: { as: string; json?: boolean }) => {
      const config = loadConfig();
      const settings = await loadSettings(config);
      const email = address.toLowerCase();
      const person = settings.people.find((one) => one.email === email);
      if (person === undefined) throw usageError(`nobody in the configuration has the address ${email}`, 4);
      const project = accountsOf(config);
      const password = randomBytes(18).toString('base64url');
      const given = await noting(config, { who, what: 'give a password', on: person.name, detail: email }, () =>
        givePassword(project, email, password),
      );
      const what = given === 'made' ? 'an account' : 'a new password';
      out(json, { email, made: given === 'made', password }, `${what} for ${email}: ${password}`);
    });

  const token = program.command('token').description('API tokens of machines; a token never decides');
  token
    .command('create <name>')
    .description('the secret is shown this once')
    .requiredOption('--scope <scope...>', 'read, respond, deploy')
    .option('--service <service...>', 'for these services alone', [])
    .option('--days <number>', 'how long it lasts', '90')
    .option('--json')
    .action(async (name: string, options: { scope: string[]; service: string[]; days: string; json?: boolean }) => {
      const asked = { name, scopes: options.scope, services: options.service, days: Number(options.days) };
      const Created = Token.extend({ token: z.string() });
      const made = await callAsPerson(loadConfig(), Created, 'POST', '/tokens', asked);
      out(options.json, made, `${tokenLine(made)}\n${made.token}`);
    });
  token
    .command('list')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => {
      const { tokens } = await callAsPerson(loadConfig(), z.object({ tokens: z.array(Token) }), 'GET', '/tokens');
      out(json, tokens, tokens.map(tokenLine).join('\n') || 'no tokens');
    });
  token
    .command('revoke <id>')
    .option('--json')
    .action(async (id: string, { json }: { json?: boolean }) => {
      await callAsPerson(loadConfig(), z.unknown(), 'DELETE', `/tokens/${encodeURIComponent(id)}`);
      out(json, { revoked: id }, `revoked: ${id}`);
    });

  const audit = program.command('audit').description('the audit trail of the gateway on this machine');
  audit
    .command('verify')
    .description('find a changed, dropped or reordered entry; 1 where there is one')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => {
      const { HOLDFAST_STATE_DIR: stateDir, env } = loadConfig();
      const found = await verifyTrail(stateDir, recordOf(env));
      if (found.fault !== undefined && json !== true)
        throw usageError(`the chain is broken after ${found.entries} entries: ${found.fault}`, 1);
      const kept = found.recorded === undefined ? '' : `; the record holds ${found.recorded} of them`;
      out(json, found, `the chain of ${found.entries} entries holds${kept}`);
      process.exitCode = found.fault === undefined ? 0 : 1;
    });
  audit
    .command('list')
    .option('--limit <number>', 'how many, newest first', '50')
    .option('--json')
    .action((options: { limit: string; json?: boolean }) => {
      const entries = readAudit(loadConfig().HOLDFAST_STATE_DIR, Number(options.limit));
      const lines = entries.map(
        ({ at, who, via, what, on, result, detail }) =>
          `${at}  ${result}  ${who} via ${via}  ${what}  ${on}  ${detail}`,
      );
      out(options.json, entries, lines.join('\n') || 'nothing was noted yet');
    });
}
