import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}
export interface Asked {
  method: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A real HTTP server on a free port; `url` is its root. Close it by `await using`. */
export async function listening(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

/** A real HTTP server on a free port that answers as told; `url` is its root. Close it by `await using`. */
export async function serving(answer: (asked: Asked) => Answer) {
  return await listening((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const body = Buffer.concat(chunks).toString('utf8');
      const told = answer({ method: request.method ?? 'GET', url, headers: request.headers, body });
      response.writeHead(told.status ?? 200, { 'content-type': 'application/json', ...told.headers });
      response.end(typeof told.body === 'string' ? told.body : JSON.stringify(told.body ?? null));
    });
  });
}

/** A real HTTP server that promises more of an answer than it sends, and hangs up. */
export const cuttingOff = () =>
  listening((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"data":[', () => response.destroy());
  });

/** What every provider of an HTTP system answers for: credentials refused, told to wait, away, and nonsense. */
export function failsAsDeclared(call: (url: string) => Promise<unknown>): void {
  it.each([
    ['wrong credentials are permanent', { status: 401 }, { type: 'NotAllowed', nonRetryable: true }],
    [
      'being told to wait is transient and keeps the time',
      { status: 429, headers: { 'retry-after': '7' } },
      { type: 'RateLimited', nonRetryable: false, nextRetryDelay: 7000 },
    ],
    ['a system that is away is transient', { status: 503 }, { type: 'Unavailable', nonRetryable: false }],
  ])('%s', async (_, answer: Answer, expected) => {
    await using server = await serving(() => answer);
    await expect(call(server.url)).rejects.toMatchObject(expected);
  });

  it('nobody listening is transient', async () => {
    const { url } = await (async () => {
      await using server = await serving(() => ({}));
      return server;
    })();
    await expect(call(url)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });
}

/** And of one that reads: an answer that is not what was asked for, or not all of it, is never taken for one. */
export function refusesNonsense(call: (url: string) => Promise<unknown>): void {
  it.each([
    ['not JSON', '<html>'],
    ['another shape', '{"surprise":true}'],
  ])('an answer that is %s is refused', async (_, body) => {
    await using server = await serving(() => ({ body }));
    await expect(call(server.url)).rejects.toMatchObject({ type: 'UnexpectedResponse', nonRetryable: true });
  });

  it('an answer that is cut off is transient', async () => {
    await using server = await cuttingOff();
    await expect(call(server.url)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });
}
