import type { z } from 'zod';
import { failure } from './errors.ts';

const TIMEOUT_MS = 10_000;

/** `Retry-After` in milliseconds, from seconds or an HTTP date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** HTTP status to failure: decided here, once. `what` names the thing, for the message. */
export function failureOf(status: number, what: string, detail: string, headers = new Headers()): Error {
  const message = `${what}: HTTP ${status} ${detail.slice(0, 300)}`.trim();
  if (status === 429) return failure('RateLimited', message, {}, retryAfterMs(headers));
  if (status === 401 || status === 403) return failure('NotAllowed', message);
  if (status === 404 || status === 410) return failure('NotFound', message);
  if (status >= 500 || status === 408) return failure('Unavailable', message, {}, retryAfterMs(headers));
  return failure('Refused', message);
}

/**
 * `fetch` whose failures are of the closed list. The request is bounded to ten seconds.
 * @throws Unavailable (transient) when there is no answer; else as `failureOf` says.
 */
export async function request(url: string, init: RequestInit & { what: string }): Promise<Response> {
  const { what, ...rest } = init;
  let response: Response;
  try {
    response = await fetch(url, { redirect: 'error', ...rest, signal: rest.signal ?? AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw failure('Unavailable', `${what}: no answer (${reasonOf(error)})`);
  }
  if (!response.ok) throw failureOf(response.status, what, await response.text().catch(() => ''), response.headers);
  return response;
}

/**
 * An answer once all of its body has come, so that reading it cannot fail for the connection.
 * @throws Unavailable (transient) when it is cut off.
 */
export async function whole(response: Response, what: string): Promise<Response> {
  try {
    await response.clone().arrayBuffer();
  } catch (error) {
    throw failure('Unavailable', `${what}: the answer was cut off (${reasonOf(error)})`);
  }
  return response;
}

/** `fetch` says little; what it was caused by says more. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
};

/** Parse what came from outside. @throws UnexpectedResponse (permanent). */
export function parsed<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (!result.success)
    throw failure('UnexpectedResponse', `${what}: the answer is not what was expected`, {
      issues: result.error.issues.slice(0, 5),
    });
  return result.data;
}

export interface Http {
  get<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>>;
  send<S extends z.ZodType>(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    schema: S,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<z.output<S>>;
}

/** A JSON client of one system. An empty body parses as `null`. */
export function createHttp(of: {
  what: string;
  baseUrl: string;
  token?: string;
  headers?: Record<string, string>;
}): Http {
  const headers = { ...of.headers, ...(of.token === undefined ? {} : { authorization: `Bearer ${of.token}` }) };
  const call = async <S extends z.ZodType>(path: string, schema: S, init: RequestInit): Promise<z.output<S>> => {
    const what = `${of.what} ${init.method ?? 'GET'} ${path.split('?')[0]}`;
    const response = await whole(await request(new URL(path, of.baseUrl).href, { ...init, what }), what);
    const text = await response.text();
    let value: unknown = null;
    try {
      value = text === '' ? null : JSON.parse(text);
    } catch {
      throw failure('UnexpectedResponse', `${what}: the answer is not JSON`);
    }
    return parsed(schema, value, what);
  };
  return {
    get: (path, schema) => call(path, schema, { headers }),
    send: (method, path, schema, body, extra) =>
      call(path, schema, {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...extra },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}
