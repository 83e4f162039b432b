/** GitHub's API through octokit: what it answers, or a failure of the closed list. The token never gets into a message. */
import { Octokit } from 'octokit';
import { z } from 'zod';
import { failure } from './errors.ts';
import { failureOf, parsed, retryAfterMs, whole } from './http.ts';

const TIMEOUT_MS = 10_000;
/** A limit that is over within this many seconds is waited for here, once; for a longer one Temporal waits, not the worker. */
const SOON_S = 5;
/** Where GitHub does not say how long. Source: docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api. */
const LIMITED_MS = 60_000;
const NEVER_AGAIN = [400, 401, 403, 404, 409, 410, 422, 429, 451];
/** `https://github.com/<owner>/<name>` or `git@github.com:<owner>/<name>`, also with `.git`. */
const URL_OF_REPOSITORY = /^(?:https:\/\/|ssh:\/\/|git@).*[/:]([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/;

export const githubVariables = {
  /** Contents, pull requests, deployments and commit statuses to read and write; actions too, for pipelines there. */
  GITHUB_TOKEN: z.string().min(1).optional(),
  /** Of GitHub Enterprise: `https://<host>/api/v3`. */
  GITHUB_URL: z.url().default('https://api.github.com'),
};
interface Variables {
  GITHUB_TOKEN?: string | undefined;
  GITHUB_URL: string;
}

type Rest = Octokit['rest'];
type At = { owner: string; repo: string };
/** One request, its parameters typed by GitHub's own OpenAPI description. */
type Request = (rest: Rest, at: At) => Promise<{ data: unknown; url: string; headers: { link?: string | undefined } }>;

/** One repository. */
export interface Github {
  owner: string;
  ask<S extends z.ZodType>(schema: S, request: Request): Promise<z.output<S>>;
  /** As `ask`; undefined where there is no such thing. */
  find<S extends z.ZodType>(schema: S, request: Request): Promise<z.output<S> | undefined>;
  /** With the number of the last page, where there are several. */
  page<S extends z.ZodType>(schema: S, request: Request): Promise<{ data: z.output<S>; last: number }>;
  /** Sent once: an answer that was lost is for the caller to look for. */
  send<S extends z.ZodType>(schema: S, request: Request): Promise<z.output<S>>;
}

/**
 * The repository of an environment's releases on GitHub; nothing more is asked once `signal` is aborted. Requests are paced, and
 * those that read tried again, by octokit's own plugins. @throws NotConfigured where it is none, or there is no token.
 */
export function githubOf(
  releases: { repository: string; github?: string | undefined },
  { GITHUB_TOKEN: token, GITHUB_URL: url }: Variables,
  signal?: AbortSignal,
): Github {
  const [owner, repo] = (releases.github ?? URL_OF_REPOSITORY.exec(releases.repository)?.[1])?.split('/') ?? [];
  if (token === undefined) throw failure('NotConfigured', 'GitHub needs GITHUB_TOKEN');
  if (owner === undefined || repo === undefined)
    throw failure('NotConfigured', 'name the repository on GitHub in releases.github, as owner/name');
  const { rest } = new Octokit({
    auth: token,
    baseUrl: url.replace(/\/$/, ''),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    request: { fetch: bounded },
    retry: { doNotRetry: NEVER_AGAIN, retries: 2 },
    throttle: { onRateLimit: soon, onSecondaryRateLimit: soon },
  });
  const told = async <S extends z.ZodType>(schema: S, request: Request, at: At) => {
    signal?.throwIfAborted();
    const answer = await request(rest, at).catch((error: unknown) => {
      throw mapped(error, `${owner}/${repo}`);
    });
    const { pathname } = new URL(answer.url);
    return { data: parsed(schema, answer.data, `GitHub ${pathname}`), link: answer.headers.link ?? '' };
  };
  const at = { owner, repo };
  return {
    owner,
    ask: async (schema, request) => (await told(schema, request, at)).data,
    find: (schema, request) =>
      told(schema, request, at).then(
        ({ data }) => data,
        (error: unknown) => {
          if ((error as { type?: string }).type === 'NotFound') return undefined;
          throw error;
        },
      ),
    async page(schema, request) {
      const { data, link } = await told(schema, request, at);
      return { data, last: Number(/[?&]page=(\d+)[^>]*>; rel="last"/.exec(link)?.[1] ?? 1) };
    },
    send: async (schema, request) =>
      (await told(schema, request, { ...at, request: { fetch: bounded, retries: 0 } } as At)).data,
  };
}

/** Text as text, on GitHub: nobody is mentioned and nothing closed by it. */
export const textOnGithub = (text: string): string =>
  text.replaceAll(/[\\`*_[\]<>#|~]/g, '\\$&').replaceAll('@', '@\u200b');

const soon = (seconds: number, _options: object, _octokit: object, tried: number): boolean =>
  tried === 0 && seconds <= SOON_S;

/** Octokit takes a body that is cut off for an empty one. */
const bounded: typeof fetch = async (input, init) =>
  await whole(await fetch(input, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) }), 'GitHub');

function mapped(error: unknown, repository: string): Error {
  const { status, message, response, request } = error as {
    status?: number;
    message: string;
    response?: { headers: Record<string, string | number | undefined> };
    request?: { method: string; url: string };
  };
  const path = request === undefined ? '' : new URL(request.url).pathname.replace(/^.*\/repos\/[^/]+\/[^/]+/, '');
  const what = `GitHub ${request?.method ?? ''} ${repository}${path}`;
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
