import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';

/** Serious findings of axe on a page, by rule and element. */
export async function accessibility(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page); // past the policy of the page, which lets in no script but its own
  await session.send('Runtime.evaluate', {
    expression: readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'),
  });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run().then(({violations}) => JSON.stringify(violations.filter(({impact}) => impact === 'serious' || impact === 'critical').flatMap(({id, nodes}) => nodes.map(({html}) => id + ': ' + html))))`,
    awaitPromise: true,
  });
  return JSON.parse(String(result.value)) as string[];
}
