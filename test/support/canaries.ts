/** Secrets to be looked for: how they are planted, in which forms they are found, and which variables have to have one. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { secretsOf } from '../../src/redaction.ts';
import { compose, ROOT } from '../deploy/compose.ts';

export const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Secrets of their own for every place that has one, by the place, as they are looked for. */
export function plantCanaries() {
  const all: Record<string, string> = {};
  const plant = (place: string, secret: string): string => (all[place] = secret);
  const odd = (place: string): string => plant(place, `c+${randomBytes(9).toString('hex')}/&=${place.length}~z`);
  const word = (place: string, prefix = ''): string => prefix + plant(place, `cnry${randomBytes(12).toString('hex')}`);
  const bytes = (place: string, prefix = ''): string => prefix + plant(place, randomBytes(32).toString('base64'));
  const inUrl = (place: string, url: string): string => url.replace('//', `//u:${encodeURIComponent(odd(place))}@`);
  return { all, plant, odd, word, bytes, inUrl };
}
type Canaries = ReturnType<typeof plantCanaries>;

/** In which of its forms a secret is in a text; each of the three ways that Base64 may cut it. */
export function formsIn(text: string, secret: string): string[] {
  const inBase64 = ['', 'x', 'xy'].map((before) => base64(before + secret).slice(4, -4));
  const url = inBase64.map((one) => one.replaceAll('+', '-').replaceAll('/', '_'));
  const forms = { raw: [secret], url: [encodeURIComponent(secret)], base64: [...inBase64, ...url] };
  return Object.entries(forms).flatMap(([name, each]) => (each.some((one) => text.includes(one)) ? [name] : []));
}

/** Not read by gateway, worker or command line: what the embedded platform gives its own tools. */
const EMBEDDED = 'src/embedded/';
const ENVIRONMENT_OF_TEMPORAL = 'node_modules/@temporalio/envconfig/lib/*.js';
const VARIABLE = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/;
/** URLs whose credential is a variable of its own: their systems refuse, or `fetch` does, what has a password in it. */
const ADDRESSES =
  'ALERTMANAGER_URL BASE_URL BUGSINK_URL GITHUB_URL HOLDFAST_AUTH_URL HOLDFAST_NOTIFY_URL HOLDFAST_PUBLIC_URL HOLDFAST_TEMPORAL_UI_URL PAGERDUTY_EVENTS_URL RECORD_SUPABASE_URL SENTRY_URL SLACK_API_URL SUPABASE_MANAGEMENT_URL SUPABASE_URL'.split(
    ' ',
  );

const holdsSecret = (name: string): boolean =>
  secretsOf({ [name]: `authorization=${'x'.repeat(16)}` }).length > 0 ||
  (name.endsWith('_URL') && !ADDRESSES.includes(name));

/** Every variable that holds a secret, as the product's own sources and its containers name them. */
export function secretVariables(): string[] {
  const named = new Set(Object.keys(compose.secrets));
  const constants = new Set<string>();
  const read = (file: string): void => {
    const visit = (node: ts.Node): void => {
      if ((ts.isStringLiteral(node) || ts.isIdentifier(node)) && VARIABLE.test(node.text)) named.add(node.text);
      if ((ts.isVariableDeclaration(node) || ts.isImportSpecifier(node)) && ts.isIdentifier(node.name))
        constants.add(node.name.text);
      node.forEachChild(visit);
    };
    visit(ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest));
  };
  const own = globSync('{src,activities,workers}/**/*.ts', { cwd: ROOT }).filter((file) => !file.startsWith(EMBEDDED));
  [...own, ...globSync(ENVIRONMENT_OF_TEMPORAL, { cwd: ROOT })].forEach(read);
  return [...named].filter((name) => VARIABLE.test(name) && !constants.has(name) && holdsSecret(name)).sort();
}

/** What gateway and worker are given, with a secret in every variable that has one: all systems are at `url`. */
export function plantedEnvironment(
  { plant, odd, word, bytes, inUrl }: Canaries,
  of: { url: string; mailUrl: string; databaseUrl: string; encrypted: boolean },
): Record<string, string> {
  const { url, mailUrl, databaseUrl, encrypted } = of;
  const keys = generateKeyPairSync('ed25519');
  const der = { publicKey: { type: 'spki', format: 'der' }, privateKey: { type: 'pkcs8', format: 'der' } } as const;
  const signing = keys.privateKey.export(der.privateKey).toString('base64');
  const nowhere = 'postgres://127.0.0.1:1';
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/otel`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${word('OTEL_EXPORTER_OTLP_HEADERS')}`,
    TEMPORAL_TLS: 'false',
    TEMPORAL_API_KEY: word('TEMPORAL_API_KEY'),
    TEMPORAL_TLS_CLIENT_KEY_DATA: word('TEMPORAL_TLS_CLIENT_KEY_DATA'),
    TEMPORAL_CODEC_AUTH: word('TEMPORAL_CODEC_AUTH'),
    TEMPORAL_GRPC_META_X_PROXY: word('TEMPORAL_GRPC_META_X_PROXY'),
    HOLDFAST_DECISION_KEY_ID: 'test',
    HOLDFAST_DECISION_PUBLIC_KEYS: `test=${keys.publicKey.export(der.publicKey).subarray(-32).toString('base64')}`,
    HOLDFAST_DECISION_PRIVATE_KEY: plant('HOLDFAST_DECISION_PRIVATE_KEY', signing),
    HOLDFAST_ALERTMANAGER_TOKEN: odd('HOLDFAST_ALERTMANAGER_TOKEN'),
    HOLDFAST_WEBHOOK_SECRET: bytes('HOLDFAST_WEBHOOK_SECRET', 'whsec_'),
    HOLDFAST_SENTRY_CLIENT_SECRET: odd('HOLDFAST_SENTRY_CLIENT_SECRET'),
    HOLDFAST_GRAFANA_SECRET: odd('HOLDFAST_GRAFANA_SECRET'),
    HOLDFAST_PAGERDUTY_SECRET: odd('HOLDFAST_PAGERDUTY_SECRET'),
    HOLDFAST_GITHUB_WEBHOOK_SECRET: odd('HOLDFAST_GITHUB_WEBHOOK_SECRET'),
    HOLDFAST_HEARTBEAT_TOKEN: odd('HOLDFAST_HEARTBEAT_TOKEN'),
    HOLDFAST_CODE_SECRET: odd('HOLDFAST_CODE_SECRET'),
    HOLDFAST_CODEC_TOKEN: odd('HOLDFAST_CODEC_TOKEN'),
    HOLDFAST_METRICS_TOKEN: odd('HOLDFAST_METRICS_TOKEN'),
    HOLDFAST_TOKEN: word('HOLDFAST_TOKEN'),
    HOLDFAST_AUTH_URL: `${url}/auth`,
    HOLDFAST_AUTH_KEY: word('HOLDFAST_AUTH_KEY'),
    HOLDFAST_SLACK_TOKEN: word('HOLDFAST_SLACK_TOKEN', 'xoxb-'),
    HOLDFAST_SLACK_SIGNING_SECRET: odd('HOLDFAST_SLACK_SIGNING_SECRET'),
    HOLDFAST_SLACK_CHANNEL: 'C0123456789',
    SLACK_API_URL: `${url}/slack/`,
    HOLDFAST_SMTP_URL: mailUrl,
    HOLDFAST_MAIL_FROM: 'holdfast@example.com',
    HOLDFAST_MAIL_LIST: 'everybody@example.com',
    HOLDFAST_PAGERDUTY_ROUTING_KEYS: `team=${word('HOLDFAST_PAGERDUTY_ROUTING_KEYS')}`,
    PAGERDUTY_EVENTS_URL: url,
    HOLDFAST_NOTIFY_URL: `${url}/notify`,
    HOLDFAST_NOTIFY_SECRET: bytes('HOLDFAST_NOTIFY_SECRET', 'whsec_'),
    RECORD_SUPABASE_URL: `${url}/record`,
    RECORD_SUPABASE_SECRET_KEY: word('RECORD_SUPABASE_SECRET_KEY', 'sb_secret_'),
    RECORD_DB_URL: inUrl('RECORD_DB_URL', `${nowhere}/record`),
    SUPABASE_URL: `${url}/supabase`,
    SUPABASE_SECRET_KEY: word('SUPABASE_SECRET_KEY', 'sb_secret_'),
    SUPABASE_DB_URL: databaseUrl,
    SUPABASE_ACCESS_TOKEN: word('SUPABASE_ACCESS_TOKEN', 'sbp_'),
    SUPABASE_MANAGEMENT_URL: url,
    SHOP_DATABASE_URL: inUrl('SHOP_DATABASE_URL', `${nowhere}/shop`),
    PGBOUNCER_ADMIN_URL: inUrl('PGBOUNCER_ADMIN_URL', `${nowhere}/pgbouncer`),
    MIGRATIONS_DB_URL: inUrl('MIGRATIONS_DB_URL', `${nowhere}/shop`),
    BACKUP_DB_URL: inUrl('BACKUP_DB_URL', `${nowhere}/shop`),
    BACKUP_SCRATCH_DB_URL: inUrl('BACKUP_SCRATCH_DB_URL', `${nowhere}/scratch`),
    SENTRY_DSN: `${url.replace('//', `//${word('SENTRY_DSN')}@`)}/1`,
    SENTRY_URL: url,
    SENTRY_AUTH_TOKEN: odd('SENTRY_AUTH_TOKEN'),
    BUGSINK_TOKEN: odd('BUGSINK_TOKEN'),
    ...(encrypted ? { BUGSINK_URL: `${url}/bugsink` } : { SENTRY_ORG: 'acme' }), // one of them can count errors
    PROMETHEUS_TOKEN: odd('PROMETHEUS_TOKEN'),
    ALERTMANAGER_URL: url,
    ALERTMANAGER_TOKEN: odd('ALERTMANAGER_TOKEN'),
    GITHUB_TOKEN: word('GITHUB_TOKEN', 'ghp_'),
    CADDY_ADMIN_URL: inUrl('CADDY_ADMIN_URL', url),
    SHOP_REPOSITORY: inUrl('SHOP_REPOSITORY', `${url}/shop.git`),
    ...(encrypted && { HOLDFAST_CODEC_KEYS: bytes('HOLDFAST_CODEC_KEYS', '2026=') }),
  };
}
