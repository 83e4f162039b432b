import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { checkout, UnknownProduct, type Basket } from './checkout.ts';
import { config } from './config.ts';
import { report } from './errors.ts';
import { expressCheckout } from './flags.ts';
import { countVital, exposition, measured } from './metrics.ts';
import { ordersSoFar } from './orders.ts';
import { page } from './page.ts';
import { products } from './store.ts';

const webVitals = readFile(fileURLToPath(import.meta.resolve('web-vitals')), 'utf8');

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
app.use(bodyLimit({ maxSize: 16 * 1024 }));

app.onError((error, c) => {
  report(error, { user: 'visitor', variant: 'off' });
  return c.json({ error: 'something went wrong' }, 500);
});

app.get('/', async (c) => c.html(page(await products(), await ordersSoFar(), config.version)));

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

app.post('/vitals', async (c) => c.body(null, countVital(await c.req.json().catch(() => undefined)) ? 204 : 400));

app.get('/vendor/web-vitals.js', async (c) =>
  c.body(await webVitals, 200, { 'content-type': 'text/javascript', 'cache-control': 'max-age=3600' }),
);

/** Only of itself: a database that is away does not take a release out of the traffic. */
app.get('/healthz', (c) => c.json({ status: 'ok', version: config.version }));

app.get('/metrics', async (c) => {
  const { text, type } = await exposition();
  return c.body(text, 200, { 'content-type': type });
});
