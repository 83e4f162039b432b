import { Settings } from '../../src/contracts/index.ts';
import { settings } from '../activities/settings.ts';

it('never lets the configuration approve what is of high risk without a person', () => {
  const { low, medium, high } = settings.approval;
  const with_ = (approval: object) => Settings.safeParse({ ...settings, approval });
  expect(with_({ low: { ...low, byPolicy: true }, medium, high }).success).toBe(true);
  expect(with_({ low, medium, high: { ...high, byPolicy: true } }).error?.issues).toMatchObject([
    { path: ['approval', 'high', 'byPolicy'], message: expect.stringContaining('always approved by a person') },
  ]);
});
