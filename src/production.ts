import type { Config } from './config.ts';
import { canBeGuessed, passwordIn } from './redaction.ts';
import type { Temporal } from './temporal.ts';

type Env = Readonly<Record<string, string | undefined>>;

const SECRET_NAME = /(SECRET|TOKEN|PASSWORD|_KEY)$/;
/** What the Supabase CLI gives every local project. */
const PUBLISHED = ['sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz', 'sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH'];
const SHORTEST = 16;

export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[?::1\]?)$/.test(host);
const hostOf = (address: string): string => address.replace(/:\d+$/, '');

const isOfSupabaseDemo = (value: string): boolean =>
  Buffer.from(value.split('.')[1] ?? '', 'base64url')
    .toString()
    .includes('"supabase-demo"');

/** Why a value keeps no secret, if it does not. */
function weakness(name: string, value: string): string | undefined {
  const secret = SECRET_NAME.test(name) ? value : passwordIn(value);
  if (secret === undefined) return undefined;
  if (PUBLISHED.includes(secret) || isOfSupabaseDemo(secret)) return 'is known to everybody';
  if (canBeGuessed(secret)) return 'can be guessed';
  const ours = name.startsWith('HOLDFAST_') || !SECRET_NAME.test(name);
  return ours && secret.length < SHORTEST ? `is shorter than ${SHORTEST} characters` : undefined;
}

/**
 * What must not be so in production: secrets that are none, a way to a remote Temporal that others can read, histories in plain
 * text. Each with its remedy; no secret is in the text.
 */
export function productionFaults({ env, temporal }: { env: Env; temporal: Temporal }): string[] {
  const weak = Object.entries(env).flatMap(([name, value]) => {
    const why = value === undefined ? undefined : weakness(name, value);
    return why === undefined ? [] : [`${name} ${why}: make another, for example with "openssl rand -hex 32"`];
  });
  const remote = !isLoopback(hostOf(temporal.address));
  const { tls } = temporal.connection;
  return [
    ...weak,
    ...(remote && (tls === undefined || tls === null || tls === false)
      ? [
          `Temporal at ${temporal.address} is reached without TLS: set TEMPORAL_TLS=true, or TEMPORAL_TLS_SERVER_CA_CERT_PATH`,
        ]
      : []),
    ...(env['HOLDFAST_CODEC_KEYS'] === undefined
      ? ['histories would be plain text: set HOLDFAST_CODEC_KEYS=<id>=<base64 of 32 bytes>, or "none" to have it so']
      : []),
  ];
}

/** Whether browsers reach this address by TLS, or without leaving their machine. */
const isPrivate = (url: string | undefined): boolean =>
  url !== undefined && (url.startsWith('https:') || isLoopback(new URL(url).hostname));

/** Endpoints of the gateway that are open to more than they should be to whoever reaches its host. */
export function openEndpoints(of: Pick<Config, 'HOLDFAST_GATEWAY_HOST' | 'HOLDFAST_PUBLIC_URL' | 'env'>): string[] {
  const { HOLDFAST_GATEWAY_HOST: host, HOLDFAST_PUBLIC_URL: publicUrl, env } = of;
  if (isLoopback(host)) return [];
  return [
    ...(env['HOLDFAST_METRICS_TOKEN'] === undefined
      ? [`/metrics would answer anybody on ${host}: set HOLDFAST_METRICS_TOKEN`]
      : []),
    ...(env['HOLDFAST_AUTH_URL'] !== undefined && !isPrivate(publicUrl)
      ? [
          `/ would take passwords and sessions in plain text on ${host}: put it behind TLS, and set HOLDFAST_PUBLIC_URL to its https address`,
        ]
      : []),
  ];
}

/** The metrics of a worker, where more than they should be reach them: they ask nobody who they are. */
export function openMetrics(of: Pick<Config, 'HOLDFAST_WORKER_METRICS' | 'HOLDFAST_METRICS_NETWORK_CLOSED'>): string[] {
  const { HOLDFAST_WORKER_METRICS: address, HOLDFAST_METRICS_NETWORK_CLOSED: closed } = of;
  if (address === undefined || isLoopback(hostOf(address)) || closed === '1') return [];
  return [
    `HOLDFAST_WORKER_METRICS would answer anybody on ${address}: set it to a port of 127.0.0.1, or HOLDFAST_METRICS_NETWORK_CLOSED=1 where nobody but Prometheus reaches it`,
  ];
}

/** The project of a Supabase URL, or of a connection string to its database, direct or by its pooler. */
const projectOf = (url: string): string | undefined =>
  /^https:\/\/(\w+)\.supabase\.(?:co|in)\b/.exec(url)?.[1] ??
  /@db\.(\w+)\.supabase\.(?:co|in)\b/.exec(url)?.[1] ??
  /\.(\w+):[^@]*@[\w.-]+\.pooler\.supabase\.com\b/.exec(url)?.[1];

/** Which Supabase or database a URL is of, whoever asks it. */
function placeOf(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url);
  const project = projectOf(url);
  if (project !== undefined) return project;
  const host = isLoopback(hostname) ? 'localhost' : hostname;
  return protocol.startsWith('postgres')
    ? `sql ${host}:${port || '5432'}/${pathname.slice(1) || 'postgres'}`
    : `${protocol}//${host}:${port}`;
}

const OF_RECORD = ['RECORD_SUPABASE_URL', 'RECORD_DB_URL'];
const OF_APPLICATION = ['SUPABASE_URL', 'SUPABASE_DB_URL', 'MIGRATIONS_DB_URL', 'BACKUP_DB_URL'];

/** Where record and application share one Supabase or one database: allowed, but while it is down the record is behind. */
export function sharedWithRecord(env: Env): string[] {
  const places = (names: string[]) =>
    names.flatMap((name) => {
      const url = env[name];
      return url !== undefined && URL.canParse(url) ? [{ name, place: placeOf(url) }] : [];
    });
  const application = places(OF_APPLICATION);
  return places(OF_RECORD).flatMap((record) => {
    const same = application.filter(({ place }) => place === record.place).map(({ name }) => name);
    return same.length === 0
      ? []
      : [`${record.name} is of the same database as ${same.join(', ')}: while it is down the record is behind`];
  });
}
