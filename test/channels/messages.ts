import type { Announced, Delivery } from '../../src/channels/channel.ts';

/** Text that some channel or reader could take for more than text. */
export const hostile = [
  '<!channel> <@U0123456789> <https://evil.example|here>',
  '*b* _i_ ~s~ `c` [link](https://evil.example) @here',
  '<b>bold</b><img src="https://evil.example/x.png">',
  '<script>alert(1)</script>&lt;i&gt;',
  'first\nBcc: everybody@evil.example\r\n\r\nsecond',
  'abc\u202Edcb\u202C \u2066x\u2069',
  '{{constructor.constructor("x")()}} ${7*7} {% raw %}',
  'nul\0and half \uD800 a letter',
];

/** Where the console shows their run. */
export const LINK = 'https://holdfast.example/runs/incident.shop.high-error-rate/run-1';

/** A page of the development team's that asks for a rollback. */
export const deliveryOf = (change: Partial<Delivery> = {}): Delivery => ({
  key: 'incident.shop.high-error-rate/run-1#1:development-team:responder',
  to: 'somebody',
  person: 'responder',
  level: 'development-team',
  severity: 'critical',
  service: 'shop',
  environment: 'production',
  workflowId: 'incident.shop.high-error-rate',
  runId: 'run-1',
  subject: 'Roll back shop v2 → v1?',
  text: '3 errors are new in v2\nUndo: release v2 again',
  asks: { digest: 'd'.repeat(64), expiresAt: '2026-11-24T10:00:00.000Z' },
  ...change,
});

export const announcementOf = (change: Partial<Announced> = {}): Announced => ({
  workflowId: 'incident.shop.high-error-rate',
  runId: 'run-1',
  at: '2026-11-24T09:00:00.000Z',
  severity: 'critical',
  state: 'open',
  service: 'shop',
  environment: 'production',
  subject: 'High error rate on shop',
  text: 'Diagnosing.',
  ...change,
});

/** How a hostile text is to be seen. */
export const seenAs = (text: string): string =>
  text.replaceAll('\r\n', '\n').replaceAll(/[\u202A-\u202E\u2066-\u2069\0\uD800]/g, '\uFFFD');
export const seenOnOneLine = (text: string): string => seenAs(text).replaceAll(/\s+/g, ' ').trim();
