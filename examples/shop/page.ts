import { html } from 'hono/html';
import type { Product } from './store.ts';

const price = (cents: number): string => `${(cents / 100).toFixed(2)} €`;

/** The shop window. Browsers report their web vitals from it. */
export const page = (products: Product[], orders: number | undefined, version: string) =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Shop</title>
        <style>
          body {
            font: 16px/1.5 system-ui;
            max-width: 40rem;
            margin: 2rem auto;
            padding: 0 1rem;
          }
          li {
            display: flex;
            justify-content: space-between;
            border-bottom: 1px solid #ddd;
            padding: 0.5rem 0;
          }
        </style>
      </head>
      <body>
        <h1>Shop</h1>
        <ul style="list-style: none; padding: 0">
          ${products.map(
            ({ name, price_cents, discount }) =>
              html`<li>
                <span>${name}${discount === null ? '' : ` (−${discount.percent} %)`}</span
                ><span>${price(price_cents)}</span>
              </li>`,
          )}
        </ul>
        <footer>${orders === undefined ? '' : `${orders} orders so far. `}Release ${version}</footer>
        <script type="module">
          import { onCLS, onFCP, onINP, onLCP, onTTFB } from '/vendor/web-vitals.js';
          const send = ({ name, value, rating }) =>
            navigator.sendBeacon('/vitals', JSON.stringify({ name, value, rating }));
          for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB]) on(send);
        </script>
      </body>
    </html>`;
