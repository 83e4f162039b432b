import { createHmac } from 'node:crypto';

/** Crockford's base 32: no I, L, O or U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The one-time code of one person for one proposal: 40 bits of HMAC-SHA256, written as `7KQM-2XHD`. */
export function oneTimeCode(of: {
  secret: string;
  workflowId: string;
  runId: string;
  digest: string;
  person: string;
}): string {
  const bound = JSON.stringify([of.workflowId, of.runId, of.digest, of.person]);
  const bits = createHmac('sha256', of.secret).update(bound).digest().readUIntBE(0, 5);
  const letters = Array.from({ length: 8 }, (_, i) => ALPHABET[Math.floor(bits / 32 ** (7 - i)) % 32]).join('');
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}
