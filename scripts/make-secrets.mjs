// Makes what docker-compose.yml mounts as secrets, once: keys, passwords and the certificates between Holdfast and Temporal.
// What is there is left as it is, so that a lost one can be made anew by deleting it. Needs openssl.
// usage: [OPERATORS_WEBHOOK_URL=<where alerts about Holdfast itself go>] node scripts/make-secrets.mjs [<folder>]
import { execFileSync } from 'node:child_process';
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? 'deploy/secrets';
mkdirSync(folder, { recursive: true, mode: 0o700 });
/** Containers run as users of their own: the files are for all to read, in a folder that only its owner may enter. */
const keep = (name, make) => {
  const file = join(folder, name);
  if (!existsSync(file)) writeFileSync(file, make(), { mode: 0o444 });
  return readFileSync(file, 'utf8');
};
const word = (bytes = 32) => randomBytes(bytes).toString('hex');

for (const name of [
  'HOLDFAST_CODE_SECRET',
  'HOLDFAST_ALERTMANAGER_TOKEN',
  'HOLDFAST_METRICS_TOKEN',
  'HOLDFAST_CODEC_TOKEN',
])
  keep(name, () => word());
keep('HOLDFAST_WEBHOOK_SECRET', () => `whsec_${randomBytes(32).toString('base64')}`);
keep('HOLDFAST_CODEC_KEYS', () => `${new Date().toISOString().slice(0, 10)}=${randomBytes(32).toString('base64')}`);
const signing = keep('HOLDFAST_DECISION_PRIVATE_KEY', () =>
  generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
);
const secret = createPrivateKey({ key: Buffer.from(signing, 'base64'), format: 'der', type: 'pkcs8' });
keep('HOLDFAST_DECISION_PUBLIC_KEYS', () => {
  const raw = Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x, 'base64url');
  return `compose=${raw.toString('base64')}`;
});

const NOBODY = 'http://operators.invalid/';
const operators = keep('operators_webhook_url', () => process.env.OPERATORS_WEBHOOK_URL ?? NOBODY);

const passwords = Object.fromEntries(
  ['postgres', 'temporal', 'authenticator', 'auth'].map((role) => [role, keep(`${role}_password`, () => word())]),
);
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** A key of a Supabase whose parts know `secret`. */
const token = (role, secret) => {
  const issued = Math.floor(Date.now() / 1000);
  const claims = { role, iss: 'holdfast', iat: issued, exp: issued + 5 * 365 * 24 * 60 * 60 };
  const body = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
};
/** PostgREST behind a pool that gives each transaction another session: nothing is prepared in one, or listened to. */
const postgrest = (databaseUrl, secret) =>
  [
    `db-uri = "${databaseUrl}"`,
    'db-schemas = "public"',
    'db-anon-role = "anon"',
    'db-prepared-statements = false',
    'db-channel-enabled = false',
    `jwt-secret = "${secret}"`,
    'admin-server-port = 3001',
    '',
  ].join('\n');
const users = (passwordOf) =>
  Object.entries(passwordOf)
    .map(([user, password]) => `"${user}" "${password}"\n`)
    .join('');

const jwtSecret = keep('jwt_secret', () => word());
keep('RECORD_SUPABASE_SECRET_KEY', () => token('service_role', jwtSecret));
keep('HOLDFAST_AUTH_KEY', () => token('anon', jwtSecret));
keep('RECORD_DB_URL', () => `postgres://postgres:${passwords.postgres}@postgres:5432/holdfast`);
keep('pgbouncer_users', () => users({ authenticator: passwords.authenticator }));
keep('postgrest.conf', () =>
  postgrest(`postgres://authenticator:${passwords.authenticator}@pgbouncer:6432/holdfast`, jwtSecret),
);
keep('auth.env', () =>
  [
    `GOTRUE_JWT_SECRET=${jwtSecret}`,
    `GOTRUE_DB_DATABASE_URL=postgres://supabase_auth_admin:${passwords.auth}@postgres:5432/holdfast?search_path=auth`,
    '',
  ].join('\n'),
);

const shop = Object.fromEntries(
  ['postgres', 'owner', 'authenticator', 'holdfast'].map((role) => [role, keep(`shop_${role}_password`, () => word())]),
);
const shopJwtSecret = keep('shop_jwt_secret', () => word());
const poolAdmin = keep('shop_pool_admin_password', () => word());
keep('shop_pool_users', () => users({ shop: shop.owner, authenticator: shop.authenticator, pool_admin: poolAdmin }));
keep('shop_postgrest.conf', () =>
  postgrest(`postgres://authenticator:${shop.authenticator}@shop-pool:6432/app`, shopJwtSecret),
);
keep('shop.env', () =>
  [
    `SUPABASE_PUBLISHABLE_KEY=${token('anon', shopJwtSecret)}`,
    `DATABASE_URL=postgres://shop:${shop.owner}@shop-pool:6432/app`,
    '',
  ].join('\n'),
);
keep('SUPABASE_SECRET_KEY', () => token('service_role', shopJwtSecret));
keep('SUPABASE_DB_URL', () => `postgres://holdfast:${shop.holdfast}@shop-postgres:5432/shop`);
keep('PGBOUNCER_ADMIN_URL', () => `postgres://pool_admin:${poolAdmin}@shop-pool:6432/pgbouncer`);

const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
const days = ['-days', '825'];
if (!existsSync(join(folder, 'temporal_ca.pem')))
  openssl(
    'req',
    '-x509',
    ...key,
    ...days,
    '-keyout',
    'temporal_ca.key',
    '-out',
    'temporal_ca.pem',
    '-subj',
    '/CN=holdfast',
  );
for (const name of ['temporal_server', 'temporal_client']) {
  if (existsSync(join(folder, `${name}.pem`))) continue;
  const names = 'subjectAltName=DNS:temporal,DNS:localhost,IP:127.0.0.1';
  openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', names);
  const by = ['-CA', 'temporal_ca.pem', '-CAkey', 'temporal_ca.key', '-CAcreateserial', '-copy_extensions', 'copy'];
  openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...by, ...days);
  rmSync(join(folder, `${name}.csr`));
  execFileSync('chmod', ['444', `${name}.key`, `${name}.pem`], { cwd: folder });
}
console.log(`the secrets are in ${folder}: keep a copy of them where the host's failure does not reach`);
if (operators === NOBODY)
  console.log(
    `alerts about Holdfast itself reach nobody but Holdfast: delete ${folder}/operators_webhook_url, and run this again with OPERATORS_WEBHOOK_URL`,
  );
