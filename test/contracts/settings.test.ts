import { Settings } from '../../src/contracts/index.ts';
import { settings } from '../activities/settings.ts';

it('never lets the configuration approve what is of more than low risk without a person', () => {
  const { low, medium, high } = settings.approval;
  const with_ = (approval: object) => Settings.safeParse({ ...settings, approval });
  expect(with_({ low: { ...low, byPolicy: true }, medium, high }).success).toBe(true);
  const message = expect.stringContaining('always approved by a person');
  const byPolicy = { medium: { ...medium, byPolicy: true }, high: { ...high, byPolicy: true } };
  expect(with_({ low, ...byPolicy }).error?.issues).toMatchObject([
    { path: ['approval', 'medium', 'byPolicy'], message },
    { path: ['approval', 'high', 'byPolicy'], message },
  ]);
});

it('refuses two people who would sign in with one address', () => {
  const people = ['a', 'b'].map((name) => ({ name, roles: ['approver' as const], email: 'Team@example.com' }));
  const ladder = [{ level: 'team', people: ['a'], wait: '5 minutes' }];
  expect(Settings.safeParse({ ...settings, people, ladder }).error?.issues).toMatchObject([
    { path: ['people'], message: 'two people have one e-mail address' },
  ]);
});

it('refuses break-glass that leaves nobody to be the second person', () => {
  const person = (name: string, ...roles: ('admin' | 'approver')[]) => ({ name, roles });
  const breakGlass = { roles: ['admin' as const] };
  const high = { ...settings.approval.high, roles: ['approver' as const], breakGlass };
  const ladder = [{ level: 'team', people: ['a'], wait: '5 minutes' }];
  const of = (...people: object[]) =>
    Settings.safeParse({ ...settings, people, ladder, approval: { ...settings.approval, high } });
  expect(of(person('a', 'admin', 'approver')).error?.issues).toMatchObject([
    { path: ['approval', 'high', 'breakGlass'], message: expect.stringContaining('nobody is left') },
  ]);
  expect(of(person('a', 'admin'), person('b', 'approver')).data?.approval.high.breakGlass).toEqual({
    roles: ['admin'],
    secondPersonWithin: '1 hour',
  });
});
