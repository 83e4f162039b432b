/**
 * What measures web vitals in a browser: `<script async src="<gateway>/vitals.js" data-release="<release>"></script>`. It is the
 * package `web-vitals` with what sends a beacon, one script without a global name.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Hono } from 'hono';

const FRESH_SECONDS = 3600;

export function vitalsScript(): Hono {
  const library = new URL('web-vitals.iife.js', `file://${createRequire(import.meta.url).resolve('web-vitals')}`);
  const own = new URL('assets/vitals.js', import.meta.url);
  const text = `(() => {\n${[library, own].map((file) => readFileSync(file, 'utf8')).join('\n')}\n})();\n`;
  return new Hono().get('/vitals.js', (c) =>
    c.body(text, 200, {
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': `public, max-age=${FRESH_SECONDS}`,
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
    }),
  );
}
