import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { checkout, UnknownProduct, type Basket } from './checkout.ts';
import { config } from './config.ts';
import { report } from './errors.ts';
import { expressCheckout } from './flags.ts';
import { exposition, measured } from './metrics.ts';
import { ordersSoFar } from './orders.ts';
import { page } from './page.ts';
import { products } from './store.ts';

const client = fileURLToPath(new URL('dist/client.js', import.meta.url));

function basketOf(body: unknown): Basket | undefined {
  const { user, items } = (body ?? {}) as Partial<Basket>;
  const valid =
    typeof user === 'string' &&
    /^[\w-]{1,100}$/.test(user) &&
    Array.isArray(items) &&
    items.length > 0 &&
    items.length <= 20 &&
    items.every(
      (item) =>
        Number.isInteger(item?.product) && Number.isInteger(item?.quantity) && item.quantity > 0 && item.quantity < 100,
    );
  return valid ? { user, items } : undefined;
}

export const app = new Hono();

app.use(measured);
app.use(async (c, next) => {
  await next();
  c.header('x-release', config.version);
});
app.use(bodyLimit({ maxSize: 16 * 1024 }));

app.onError((error, c) => {
  report(error, { user: 'visitor', variant: 'off' });
  return c.json({ error: 'something went wrong' }, 500);
});

app.get('/', async (c) => c.html(page(await products(), await ordersSoFar(), config)));

app.get('/api/products', async (c) => c.json(await products()));

app.post('/api/checkout', async (c) => {
  const basket = basketOf(await c.req.json().catch(() => undefined));
  if (basket === undefined) return c.json({ error: 'this is no basket' }, 400);
  const { on, variant } = await expressCheckout(basket.user);
  try {
    return c.json(await checkout(basket, on), 201);
  } catch (error) {
    if (error instanceof UnknownProduct) return c.json({ error: error.message }, 404);
    report(error, { user: basket.user, variant });
    return c.json({ error: 'the order could not be placed' }, 500);
  }
});

/** What `npm run build` made for browsers. */
app.get('/client.js', async (c) => {
  const script = await readFile(client, 'utf8').catch(() => undefined);
  return script === undefined ? c.notFound() : c.body(script, 200, { 'content-type': 'text/javascript' });
});

/** Only of itself: a database that is away does not take a release out of the traffic. */
app.get('/healthz', (c) => c.json({ status: 'ok', version: config.version }));

app.get('/metrics', async (c) => {
  const { text, type } = await exposition();
  return c.body(text, 200, { 'content-type': type });
});
