import {
  createRedaction,
  redactAll,
  redactError,
  secretsOf,
  withoutLiterals,
  withoutValues,
} from '../src/redaction.ts';

const SECRET = 'cnry+5f0c/e1=a&b"c é7';
const redact = createRedaction([SECRET]);

it('takes a secret out raw, in JSON, in a URL, and in Base64 wherever it stands', () => {
  const base64 = ['', 'u:', 'user:'].map((before) => Buffer.from(`${before}${SECRET}!`).toString('base64'));
  const shown = [SECRET, JSON.stringify({ SECRET }), `?q=${encodeURIComponent(SECRET)}&r`, ...base64];
  for (const text of shown) expect(redact(`a ${text} b`)).toMatch(/^a .*\[removed\].* b$/);
  const url = Buffer.from(`>>${SECRET}`).toString('base64url');
  expect(redact(url).length).toBeLessThan(url.length / 2 + 8);
  expect(JSON.parse(redact(JSON.stringify({ SECRET })))).toEqual({ SECRET: '[removed]' });
});

it('takes out what is left of a secret that was cut short to half of it or more', () => {
  expect(redact(`no answer to ${SECRET.slice(0, 12)}`)).toBe('no answer to [removed]');
});

it('changes nothing more when it is done twice', () => {
  const once = redact(`${SECRET} postgres://app:${SECRET}@db password=${SECRET}`);
  expect(redact(once)).toBe(once);
});

it.each([
  ['Authorization: Bearer abcdefghijklmnop12', 'Authorization: Bearer [removed]'],
  ['dial postgres://app:hunter22@db:5432/shop', 'dial postgres://app:[removed]@db:5432/shop'],
  ['{"password":"hunter22"}', '{"password":"[removed]"}'],
  ['api_key=hunter22&x=1', 'api_key=[removed]&x=1'],
  ['the key sb_secret_0123456789 is wrong', 'the key [removed] is wrong'],
  ['ghp_abcdefghij0123456789', '[removed]'],
  ['{"resetToken":1234567}', '{"resetToken":"[removed]"}'],
  ['xoxb-0123456789-abcdef', '[removed]'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl', '[removed]'],
])('takes out what looks like a secret, whosever it is: %s', (text, left) => {
  expect(createRedaction([])(text)).toBe(left);
});

it.each([
  'set SUPABASE_SECRET_KEY, HOLDFAST_CODE_SECRET to open it',
  'the bearer token is wrong',
  'token:assistant noted it',
  'gha-cache-server and incident.hft-trading-engine.triage',
  'https://shop.example/a:b@c and http://127.0.0.1:4100/runs',
  'Roll back shop v2 → v1? The secret is out: tokens expire',
  'incident.shop.high-error-rate/0198c0de-7000-7000-8000-000000000000',
])('leaves alone what is none: %s', (text) => {
  expect(createRedaction(['postgres', 'password', 'short'])(text)).toBe(text);
});

it('knows the secrets of an environment by their names, and passwords in any URL', () => {
  const secrets = secretsOf({
    HOLDFAST_CODEC_KEYS: 'new=bmV3a2V5bmV3a2V5,old=b2xka2V5b2xka2V5',
    HOLDFAST_WEBHOOK_SECRET: 'whsec_MDEyMzQ1Njc4OQ==',
    SUPABASE_DB_URL: 'postgres://holdfast:p%40ssw0rd@127.0.0.1/shop',
    SENTRY_DSN: 'https://0123456789abcdef@sentry.example/1',
    TEMPORAL_GRPC_META_AUTHORIZATION: 'of-the-proxy',
    SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_1',
    HOLDFAST_SECRETS_DIR: '/run/secrets',
    TEMPORAL_TLS_CLIENT_KEY_PATH: '/run/secrets/key.pem',
    SUPABASE_URL: 'http://127.0.0.1:1',
  });
  expect(secrets).toEqual(
    expect.arrayContaining([
      'bmV3a2V5bmV3a2V5',
      'b2xka2V5b2xka2V5',
      'MDEyMzQ1Njc4OQ==',
      'p@ssw0rd',
      '0123456789abcdef',
      'of-the-proxy',
    ]),
  );
  expect(secrets.filter((one) => /^\/run|publishable|127\.0\.0\.1:1$/.test(one))).toEqual([]);
});

it('goes through every text of a value, and through an error and its causes', () => {
  expect(redactAll(redact, { a: [1, null, SECRET], [SECRET]: true })).toEqual({
    a: [1, null, '[removed]'],
    '[removed]': true,
  });
  const error = new Error(`outer ${SECRET}`, { cause: new DOMException(`inner ${SECRET}`, 'AbortError') });
  redactError(redact, error);
  expect(error.message).toBe('outer [removed]');
  expect(`${error.stack} ${String(error.cause)}`).not.toContain('cnry');
});

it.each([
  [`select * from "User's" where mail = 'a''b' and n = 12.5`, `select * from "User's" where mail = ? and n = ?`],
  [String.raw`update t set a = E'x\'y', b = 'z\', c = 'd'`, 'update t set a = ?, b = ?, c = ?'],
  ['select $1, t2.x from t2 where y = $tag$secret$tag$ limit 3', 'select $1, t2.x from t2 where y = ? limit ?'],
  [`select 1 -- of 'a\nwhere x = 'cut of`, 'select ?  \nwhere x = ?'],
])('shows a statement without its data: %s', (sql, left) => {
  expect(withoutLiterals(sql)).toBe(left);
});

it('shows what Postgres says without the value that it refuses, and with the name that it misses', () => {
  expect(withoutValues('22P02', 'invalid input syntax for type integer: "cnry"')).toBe(
    'invalid input syntax for type integer: "…"',
  );
  expect(withoutValues('42P01', 'relation "orders" does not exist')).toBe('relation "orders" does not exist');
});

it('takes of headers what a secret is in, and not a tenant or a namespace', () => {
  expect(
    secretsOf({
      OTEL_EXPORTER_OTLP_HEADERS: 'X-Scope-OrgID=production,Authorization=Basic abcdefgh12345678',
      TEMPORAL_GRPC_META_TEMPORAL_NAMESPACE: 'shop-production.a1b2c',
      TEMPORAL_GRPC_META_AUTHORIZATION: 'Bearer 0123456789abcdef',
    }),
  ).toEqual(expect.arrayContaining(['abcdefgh12345678', 'Bearer 0123456789abcdef']));
  expect(secretsOf({ OTEL_EXPORTER_OTLP_HEADERS: 'X-Scope-OrgID=production' })).toEqual([]);
  expect(secretsOf({ TEMPORAL_GRPC_META_TEMPORAL_NAMESPACE: 'shop-production.a1b2c' })).toEqual([]);
});
