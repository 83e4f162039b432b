import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { loadConfig, loadSettings } from '../config.ts';
import { writeAccounts } from './accounts.ts';
import { startAppPostgres } from './app-database.ts';
import { startBugsink } from './bugsink.ts';
import { startCaddy } from './caddy.ts';
import { startGateway, startWorker } from './holdfast.ts';
import { writeEnvironment } from './platform-files.ts';
import { pgbouncerBinary, startPgBouncer } from './pgbouncer.ts';
import { assertPortsFree } from './ports.ts';
import { postgresClient } from './postgres-client.ts';
import { startPostgres } from './postgres.ts';
import { loadSecrets, publicKeyOf, type Secrets } from './secrets.ts';
import { startSupabase } from './supabase.ts';
import type { Supervisor } from './supervisor.ts';
import { startTemporal } from './temporal.ts';

const port = z.coerce.number().int().min(1).max(65535);
export const Ports = z.object({
  HOLDFAST_TEMPORAL_PORT: port.default(7233),
  HOLDFAST_TEMPORAL_UI_PORT: port.default(8233),
  HOLDFAST_POSTGRES_PORT: port.default(54329),
  HOLDFAST_SUPABASE_PORT: port.default(54321),
  HOLDFAST_APP_POSTGRES_PORT: port.default(54330),
  HOLDFAST_PGBOUNCER_PORT: port.default(54332),
  HOLDFAST_APP_SUPABASE_PORT: port.default(54322),
  HOLDFAST_BUGSINK_PORT: port.default(8070),
  HOLDFAST_CADDY_ADMIN_PORT: port.default(2019),
  SHOP_PORT: port.default(4180),
  SHOP_STAGING_PORT: port.default(4181),
  HOLDFAST_GATEWAY_PORT: port.default(4100),
});
export type Ports = z.output<typeof Ports>;

/** With it a deployment of the shop is verified as its customers see it; without one it is not. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

export const PARTS = [
  'temporal',
  'postgres',
  'supabase',
  'app-postgres',
  'pgbouncer',
  'app-supabase',
  'bugsink',
  'caddy',
  'gateway',
  'worker',
] as const;
export type Part = (typeof PARTS)[number];

const PORTS_OF: Record<Part, (keyof Ports)[]> = {
  temporal: ['HOLDFAST_TEMPORAL_PORT', 'HOLDFAST_TEMPORAL_UI_PORT'],
  postgres: ['HOLDFAST_POSTGRES_PORT'],
  supabase: ['HOLDFAST_SUPABASE_PORT'],
  'app-postgres': ['HOLDFAST_APP_POSTGRES_PORT'],
  pgbouncer: ['HOLDFAST_PGBOUNCER_PORT'],
  'app-supabase': ['HOLDFAST_APP_SUPABASE_PORT'],
  bugsink: ['HOLDFAST_BUGSINK_PORT'],
  caddy: ['HOLDFAST_CADDY_ADMIN_PORT', 'SHOP_PORT', 'SHOP_STAGING_PORT'],
  gateway: ['HOLDFAST_GATEWAY_PORT'],
  worker: [],
};

/**
 * Start the chosen parts, each as soon as what it needs is there, and write `platform.env` before the gateway and the worker.
 * Returns links for people. @throws Error when a port is taken or a part does not start.
 */
export async function startPlatform(of: {
  stateDir: string;
  ports: Ports;
  only: readonly Part[];
  supervisor: Supervisor;
}): Promise<Record<string, string>> {
  const { stateDir, ports, only, supervisor } = of;
  const wanted = (part: Part) => only.includes(part);
  await assertPortsFree(Object.fromEntries(only.flatMap((part) => PORTS_OF[part]).map((name) => [name, ports[name]])));
  const secrets = await loadSecrets(stateDir);

  const [temporal, record, app, bugsink, caddy, programs] = await Promise.all([
    wanted('temporal')
      ? supervisor.run('Temporal', 'temporal', (say) =>
          startTemporal({ stateDir, port: ports.HOLDFAST_TEMPORAL_PORT, uiPort: ports.HOLDFAST_TEMPORAL_UI_PORT, say }),
        )
      : undefined,
    startRecord(of),
    startApplication(of),
    wanted('bugsink')
      ? supervisor.run('Bugsink', 'bugsink', (say) =>
          startBugsink({ stateDir, port: ports.HOLDFAST_BUGSINK_PORT, say }),
        )
      : undefined,
    wanted('caddy')
      ? supervisor.run('Caddy', 'caddy', (say) =>
          startCaddy({ stateDir, adminPort: ports.HOLDFAST_CADDY_ADMIN_PORT, say }),
        )
      : undefined,
    wanted('app-postgres') ? postgresClient().catch(() => undefined) : undefined, // those in PATH may do as well
  ]);

  const env: Record<string, string> = {
    ...ownVariables(stateDir, ports, secrets),
    HOLDFAST_UNAPPROVED_RELEASES: '1',
    ...temporal?.variables,
    ...(record.supabase && {
      RECORD_SUPABASE_URL: record.supabase.url,
      RECORD_SUPABASE_SECRET_KEY: record.supabase.secretKey,
      HOLDFAST_AUTH_URL: record.supabase.url,
      HOLDFAST_AUTH_KEY: record.supabase.publishableKey,
    }),
    ...(app.postgres && {
      SUPABASE_DB_URL: app.postgres.holdfastUrl,
      SHOP_DATABASE_URL: app.postgres.url,
      MIGRATIONS_DB_URL: app.postgres.url,
    }),
    ...(app.postgres &&
      record.postgres && {
        BACKUP_DB_URL: app.postgres.url,
        BACKUP_SCRATCH_DB_URL: record.postgres.superuserUrl,
        BACKUP_DIR: join(stateDir, 'backups'),
      }),
    ...(programs !== undefined && { PG_CLIENT_DIR: programs }),
    ...(app.pool && { PGBOUNCER_ADMIN_URL: app.pool.adminUrl, SHOP_DATABASE_URL: app.pool.url }),
    ...(app.supabase && {
      SUPABASE_URL: app.supabase.url,
      SUPABASE_PUBLISHABLE_KEY: app.supabase.publishableKey,
      SUPABASE_SECRET_KEY: app.supabase.secretKey,
    }),
    ...(bugsink && { BUGSINK_URL: bugsink.url, BUGSINK_TOKEN: bugsink.token, SHOP_SENTRY_DSN: bugsink.dsn }),
    ...(bugsink && { SENTRY_AUTH_TOKEN: '' }), // of the two error trackers, this one
    ...(caddy && { CADDY_ADMIN_URL: caddy.adminUrl }),
    ...(CHROMIUM !== undefined && { CHROMIUM_PATH: CHROMIUM }),
  };
  await writeEnvironment(stateDir, env);
  const here = `http://127.0.0.1:${ports.HOLDFAST_GATEWAY_PORT}`;
  /** The gateway does without: it takes forms from each of its names. */
  const linking = { ...env, HOLDFAST_PUBLIC_URL: loadConfig().HOLDFAST_PUBLIC_URL ?? here };

  const [gateway] = await Promise.all([
    wanted('gateway')
      ? supervisor.run('Gateway', 'gateway', (say) =>
          startGateway({ stateDir, port: ports.HOLDFAST_GATEWAY_PORT, env, say }),
        )
      : undefined,
    wanted('worker')
      ? supervisor.run('Worker', 'worker', (say) => startWorker({ stateDir, env: linking, say }))
      : undefined,
  ]);
  return {
    ...(temporal && { temporalUi: temporal.uiUrl }),
    ...(caddy && { shop: `http://127.0.0.1:${ports.SHOP_PORT}` }),
    ...(gateway && { gateway: gateway.url }),
    ...(bugsink && { bugsink: bugsink.url }),
    ...(record.supabase && { supabase: record.supabase.url }),
  };
}

/** The record's Postgres, and on it Supabase. */
async function startRecord(of: Parameters<typeof startPlatform>[0]) {
  const { stateDir, ports, only, supervisor } = of;
  if (!only.includes('postgres')) return {};
  const postgres = await supervisor.run('Postgres', 'postgres', (say) =>
    startPostgres({ stateDir, port: ports.HOLDFAST_POSTGRES_PORT, say }),
  );
  const supabase = only.includes('supabase')
    ? await supervisor.run('Supabase', 'supabase', async (say) =>
        startSupabase({
          stateDir,
          port: ports.HOLDFAST_SUPABASE_PORT,
          databaseUrl: postgres.url,
          people: {
            accounts: await writeAccounts(stateDir, await loadSettings(loadConfig())),
            siteUrl: `http://127.0.0.1:${ports.HOLDFAST_GATEWAY_PORT}`,
          },
          say,
        }),
      )
    : undefined;
  return { postgres, supabase };
}

/** The application's Postgres, its pool where PgBouncer is installed, and on them the application's Supabase. */
async function startApplication(of: Parameters<typeof startPlatform>[0]) {
  const { stateDir, ports, only, supervisor } = of;
  if (!only.includes('app-postgres')) return {};
  const postgres = await supervisor.run('App DB', 'app-postgres', (say) =>
    startAppPostgres({ stateDir, port: ports.HOLDFAST_APP_POSTGRES_PORT, say }),
  );
  const { url: databaseUrl } = postgres;
  const pool =
    only.includes('pgbouncer') && pgbouncerBinary() !== undefined
      ? await supervisor.run('Pool', 'pgbouncer', (say) =>
          startPgBouncer({ stateDir, port: ports.HOLDFAST_PGBOUNCER_PORT, databaseUrl, say }),
        )
      : undefined;
  const supabase = only.includes('app-supabase')
    ? await supervisor.run('App API', 'app-supabase', (say) =>
        startSupabase({
          stateDir,
          port: ports.HOLDFAST_APP_SUPABASE_PORT,
          databaseUrl,
          poolUrl: pool?.url,
          name: 'app-supabase',
          say,
        }),
      )
    : undefined;
  return { postgres, pool, supabase };
}

function ownVariables(stateDir: string, ports: Ports, secrets: Secrets): Record<string, string> {
  return {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_GATEWAY_PORT: String(ports.HOLDFAST_GATEWAY_PORT),
    SHOP_PORT: String(ports.SHOP_PORT),
    SHOP_STAGING_PORT: String(ports.SHOP_STAGING_PORT),
    SHOP_REPOSITORY: join(stateDir, 'shop', 'repository'),
    SHOP_FLAGS_FILE: join(stateDir, 'shop', 'flags.json'),
    HOLDFAST_ALERTMANAGER_TOKEN: secrets.alertmanagerToken,
    HOLDFAST_WEBHOOK_SECRET: secrets.webhookSecret,
    HOLDFAST_SENTRY_CLIENT_SECRET: secrets.sentryClientSecret,
    HOLDFAST_CODE_SECRET: secrets.codeSecret,
    HOLDFAST_DECISION_KEY_ID: secrets.decisionKeyId,
    HOLDFAST_DECISION_PRIVATE_KEY: secrets.decisionPrivateKey,
    HOLDFAST_DECISION_PUBLIC_KEYS: `${secrets.decisionKeyId}=${publicKeyOf(secrets.decisionPrivateKey)}`,
  };
}
