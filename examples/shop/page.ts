import { html } from 'hono/html';
import type { config } from './config.ts';
import type { Product } from './store.ts';

const price = (cents: number): string => `${(cents / 100).toFixed(2)} €`;

/** The shop window. Browsers report from it what their visitors meet. */
export const page = (products: Product[], orders: number | undefined, { version, vitalsScript }: typeof config) =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        ${vitalsScript && html`<script async src="${vitalsScript}" data-release="${version}"></script>`}
        <meta name="viewport" content="width=device-width" />
        <title>Shop</title>
        <script type="module" src="/client.js"></script>
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
      </body>
    </html>`;
