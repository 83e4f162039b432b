import { composeActivities } from '../../workers/activities.ts';
import { loadConfig } from '../../src/config.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { settings } from '../activities/settings.ts';
import { skippedTime } from '../support/skipped-time.ts';

const BUGSINK = { BUGSINK_URL: 'http://127.0.0.1:8000', BUGSINK_TOKEN: 'token' };
const SENTRY = { SENTRY_AUTH_TOKEN: 'token', SENTRY_ORG: 'acme' };
const SUPABASE = { SUPABASE_URL: 'http://127.0.0.1:54321', SUPABASE_SECRET_KEY: 'secret' };

/** The composition of an environment that has these variables and no platform. */
const compose = (env: Record<string, string>) =>
  composeActivities(loadConfig({ HOLDFAST_STATE_DIR: '/nonexistent', ...env }), settings);

it('does not register a system whose variables are absent, and names them', () => {
  const { registered, absent } = compose({});
  expect(absent).toMatchObject({
    bugsink: 'BUGSINK_URL, BUGSINK_TOKEN',
    sentry: 'SENTRY_AUTH_TOKEN, SENTRY_ORG',
    supabase: 'SUPABASE_URL, SUPABASE_SECRET_KEY',
    record: 'RECORD_SUPABASE_URL, RECORD_SUPABASE_SECRET_KEY',
  });
  expect(registered).toEqual(expect.arrayContaining(['metrics', 'probes', 'serviceControl']));
  expect(registered).not.toEqual(expect.arrayContaining(['sentry']));
});

it('names the activities that are left without a provider', () => {
  const errorTracker = ['errorPatterns', 'affectedUsers', 'topStackTrace', 'errorCorrelations'];
  expect(compose({}).missing).toEqual(expect.arrayContaining([...errorTracker, 'supabaseHealth', 'record']));
  const { missing, registered, activities } = compose({ ...SENTRY, ...SUPABASE });
  expect(registered).toEqual(expect.arrayContaining(['sentry', 'supabase']));
  expect(missing.filter((name) => [...errorTracker, 'supabaseHealth'].includes(name))).toEqual([]);
  expect(activities).toMatchObject({ errorPatterns: expect.any(Function), supabaseHealth: expect.any(Function) });
});

it('lets a run with an activity that nothing provides replay: the failure is in its history', async () => {
  const time = await skippedTime();
  const { activities } = compose({});
  const { supabaseHealth, poolUse, tellOpenAlerts } = activities;
  await expect(supabaseHealth?.({ service: 'shop', environment: 'production' })).rejects.toMatchObject({
    type: 'NotConfigured',
    nonRetryable: true,
    message: expect.stringContaining('nothing provides "supabaseHealth"'),
  });
  const { handle } = await time.start(
    'monitorService',
    {
      service: 'shop',
      every: '1 minute',
      askForAlerts: '1 minute',
      watched: [{ environment: 'production', alerts: {} }],
    },
    { supabaseHealth, poolUse, tellOpenAlerts } as Partial<Ports>,
    { forgetful: true },
  );
  await time.env.sleep('5 minutes');
  const events = (await handle.fetchHistory()).events ?? [];
  expect(events.filter(({ timerFiredEventAttributes: fired }) => fired).length).toBeGreaterThanOrEqual(4);
  expect(events.filter(({ workflowTaskFailedEventAttributes: failed }) => failed)).toEqual([]);
  await time.close();
});

it('refuses two providers of one activity and names both', () => {
  expect(() => compose({ ...SENTRY, ...BUGSINK })).toThrow(
    'bugsink and sentry both provide "errorPatterns": configure one of them',
  );
});

it('refuses a variable that is there but wrong, and names it', () => {
  expect(() => compose({ ...BUGSINK, BUGSINK_URL: 'not a url' })).toThrow(
    /environment of bugsink is wrong[\s\S]*BUGSINK_URL/,
  );
});

it('leaves out a system of which a part of the variables is set, and names the rest', () => {
  expect(compose({ BUGSINK_URL: 'http://127.0.0.1:8000' }).absent).toMatchObject({ bugsink: 'BUGSINK_TOKEN' });
});
