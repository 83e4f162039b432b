import { Ajv2020 } from 'ajv/dist/2020.js';
import type { SmokeReport, SmokeTest } from '../../src/contracts/index.ts';

const MAX_BYTES = 2 ** 20;
const QUOTED = 100;

type Result = SmokeReport['tests'][number];
/** Ask once, and say how it went. Rejects only when it is cancelled. */
export type Check = (cancelled: AbortSignal) => Promise<Result>;

/** Text from outside as one line, without what a terminal or a page would obey. */
export const oneLine = (text: string, length: number): string =>
  text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, length)
    .toWellFormed();

/** @throws Error when the test's JSON Schema is wrong, or its path leads to another host. */
export function checkOf(test: SmokeTest, baseUrl: string): Check {
  const { name, path, maxMs } = test;
  const url = new URL(path, baseUrl);
  if (url.origin !== new URL(baseUrl).origin) throw new Error(`path: ${path} is not on ${new URL(baseUrl).origin}`);
  const expectations = expectationsOf(test);
  return async (cancelled) => {
    const startedAt = performance.now();
    const late = AbortSignal.timeout(Math.ceil(maxMs));
    let detail: string | undefined;
    let came = '';
    try {
      const response = await fetch(url, {
        redirect: 'manual',
        headers: { connection: 'close' }, // a connection kept from before may be to a release that has ended
        signal: AbortSignal.any([cancelled, late]),
      });
      const body = await bodyOf(response);
      const ms = Math.ceil(performance.now() - startedAt);
      came = `HTTP ${response.status} in ${ms} ms`;
      for (const expectation of expectations) detail ??= expectation(response, body);
      if (ms > maxMs) detail ??= `expected an answer within ${maxMs} ms, got it after ${ms} ms`;
    } catch (error) {
      cancelled.throwIfAborted();
      detail = late.aborted ? `no answer within ${maxMs} ms` : `no answer: ${reasonOf(error)}`;
    }
    return { name, passed: detail === undefined, detail: oneLine(detail ?? came, 300) };
  };
}

/** What is wrong with an answer, if anything is. */
type Expectation = (response: Response, body: string) => string | undefined;

function expectationsOf({ status, headers, contains, json }: SmokeTest): Expectation[] {
  const quoted = (text: string | null): string => (text === null ? 'none' : `"${oneLine(text, QUOTED)}"`);
  const expectations: Expectation[] = [
    (response, body) => {
      if (response.status === status) return undefined;
      const to = response.headers.get('location');
      return `expected HTTP ${status}, got ${response.status}${to === null ? '' : ` to ${quoted(to)}`}: ${quoted(body)}`;
    },
  ];
  for (const [header, expected] of Object.entries(headers))
    expectations.push((response) => {
      const value = response.headers.get(header);
      return value?.toLowerCase() === expected.toLowerCase()
        ? undefined
        : `expected ${header} ${quoted(expected)}, got ${quoted(value)}`;
    });
  if (contains !== undefined)
    expectations.push((_, body) =>
      body.includes(contains) ? undefined : `expected ${quoted(contains)} in the body, got ${quoted(body)}`,
    );
  if (json !== undefined) expectations.push(schemaExpectation(json));
  return expectations;
}

/** Unknown keywords are refused; `format` is a remark, as the draft has it. @throws Error when the schema is wrong. */
function schemaExpectation(schema: object): Expectation {
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictTuples: false,
    validateFormats: false,
    logger: false,
  });
  let validate: ReturnType<typeof ajv.compile>;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    throw new Error(`json: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return (_, body) => {
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      return `expected JSON, got "${oneLine(body, QUOTED)}"`;
    }
    if (validate(value) === true) return undefined;
    const [wrong] = validate.errors ?? [];
    return `expected JSON by its schema, but ${wrong?.instancePath || 'the body'} ${wrong?.message ?? 'is otherwise'}`;
  };
}

/** @throws Error when it is larger than 1 MiB. */
async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error('the body is larger than 1 MiB'); // leaving the loop ends the transfer
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}
