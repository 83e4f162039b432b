import { composeActivities } from '../../workers/activities.ts';
import { loadConfig } from '../../src/config.ts';
import { settings } from '../activities/settings.ts';

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
  expect(registered).toEqual(expect.arrayContaining(['probes', 'scrape', 'serviceControl']));
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
