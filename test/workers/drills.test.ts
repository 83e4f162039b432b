/** Drills as a worker starts them, on a real Temporal, and the command line that shows them. */
import type { Drilled, FreshnessReport } from '../../src/contracts/index.ts';
import { startDrills } from '../../workers/digests.ts';
import { parseSettings } from '../../src/config.ts';
import configuration from '../../holdfast.config.ts';
import { until } from '../support/until.ts';
import { startRig, type Rig } from '../cli/rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ newestRuns: async () => ({ 'incident.shop.triage': '2026-01-02T03:04:05.000Z' }) });
}, 120_000);
afterAll(() => rig.close());

it('knows every runbook of every service, and counts the drill of a person', async () => {
  expect((await rig.cli('drills')).text).toContain('nothing is known yet: start a worker');
  const start = () => startDrills(rig.client, 'holdfast', parseSettings(configuration, {}));
  await start();
  await start(); // another worker
  const shown = async () => (await rig.json<FreshnessReport[]>('drills', 'shop'))[0];
  await until(async () => (await shown())?.runbooks.some(({ ranAt }) => ranAt !== undefined) === true);
  expect(await shown()).toMatchObject({ service: 'shop', environment: 'production', staleAfter: '90 days' });
  expect((await shown())?.runbooks.map(({ runbook, stale }) => `${runbook} ${stale}`)).toEqual([
    'database-connection-issues true',
    'high-error-rate true',
    'performance-degradation true',
    'triage true',
  ]);
  expect(await rig.json<Drilled>('drill', 'high-error-rate')).toMatchObject({ counted: 'yes' });
  const { text } = await rig.cli('drills', 'shop');
  expect(text).toMatch(/fresh high-error-rate: last needed never, last drilled 20\d\d-/);
  expect(text).toContain('STALE triage: last needed 2026-01-02, last drilled never');
  expect((await rig.cli('drills', 'nothing')).code).toBe(2);
}, 120_000);
