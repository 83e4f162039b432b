import { runningNow } from '../../src/console/pages/now.ts';
import type { OpenRun } from '../../src/console/board.ts';
import type { Ledger } from '../../src/contracts/index.ts';

const change: Ledger['changes'][number] = {
  key: 'k',
  kind: 'roll-back',
  summary: 'Roll shop back from v2 to v1',
  holder: 'incident.shop.high-error-rate/run',
  fence: 1,
  at: '2026-01-01T12:00:00Z',
  result: 'open',
};
const incident = (phase: string): OpenRun => ({
  workflowId: 'incident.shop.high-error-rate',
  runId: 'run',
  service: 'shop',
  environment: 'production',
  severity: 'critical',
  phase,
  waitingFor: [],
  startedAt: '2026-01-01T12:00:00Z',
});
const shown = async (changes: Ledger['changes'], open: OpenRun[] = []): Promise<string> =>
  (await runningNow({ environment: 'production', running: 'v2', changes }, open))
    .toString()
    .replaceAll(/<[^>]*>/g, ' ');

it('says that a rollback is being verified as long as the ledger does not know the release it went to', async () => {
  expect(await shown([change], [incident('verifying')])).toBe('v2  being verified: Roll shop back from v2 to v1 ');
  expect(await shown([change], [incident('mitigating')])).toContain('under way: Roll shop back');
  expect(await shown([change])).toContain('under way: Roll shop back');
});

it('says no such thing of a change that has ended, or whose lease has', async () => {
  expect(await shown([{ ...change, result: 'verified' }], [incident('verifying')])).toBe('v2');
  expect(await shown([{ ...change, leaseEndsAt: '2026-01-01T13:00:00Z' }])).toBe('v2');
});
