import { deploymentsPage } from '../../src/console/pages/deployments.ts';
import type { Policy } from '../../src/contracts/index.ts';
import { settings } from './settings.ts';

const viewer = {
  principal: { kind: 'person' as const, name: 'responder', rights: new Set(['deploy' as const]), services: [] },
  csrf: 'csrf',
};
const shown = async (mode: Policy['mode']): Promise<string> => {
  const production = {
    environment: 'production',
    url: 'http://127.0.0.1:1',
    mode,
    procedure: 'production',
    objectives: { errorRatio: 0.01, p95Ms: 500 },
    firing: {},
    ledger: undefined,
  };
  const services = [{ service: 'shop', unknown: [], killSwitch: undefined, environments: [production] }];
  const board = { incidents: [], deployments: [], services, version: '1' };
  return (await deploymentsPage(viewer, { board, settings, past: [] })).toString();
};

it.each(['observe', 'propose'] as const)(
  'offers no deployment and no rollback in mode %s, and says why',
  async (mode) => {
    const page = await shown(mode);
    expect(page).toContain(`shop is in mode ${mode} in production: Holdfast changes nothing there`);
    expect(page).not.toContain('action="/deployments/shop/production');
  },
);

it('offers both in mode act', async () => {
  const page = await shown('act');
  expect(page).toContain('action="/deployments/shop/production/start"');
  expect(page).toContain('action="/deployments/shop/production/roll-back"');
  expect(page).not.toContain('is in mode');
});
