import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { METADATA_ENCODING_KEY, type DataConverter, type Payload, type PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { redactAll, type Redact } from './redaction.ts';

const PROTO = proto.temporal.api.common.v1.Payload;
const ENCODING = 'binary/encrypted';
const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FORM =
  'HOLDFAST_CODEC_KEYS is <id>=<base64 of 32 bytes>[,<older id>=<…>]; make a key with: openssl rand -base64 32';

export interface CodecKey {
  id: string;
  key: Buffer;
}

/** The keys of `HOLDFAST_CODEC_KEYS`: the first encrypts, all decrypt. None where it is absent or `none`. @throws Error that says its form. */
export function codecKeysOf(variable: string | undefined): CodecKey[] {
  if (variable === undefined || variable === 'none') return [];
  const keys = variable.split(',').map((entry) => {
    const [, id = '', text = ''] = /^\s*([\w.-]+)=([A-Za-z0-9+/]{43}=)\s*$/.exec(entry) ?? [];
    return { id, key: Buffer.from(text, 'base64') };
  });
  if (keys.some(({ key }) => key.length !== 32)) throw new Error(`Cannot start: ${FORM}`);
  if (new Set(keys.map(({ id }) => id)).size < keys.length)
    throw new Error('Cannot start: HOLDFAST_CODEC_KEYS has an id twice');
  return keys;
}

/** What fits no key is an error: whoever has the key can go on later, nothing is taken for empty. */
function decrypt(payload: Payload, keys: CodecKey[]): Payload {
  const id = Buffer.from(payload.metadata?.['encryption-key-id'] ?? []).toString();
  const key = keys.find((one) => one.id === id)?.key;
  if (key === undefined)
    throw new Error(`a payload is encrypted with the key "${id}", which is not in HOLDFAST_CODEC_KEYS here`);
  const sealed = payload.data ?? new Uint8Array();
  try {
    const opened = createDecipheriv(CIPHER, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    opened.setAuthTag(sealed.subarray(-TAG_BYTES));
    const clear = [opened.update(sealed.subarray(IV_BYTES, -TAG_BYTES)), opened.final()];
    return PROTO.decode(Buffer.concat(clear));
  } catch (cause) {
    throw new Error(`HOLDFAST_CODEC_KEYS has another key "${id}" here than the one a payload was encrypted with`, {
      cause,
    });
  }
}

/** AES-256-GCM under the first key, which each payload names. What is not encrypted, from before there was a key, is left as it is. */
export function createCodec(keys: [CodecKey, ...CodecKey[]]): PayloadCodec {
  const [{ id, key }] = keys;
  const encrypt = (payload: Payload): Payload => {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key, iv);
    const sealed = [iv, cipher.update(PROTO.encode(payload).finish()), cipher.final(), cipher.getAuthTag()];
    return {
      metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), 'encryption-key-id': Buffer.from(id) },
      data: Buffer.concat(sealed),
    };
  };
  const isEncrypted = ({ metadata }: Payload): boolean =>
    Buffer.from(metadata?.[METADATA_ENCODING_KEY] ?? []).toString() === ENCODING;
  return {
    encode: async (payloads) => payloads.map(encrypt),
    decode: async (payloads) => payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload, keys) : payload)),
  };
}

/** Nothing that is a secret gets as far as Temporal, in whatever it is written. */
function redacting(redact: Redact): PayloadCodec {
  const redacted = (payload: Payload): Payload => {
    const { metadata, data } = payload;
    if (Buffer.from(metadata?.[METADATA_ENCODING_KEY] ?? []).toString() !== 'json/plain') return payload;
    const text = Buffer.from(data ?? []).toString();
    if (redact(text) === text) return payload;
    return { ...payload, data: Buffer.from(JSON.stringify(redactAll(redact, JSON.parse(text)))) };
  };
  return { encode: async (payloads) => payloads.map(redacted), decode: async (payloads) => payloads };
}

/** For every client and worker: payloads without secrets; with keys encrypted, messages and stack traces of failures too. */
export function dataConverterOf([first, ...older]: CodecKey[], redact: Redact): DataConverter {
  if (first === undefined) return { payloadCodecs: [redacting(redact)] };
  return {
    payloadCodecs: [redacting(redact), createCodec([first, ...older])],
    failureConverterPath: fileURLToPath(new URL('failure-converter.ts', import.meta.url)),
  };
}
