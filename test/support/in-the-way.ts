import type { SessionInTheWay } from '../../src/contracts/index.ts';

/** A session that has forgotten its transaction, for which others wait. */
export const holder: SessionInTheWay = {
  pid: 41,
  backendStart: '2026-11-24T08:00:00.000001Z',
  xactStart: '2026-11-24T08:01:00.000001Z',
  user: 'shop',
  application: 'checkout',
  state: 'idle in transaction',
  query: 'update orders set note = $1',
  seconds: 120,
  blocks: 7,
  waitedSeconds: 90,
  waits: false,
};
