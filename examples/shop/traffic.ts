/**
 * Visitors of the shop: `node examples/shop/traffic.ts --url http://127.0.0.1:4180 --rate 20` until SIGTERM or SIGINT. At the end
 * they tell how many of their answers each release gave since the newest of them answered first.
 */
import { parseArgs } from 'node:util';

const USERS = 50;
const MAX_IN_FLIGHT = 50;
const CHECKOUT_SHARE = 0.4;
const ANSWER_MS = 10_000;

const { values } = parseArgs({
  options: { url: { type: 'string' }, rate: { type: 'string', default: '20' } },
});
if (values.url === undefined || !(Number(values.rate) > 0))
  throw new Error('usage: node examples/shop/traffic.ts --url <url of the shop> [--rate <requests per second>]');
const url = values.url;

const startedAt = Date.now();
const seen = { requests: 0, failed: 0, unanswered: 0, skipped: 0 };
const releases = new Set<string>();
const answers = new Map<string, number>();
const inFlight = new Set<Promise<void>>();
let products: number[] = [];

const below = (limit: number): number => Math.floor(Math.random() * limit);

function count(release: string): void {
  if (!releases.has(release)) answers.clear();
  releases.add(release);
  answers.set(release, (answers.get(release) ?? 0) + 1);
}

async function ask(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(new URL(path, url), { ...init, signal: AbortSignal.timeout(ANSWER_MS) });
  count(response.headers.get('x-release') ?? 'unknown');
  return response;
}

/** Look at the shop window as a browser does: what the page says that it needs is loaded, too. */
async function look(): Promise<Response> {
  const response = await ask('/');
  const page = await response.clone().text();
  const needed = [...page.matchAll(/<link rel="preload"[^>]* href="([^"]+)"/g)].map(([, path = '']) => path);
  await Promise.all(needed.map(async (path) => (await ask(path)).arrayBuffer()));
  return response;
}

async function browse(): Promise<Response> {
  if (Math.random() < 0.5) return await look();
  const response = await ask('/api/products');
  if (response.ok) products = ((await response.clone().json()) as { id: number }[]).map(({ id }) => id);
  return response;
}

const buy = (): Promise<Response> =>
  ask('/api/checkout', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      user: `user-${below(USERS) + 1}`,
      items: Array.from({ length: 1 + below(2) }, () => ({
        product: products[below(products.length)],
        quantity: 1 + below(3),
      })),
    }),
  });

async function visit(): Promise<void> {
  seen.requests += 1;
  try {
    const response = await (products.length > 0 && Math.random() < CHECKOUT_SHARE ? buy() : browse());
    await response.arrayBuffer();
    if (response.status >= 500) seen.failed += 1;
  } catch {
    seen.unanswered += 1;
  }
}

const visiting = setInterval(
  () => {
    if (inFlight.size >= MAX_IN_FLIGHT) {
      seen.skipped += 1;
      return;
    }
    const visitor: Promise<void> = visit().finally(() => inFlight.delete(visitor));
    inFlight.add(visitor);
  },
  1000 / Number(values.rate),
);

function stop(): void {
  clearInterval(visiting);
  void Promise.all(inFlight).then(() => {
    const { requests, failed, unanswered, skipped } = seen;
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    const newest = [...releases].at(-1);
    const shares = [...answers].map(([release, times]) => `${release} ${times}`).join(', ');
    console.log(
      `${requests} requests in ${seconds} s: ${failed} answered 5xx, ${unanswered} unanswered, ${skipped} held back${newest === undefined ? '' : `; since ${newest} first answered: ${shares}`}`,
    );
    process.exit(0);
  });
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
