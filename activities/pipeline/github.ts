/** GitHub's API through octokit: what it answers, or a failure of the closed list. */
import { Octokit } from 'octokit';
import type { z } from 'zod';
import { failure } from '../../src/errors.ts';
import { failureOf, parsed, retryAfterMs } from '../../src/http.ts';

const TIMEOUT_MS = 10_000;
/** Where GitHub does not say how long. Source: docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api. */
const LIMITED_MS = 60_000;
const NEVER_AGAIN = [400, 401, 403, 404, 409, 410, 422, 429, 451];

export interface Github {
  get<S extends z.ZodType>(path: string, schema: S, query?: Record<string, string | number>): Promise<z.output<S>>;
  /** Sent once: an answer that was lost is for the caller to look for. */
  post(path: string, body?: Record<string, unknown>): Promise<void>;
}

export function createGithub(of: { url: string; token: string; owner: string; name: string }): Github {
  const { url, token, owner, name } = of;
  const octokit = new Octokit({
    auth: token,
    baseUrl: url.replace(/\/$/, ''),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    request: { fetch: bounded },
    retry: { doNotRetry: NEVER_AGAIN, retries: 2 },
    throttle: { onRateLimit: () => false, onSecondaryRateLimit: () => false }, // Temporal waits, not the worker
  });
  const call = async (method: 'GET' | 'POST', path: string, parameters: Record<string, unknown>): Promise<unknown> => {
    try {
      return (await octokit.request(`${method} /repos/${owner}/${name}${path}`, parameters)).data;
    } catch (error) {
      throw mapped(error, `GitHub ${method} ${owner}/${name}${path}`);
    }
  };
  return {
    get: async (path, schema, query = {}) =>
      parsed(schema, await call('GET', path, query), `GitHub GET ${owner}/${name}${path}`),
    async post(path, body = {}) {
      await call('POST', path, { ...body, request: { fetch: bounded, retries: 0 } });
    },
  };
}

const bounded: typeof fetch = (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });

function mapped(error: unknown, what: string): Error {
  const { status, message, response } = error as {
    status?: number;
    message: string;
    response?: { headers: Record<string, string | number | undefined> };
  };
  if (status === undefined || response === undefined) return failure('Unavailable', `${what}: no answer (${message})`);
  const told = Object.entries(response.headers).map(([key, value]): [string, string] => [key, String(value ?? '')]);
  const headers = new Headers(told);
  const limited = headers.get('x-ratelimit-remaining') === '0' || /secondary rate limit/i.test(message);
  if (status === 429 || (status === 403 && (limited || headers.has('retry-after'))))
    return failure('RateLimited', `${what}: ${message.slice(0, 300)}`, {}, limitedMs(headers));
  return failureOf(status, what, message, headers);
}

function limitedMs(headers: Headers): number {
  const reset = Number(headers.get('x-ratelimit-reset'));
  if (headers.get('x-ratelimit-remaining') === '0' && reset > 0)
    return Math.max(retryAfterMs(headers) ?? 0, reset * 1000 - Date.now() + 1000);
  return retryAfterMs(headers) ?? LIMITED_MS;
}
