import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { writeWhole } from '../processes.ts';
import { usageError } from './context.ts';

const TIMEOUT_MS = 30_000;
const EXIT_CODES: Record<number, number> = { 400: 2, 404: 4, 422: 2, 502: 3, 503: 3 };

const Kept = z.object({ url: z.string(), person: z.string(), token: z.string() });
const Problem = z.object({ detail: z.string() });
const fileOf = ({ HOLDFAST_STATE_DIR }: Config): string => join(HOLDFAST_STATE_DIR, 'session.json');

/** Where the gateway is, as far as this machine knows. */
export const gatewayUrl = (config: Config): string =>
  config.HOLDFAST_PUBLIC_URL ?? `http://${config.HOLDFAST_GATEWAY_HOST}:${config.HOLDFAST_GATEWAY_PORT}`;

/** Keep a session, for its owner alone. */
export const keepSession = (config: Config, kept: z.output<typeof Kept>): Promise<void> =>
  writeWhole(fileOf(config), JSON.stringify(kept, null, 2));

/** The session that was kept, if one was. */
export const keptSession = (config: Config): Promise<z.output<typeof Kept> | undefined> =>
  readFile(fileOf(config), 'utf8').then(
    (text) => Kept.parse(JSON.parse(text)),
    () => undefined,
  );
export const forgetSession = (config: Config): Promise<void> => rm(fileOf(config), { force: true });

/**
 * Ask the API of the gateway. @throws usage error with what it says: 2 wrong, 3 away, 4 not found, 5 not allowed.
 */
export async function callApi<S extends z.ZodType>(
  of: { url: string; token?: string | undefined },
  schema: S,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<z.output<S>> {
  const { url, token } = of;
  const response = await fetch(`${url.replace(/\/$/, '')}/api${path}`, {
    method,
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }).catch(() => {
    throw usageError(`the gateway at ${url} cannot be reached: start it, or set HOLDFAST_PUBLIC_URL`, 3);
  });
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return schema.parse(answer);
  const { detail } = Problem.safeParse(answer).data ?? { detail: `HTTP ${response.status}` };
  throw usageError(detail, EXIT_CODES[response.status] ?? 5);
}

/** Ask as the person who has signed in. @throws usage error (5) when nobody has. */
export async function callAsPerson<S extends z.ZodType>(
  config: Config,
  schema: S,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<z.output<S>> {
  const kept = await keptSession(config);
  if (kept === undefined) throw usageError('sign in first: login <e-mail>', 5);
  return await callApi(kept, schema, method, path, body);
}
