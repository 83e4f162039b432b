import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

const SESSION_MS = 12 * 60 * 60 * 1000;
const ANSWER_MS = 24 * 60 * 60 * 1000;

/** What a machine may be allowed; deciding is not among it. */
export const Scope = z.enum(['read', 'respond', 'deploy']);
export type Scope = z.output<typeof Scope>;

const list = <S extends z.ZodType>(of: S) => z.preprocess((text) => JSON.parse(String(text)), z.array(of));
const Session = z.object({ person: z.string(), email: z.string(), expires: z.string() });
export type Session = z.output<typeof Session>;

export const ApiToken = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(Scope),
  /** Empty: every service. */
  services: z.array(z.string()),
  by: z.string(),
  at: z.string(),
  expires: z.string(),
  revoked: z.string().nullable(),
});
export type ApiToken = z.output<typeof ApiToken>;
const TokenRow = ApiToken.extend({ scopes: list(Scope), services: list(z.string()) });

const Answer = z.object({ digest: z.string(), status: z.number(), body: z.string() });

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const secret = (prefix: string): string => prefix + randomBytes(32).toString('base64url');
const now = (): string => new Date().toISOString();
const later = (ms: number): string => new Date(Date.now() + ms).toISOString();

const TABLES = `
  create table if not exists sessions (hash text primary key, person text not null, email text not null, expires text not null) strict;
  create table if not exists tokens (
    id text primary key, hash text not null unique, name text not null, scopes text not null, services text not null,
    by text not null, at text not null, expires text not null, revoked text) strict;
  create table if not exists answers (
    principal text not null, key text not null, digest text not null, status integer not null, body text not null,
    expires text not null, primary key (principal, key)) strict;`;

/** Sessions, API tokens and answers given, of the gateways on one folder; secrets only as hashes. */
export function openStore(stateDir: string) {
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, 'console.sqlite');
  closeSync(openSync(file, 'a', 0o600)); // SQLite gives its other files the mode of this one
  const db = new DatabaseSync(file, { timeout: 5000 });
  db.exec('pragma journal_mode = wal');
  db.exec(TABLES);
  const found = <S extends z.ZodType>(schema: S, row: unknown): z.output<S> | undefined =>
    row === undefined ? undefined : schema.parse(row);
  return {
    /** A new session of twelve hours; the secret is told this once. */
    openSession(person: string, email: string): string {
      db.prepare('delete from sessions where expires <= ?').run(now());
      const key = secret('hfs_');
      db.prepare('insert into sessions values (?, ?, ?, ?)').run(sha256(key), person, email, later(SESSION_MS));
      return key;
    },
    session: (key: string): Session | undefined =>
      found(Session, db.prepare('select * from sessions where hash = ? and expires > ?').get(sha256(key), now())),
    closeSession: (key: string): void => void db.prepare('delete from sessions where hash = ?').run(sha256(key)),

    /** A new token; its secret is told this once. */
    createToken(of: Pick<ApiToken, 'name' | 'scopes' | 'services' | 'by' | 'expires'>): ApiToken & { token: string } {
      const token = secret('hft_');
      const made = { ...of, id: randomBytes(4).toString('hex'), at: now(), revoked: null };
      db.prepare('insert into tokens values (?, ?, ?, ?, ?, ?, ?, ?, null)').run(
        made.id,
        sha256(token),
        made.name,
        JSON.stringify(made.scopes),
        JSON.stringify(made.services),
        made.by,
        made.at,
        made.expires,
      );
      return { ...made, token };
    },
    token: (token: string): ApiToken | undefined =>
      found(
        TokenRow,
        db.prepare('select * from tokens where hash = ? and revoked is null and expires > ?').get(sha256(token), now()),
      ),
    tokens: (): ApiToken[] => z.array(TokenRow).parse(db.prepare('select * from tokens order by at desc').all()),
    /** False when there is none of this id that is in force. */
    revokeToken: (id: string): boolean =>
      Number(db.prepare('update tokens set revoked = ? where id = ? and revoked is null').run(now(), id).changes) > 0,

    /** The answer that was given to this key; status 0 while it is being worked out. */
    answer: (principal: string, key: string) =>
      found(Answer, db.prepare('select * from answers where principal = ? and key = ?').get(principal, key)),
    /** Claim a key for one request. False when it is taken. */
    claimAnswer(principal: string, key: string, digest: string): boolean {
      db.prepare('delete from answers where expires <= ?').run(now());
      const insert = db.prepare('insert into answers values (?, ?, ?, 0, ?, ?) on conflict do nothing');
      return Number(insert.run(principal, key, digest, '', later(ANSWER_MS)).changes) > 0;
    },
    keepAnswer: (principal: string, key: string, status: number, body: string): void =>
      void db
        .prepare('update answers set status = ?, body = ? where principal = ? and key = ?')
        .run(status, body, principal, key),
    dropAnswer: (principal: string, key: string): void =>
      void db.prepare('delete from answers where principal = ? and key = ?').run(principal, key),
    close: (): void => db.close(),
  };
}
export type Store = ReturnType<typeof openStore>;
