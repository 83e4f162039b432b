import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { codecKeysOf, createCodec, type CodecKey } from '../src/codec.ts';

const key = (id: string): CodecKey => ({ id, key: randomBytes(32) });
const [old, current] = [key('2026-01'), key('2026-07')];
const secret = 'sb_secret_canary';
const payload = defaultPayloadConverter.toPayload({ message: secret });
const textOf = (payloads: Payload[]): string =>
  payloads.map(({ data }) => Buffer.from(data ?? []).toString('latin1')).join('');
const opened = async (codec: ReturnType<typeof createCodec>, payloads: Payload[]) =>
  (await codec.decode(payloads)).map((one) => defaultPayloadConverter.fromPayload(one));

it('gives back what it encrypted, and shows nothing of it', async () => {
  const codec = createCodec([current]);
  const sealed = await codec.encode([payload, payload]);
  expect(textOf(sealed)).not.toContain('canary');
  expect(Buffer.from(sealed[0]?.metadata?.['encoding'] ?? []).toString()).toBe('binary/encrypted');
  expect(sealed[0]?.data).not.toEqual(sealed[1]?.data);
  expect(await opened(codec, sealed)).toEqual([{ message: secret }, { message: secret }]);
});

it('reads what an older key encrypted after the keys were rotated, and encrypts with the newer', async () => {
  const before = await createCodec([old]).encode([payload]);
  const rotated = createCodec([current, old]);
  const after = await rotated.encode([payload]);
  expect(await opened(rotated, [...before, ...after])).toEqual([{ message: secret }, { message: secret }]);
  expect(await opened(createCodec([current]), after)).toEqual([{ message: secret }]);
});

it('reads what was written before there was a key', async () => {
  expect(await opened(createCodec([current]), [payload])).toEqual([{ message: secret }]);
});

it('names the key that is missing, and says when an id has another key', async () => {
  const sealed = await createCodec([old]).encode([payload]);
  await expect(createCodec([current]).decode(sealed)).rejects.toThrow(
    'a payload is encrypted with the key "2026-01", which is not in HOLDFAST_CODEC_KEYS here',
  );
  await expect(createCodec([key('2026-01')]).decode(sealed)).rejects.toThrow(
    'HOLDFAST_CODEC_KEYS has another key "2026-01" here',
  );
});

it.each(['changed', 'cut short'])('refuses a payload that was %s', async (how) => {
  const codec = createCodec([current]);
  const [sealed] = await codec.encode([payload]);
  const data = Buffer.from(sealed?.data ?? []);
  data[20] = (data[20] ?? 0) ^ 1;
  const forged = { ...sealed, data: how === 'changed' ? data : data.subarray(0, 8) };
  await expect(codec.decode([forged])).rejects.toThrow(/HOLDFAST_CODEC_KEYS/);
});

it('takes keys by id, the first to encrypt, and none where there are none', () => {
  const [first, second] = [old, current].map((one) => `${one.id}=${one.key.toString('base64')}`);
  expect(codecKeysOf(`${first},${second}`)).toEqual([old, current]);
  expect([codecKeysOf(undefined), codecKeysOf('none')]).toEqual([[], []]);
  expect(() => codecKeysOf(`${first},${first}`)).toThrow('an id twice');
  for (const wrong of ['2026-01', '2026-01=c2hvcnQ=', `=${old.key.toString('base64')}`])
    expect(() => codecKeysOf(wrong)).toThrow('openssl rand -base64 32');
});
