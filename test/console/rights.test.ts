import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { principalOf } from '../../src/console/rights.ts';
import { openStore } from '../../src/console/store.ts';
import { settings } from './settings.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-rights-'));
const store = openStore(stateDir);
afterAll(() => {
  store.close();
  rmSync(stateDir, { recursive: true });
});
const rightsOf = (person: string, of = settings) =>
  principalOf(store.openSession(person, `${person}@example.com`), store, of)?.rights;

it('lets decide whom the rule of one environment names, and nothing more', () => {
  expect(rightsOf('viewer')).toEqual(new Set(['read']));
  const [shop, ...services] = settings.services;
  const { production, ...others } = shop?.environments ?? {};
  const approval = { high: { ...settings.approval.high, roles: ['viewer' as const] } };
  const environments = { ...others, ...(production && { production: { ...production, approval } }) };
  const ruled = { ...settings, services: [{ name: 'shop', environments }, ...services] };
  expect(rightsOf('viewer', ruled)).toEqual(new Set(['read', 'decide']));
});

it('lets decide whom a rule names for break-glass alone', () => {
  const breakGlass = { roles: ['admin' as const], secondPersonWithin: '1 hour' };
  const approval = { ...settings.approval, high: { ...settings.approval.high, breakGlass } };
  expect(rightsOf('cto', { ...settings, approval })).toContain('decide');
  expect(rightsOf('cto')).not.toContain('decide');
  expect(rightsOf('viewer', { ...settings, approval })).toEqual(new Set(['read']));
});

it('lets decide to whom somebody else has given it for now', () => {
  const during = (from: number) => ({
    to: 'viewer',
    from: new Date(from).toISOString(),
    until: '2999-01-01T00:00:00Z',
  });
  const given = (from: number) => ({
    ...settings,
    people: settings.people.map((one) => (one.name === 'lead' ? { ...one, delegates: [during(from)] } : one)),
  });
  expect(rightsOf('viewer', given(Date.now() - 1000))).toEqual(new Set(['read', 'decide']));
  expect(rightsOf('viewer', given(Date.now() + 3_600_000))).toEqual(new Set(['read']));
});
