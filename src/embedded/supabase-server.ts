/** The process of Supabase Lite: migrates, warms up, serves. Started by `supabase.ts`. */
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { App } from '@supabase/lite';
import { createPostgresConnection } from '@supabase/lite/postgres';
import { z } from 'zod';
import { loadConfig } from '../config.ts';
import { mailInto, makeAccounts } from './accounts.ts';
import { migrate } from './migrations.ts';
import { ROOT } from './tools.ts';

const env = z
  .object({
    HOLDFAST_SUPABASE_PORT: z.coerce.number().int(),
    HOLDFAST_SUPABASE_JWT_SECRET: z.string().min(32),
    HOLDFAST_SUPABASE_MIGRATIONS: z.string(),
    HOLDFAST_SUPABASE_POOL_URL: z.string(),
    /** People who may sign in; nobody else can sign up. */
    HOLDFAST_SUPABASE_ACCOUNTS: z.string().optional(),
    HOLDFAST_SUPABASE_SITE_URL: z.url().optional(),
    SUPABASE_DB_URL: z.string(),
    SUPABASE_PUBLISHABLE_KEY: z.string(),
    SUPABASE_SECRET_KEY: z.string(),
  })
  .parse(loadConfig().env);

const MAIL = join(loadConfig().HOLDFAST_STATE_DIR, 'mail.jsonl');

function createApp(url: string, { signUp }: { signUp: boolean }): App {
  return new App({
    connection: createPostgresConnection({ url }),
    options: { drivers: { email: mailInto(MAIL) } },
    auth: {
      enabled: true,
      enable_signup: signUp,
      ...(env.HOLDFAST_SUPABASE_SITE_URL !== undefined && { site_url: env.HOLDFAST_SUPABASE_SITE_URL }),
      email: {
        template: {
          magic_link: {
            subject: 'Sign in to Holdfast',
            content_path: join(ROOT, 'supabase/templates/magic_link.html'),
          },
        },
      },
      publishable_key: env.SUPABASE_PUBLISHABLE_KEY,
      secret_key: env.SUPABASE_SECRET_KEY,
      jwt_secret: env.HOLDFAST_SUPABASE_JWT_SECRET,
    },
  });
}

// An App knows only the tables and functions that are there when it is made, so another one makes the schema `auth`.
const forSchema = createApp(env.SUPABASE_DB_URL, { signUp: true });
await forSchema.ensureSystemSchema();
const { HOLDFAST_SUPABASE_ACCOUNTS: accounts } = env;
if (accounts !== undefined) await makeAccounts(forSchema, env.SUPABASE_PUBLISHABLE_KEY, accounts);
await forSchema.connection.close();

const folders = [join(ROOT, env.HOLDFAST_SUPABASE_MIGRATIONS)];
for (const name of await migrate({ url: env.SUPABASE_DB_URL, root: ROOT, folders })) console.log(`applied ${name}`);

const app = createApp(env.HOLDFAST_SUPABASE_POOL_URL, { signUp: accounts === undefined });
// Its first requests grant privileges to the roles and race one another: one request of each role goes before all others.
for (const apikey of [env.SUPABASE_SECRET_KEY, env.SUPABASE_PUBLISHABLE_KEY]) {
  const warmUp = await app.getClient({ apikey }).from('holdfast_migrations').select('name').limit(1);
  console.log(`warm-up: ${warmUp.status}`);
}

serve({
  hostname: '127.0.0.1',
  port: env.HOLDFAST_SUPABASE_PORT,
  fetch: (request, { incoming }) =>
    app.fetch(request, { peerAddress: 'socket' in incoming ? (incoming.socket.remoteAddress ?? null) : null }),
});
