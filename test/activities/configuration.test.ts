import { createActivities } from '../../activities/configuration.ts';
import { Settings } from '../../src/contracts/index.ts';
import { settings } from './settings.ts';

it('gives a run the number of errors at which the tracker is to alert, where one is configured', async () => {
  const url = 'http://127.0.0.1:1';
  const environments = {
    production: { url, errors: { project: 'shop', alertAt: 50 } },
    staging: { url, errors: { project: 'shop' } },
  };
  const asked = Settings.parse({ ...settings, services: [{ name: 'shop', environments }] });
  const configured = createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, asked);
  const { alertAt } = await configured.policy({ service: 'shop', environment: 'production' });
  expect(alertAt).toEqual({ errorRatio: 0.05, p95Ms: 2000, errors: 50 });
  expect((await configured.policy({ service: 'shop', environment: 'staging' })).alertAt).not.toHaveProperty('errors');
});

it('tells a run how many pages the laboratory looks at, and where', async () => {
  const laboratory = { pages: ['/', '/cart'], taskQueue: 'browsers' };
  const environments = { production: { url: 'http://127.0.0.1:1', performance: { laboratory } } };
  const asked = Settings.parse({ ...settings, services: [{ name: 'shop', environments }] });
  const configured = createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, asked);
  const { performance } = await configured.policy({ service: 'shop', environment: 'production' });
  expect(performance.laboratory).toEqual({ taskQueue: 'browsers', pages: 2 });
});

it('asks by the rule of the environment for a risk, and by the general one for the others', async () => {
  const own = { roles: ['approver'], quorum: 2, expires: '10 minutes', onExpiry: 'reject' };
  const environments = { production: { url: 'http://127.0.0.1:1', approval: { medium: own } } };
  const asked = Settings.parse({ ...settings, services: [{ name: 'shop', environments }] });
  const configured = createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, asked);
  const { approval } = await configured.policy({ service: 'shop', environment: 'production' });
  expect(approval).toMatchObject({ low: asked.approval.low, medium: own, high: asked.approval.high });
  expect((await configured.policy({ service: 'mail', environment: 'production' })).approval).toEqual(asked.approval);
  const byPolicy = { production: { url: 'http://127.0.0.1:1', approval: { high: { ...own, byPolicy: true } } } };
  const services = [{ name: 'shop', environments: byPolicy }];
  expect(Settings.safeParse({ ...settings, services }).success).toBe(false);
});

it('tells a run who decides instead of whom, and knows only people', async () => {
  const [from, until] = ['2026-12-01T00:00:00Z', '2026-12-08T00:00:00Z'];
  const [first, ...others] = settings.people;
  const delegating = (to: string) => ({
    ...settings,
    people: [{ ...first, delegates: [{ to, from, until }] }, ...others, { name: 'deputy', roles: ['viewer'] }],
  });
  const configured = createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, Settings.parse(delegating('deputy')));
  const { people } = await configured.policy({ service: 'shop', environment: 'production' });
  expect(people[0]).toMatchObject({ delegates: [{ to: 'deputy', from, until }] });
  expect(Settings.safeParse(delegating('nobody')).error?.issues[0]).toMatchObject({
    path: ['people', 0, 'delegates', 0, 'to'],
    message: expect.stringContaining('"nobody" is not in people'),
  });
});

it('gives a run the limits of its environment, and the defaults of those that are not configured', async () => {
  const environments = { production: { url: 'http://127.0.0.1:1', limits: { leakHours: 4, diskUsed: 0.7 } } };
  const asked = Settings.parse({ ...settings, services: [{ name: 'shop', environments }] });
  const configured = createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, asked);
  const { limits } = await configured.policy({ service: 'shop', environment: 'production' });
  expect(limits).toMatchObject({ leakHours: 4, diskUsed: 0.7, leakForetold: 16, poolWaitMs: 100 });
});
