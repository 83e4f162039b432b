import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const word = (bytes: number): string => randomBytes(bytes).toString('hex');
const supabaseKey = (kind: 'publishable' | 'secret'): string => `sb_${kind}_${word(11)}_${word(4)}`;

/** Everything the embedded platform keeps secret. Generated once; a field added later is generated when first missing. */
const Secrets = z.object({
  postgresPassword: z.string().default(() => word(16)),
  ownerPassword: z.string().default(() => word(16)),
  holdfastPassword: z.string().default(() => word(16)),
  poolAdminPassword: z.string().default(() => word(16)),
  supabasePublishableKey: z.string().default(() => supabaseKey('publishable')),
  supabaseSecretKey: z.string().default(() => supabaseKey('secret')),
  supabaseJwtSecret: z.string().default(() => word(32)),
  bugsinkSecretKey: z.string().default(() => word(32)),
  bugsinkPassword: z.string().default(() => word(8)),
  alertmanagerToken: z.string().default(() => word(24)),
  webhookSecret: z.string().default(() => `whsec_${randomBytes(32).toString('base64')}`),
  sentryClientSecret: z.string().default(() => word(32)),
  codeSecret: z.string().default(() => word(32)),
  decisionKeyId: z.string().default('embedded'),
  /** Base64 of the PKCS8 DER of an Ed25519 key. */
  decisionPrivateKey: z
    .string()
    .default(() =>
      generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    ),
});
export type Secrets = z.output<typeof Secrets>;

/** The secrets of a state folder, from `secrets.json` (mode 600), made when first asked for. Safe to call concurrently. */
export async function loadSecrets(stateDir: string): Promise<Secrets> {
  const file = join(stateDir, 'secrets.json');
  await mkdir(stateDir, { recursive: true });
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  const secrets = Secrets.parse(kept === undefined ? {} : JSON.parse(kept));
  const text = JSON.stringify(secrets, null, 2);
  if (kept === text) return secrets;
  if (kept !== undefined) {
    await writeFile(file, text, { mode: 0o600 });
    return secrets;
  }
  const draft = `${file}.${word(6)}`;
  await writeFile(draft, text, { mode: 0o600 });
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error; // another process was first; its secrets count
  });
  await rm(draft);
  return Secrets.parse(JSON.parse(await readFile(file, 'utf8')));
}

/** Base64 of the 32 raw bytes of the public key that belongs to a private one. */
export function publicKeyOf(privateKey: string): string {
  const key = createPublicKey(
    createPrivateKey({ key: Buffer.from(privateKey, 'base64'), format: 'der', type: 'pkcs8' }),
  );
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}
