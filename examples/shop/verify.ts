/**
 * What a customer does, in a browser: look at the shop window, buy something. `BASE_URL` is the shop's, `CHROMIUM_PATH` the
 * browser's. Ends with 0 when all is well; the last line says what was seen.
 */
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { BASE_URL = 'http://127.0.0.1:3000', CHROMIUM_PATH } = process.env;
const browser = await chromium.launch({
  ...(CHROMIUM_PATH && { executablePath: CHROMIUM_PATH }),
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
try {
  const page = await browser.newPage();
  const broken: string[] = [];
  page.on('pageerror', (error) => broken.push(error.message));
  await page.goto(BASE_URL);
  await page.getByRole('heading', { name: 'Shop' }).waitFor();
  const shown = await page.getByRole('listitem').count();
  assert.ok(shown > 0, 'the shop window is empty');
  const order = await page.evaluate(async () => {
    const [first] = (await (await fetch('/api/products')).json()) as { id: number; price_cents: number }[];
    const items = [{ product: first?.id, quantity: 2 }];
    const answer = await fetch('/api/checkout', { method: 'POST', body: JSON.stringify({ user: 'verify', items }) });
    return { status: answer.status, receipt: (await answer.json()) as { totalCents?: number } };
  });
  assert.equal(order.status, 201, `the checkout answered ${order.status}: ${JSON.stringify(order.receipt)}`);
  assert.ok((order.receipt.totalCents ?? 0) > 0, 'the order cost nothing');
  assert.deepEqual(broken, [], `the page threw: ${broken.join('; ')}`);
  console.log(`${shown} products are shown, and one was bought`);
} finally {
  await browser.close();
}
