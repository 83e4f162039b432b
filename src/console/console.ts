import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { openAudit, type Trail } from '../audit.ts';
import { createSignIn } from '../auth.ts';
import type { Access } from '../operations/temporal.ts';
import { recordOf } from '../record.ts';
import { openSilences } from '../silences.ts';
import { createApi } from './api/api.ts';
import { createBoard } from './board.ts';
import { createEntry } from './entry.ts';
import { createLive } from './live.ts';
import { CONTENT_SECURITY_POLICY } from './pages/layout.ts';
import { pageRoutes } from './pages.ts';
import type { Parts } from './parts.ts';
import { reviewRoutes } from './review-pages.ts';
import { principalOf } from './rights.ts';
import { createDoor, type Asked, type Env, type Routed } from './routes.ts';
import { createSessions, signInRoutes } from './sign-in.ts';
import { openStore } from './store.ts';

const BODY_LIMIT = 64 * 1024;

export interface Console {
  app: Hono<Env>;
  /** Every route with its rule. */
  routes: Routed[];
  /** Whether a person who has signed in asks, by cookie or bearer, and may read. */
  isReader: (c: Asked) => boolean;
  /** What was done over any way in is written there. */
  trail: Trail;
  /** End the streams, so that the server can close. */
  stop(): void;
  /** After the last request. */
  close(): void;
}

/** Console and API of a gateway: the pages where people look and decide. */
export function createConsole(access: Access, log: (line: string) => void): Console {
  const { env, HOLDFAST_STATE_DIR: stateDir } = access.config;
  const { HOLDFAST_AUTH_URL: url, HOLDFAST_AUTH_KEY: key } = env;
  const auth = url === undefined || key === undefined ? undefined : { url, key };
  if (auth === undefined) log('console: nobody can sign in: set HOLDFAST_AUTH_URL and HOLDFAST_AUTH_KEY');
  const silences = openSilences(stateDir);
  const parts: Parts = {
    access,
    log,
    store: openStore(stateDir),
    audit: openAudit(stateDir),
    board: createBoard(access),
    live: createLive(),
    silences,
    signIn: auth && createSignIn(auth),
    record: recordOf(env),
  };
  const app = new Hono<Env>();
  app.use(bodyLimit({ maxSize: BODY_LIMIT }));
  app.use(async (c, next) => {
    await next();
    c.header('content-security-policy', CONTENT_SECURITY_POLICY);
  });
  const entry = createEntry(parts);
  const door = createDoor(app, entry.check);
  const sessions = createSessions(parts);
  signInRoutes(door, entry, sessions);
  pageRoutes(door, entry, parts);
  reviewRoutes(door, entry, parts);
  const api = createApi(parts, sessions, entry.addressOf);
  app.route('/', api.app);
  return {
    app,
    trail: parts,
    routes: [...door.routes, ...api.routes],
    isReader(c) {
      const shown = /^Bearer (hfs_.+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? entry.sessionOf(c);
      const principal = principalOf(shown, parts.store, access.settings);
      return principal?.kind === 'person' && principal.rights.has('read');
    },
    stop: parts.live.stop,
    close() {
      parts.store.close();
      parts.audit.close();
      silences[Symbol.dispose]();
    },
  };
}
