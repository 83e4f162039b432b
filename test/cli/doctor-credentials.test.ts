import { randomBytes } from 'node:crypto';
import { checkCredentials } from '../../src/cli/doctor/credentials.ts';
import { startCaddy } from '../../src/embedded/caddy.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess } from '../../src/processes.ts';
import { serving } from '../activities/http-server.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { hostedProject, jwtOf, postgrest } from '../support/postgrest.ts';

const word = (): string => randomBytes(24).toString('hex');

it('names the scopes that a token lacks and those beyond need, and a token that is refused', async () => {
  const scopes: Record<string, string[]> = {
    'Bearer narrow': ['event:read', 'org:read', 'project:read'],
    'Bearer wide': ['event:read', 'org:read', 'org:admin', 'project:write'],
    'Bearer blind': ['project:read'],
  };
  await using sentry = await serving(({ headers }) => {
    const granted = scopes[headers.authorization ?? ''];
    return { status: granted === undefined ? 401 : 200, body: { version: '0', auth: { scopes: granted } } };
  });
  const judged = (SENTRY_AUTH_TOKEN: string) => checkCredentials({ SENTRY_URL: sentry.url, SENTRY_AUTH_TOKEN });
  expect(await judged('narrow')).toMatchObject([{ state: 'ok' }]);
  expect(await judged('wide')).toMatchObject([
    { state: 'warning', says: expect.stringContaining('org:admin, project:write') },
  ]);
  expect(await judged('blind')).toMatchObject([
    { state: 'failed', says: 'SENTRY_AUTH_TOKEN lacks event:read, org:read' },
  ]);
  const [refused] = await judged(word());
  expect(refused).toMatchObject({ state: 'failed', remedy: 'renew SENTRY_AUTH_TOKEN, or unset it' });
});

it('knows what a token of Slack needs for messages that are found and changed again, and what is beyond that', async () => {
  const scopes: Record<string, string> = {
    'Bearer xoxb-right': 'chat:write,im:write,im:history,channels:history',
    'Bearer xoxb-private': 'chat:write,im:write,im:history,groups:history',
    'Bearer xoxb-wide': 'chat:write,im:write,im:history,channels:history,files:read,users:read.email',
    'Bearer xoxb-blind': 'chat:write,im:write',
  };
  await using slack = await serving(({ headers, url }) => ({
    status: url.pathname === '/api/auth.test' ? 200 : 404,
    headers: { 'x-oauth-scopes': scopes[headers.authorization ?? ''] ?? '' },
    body: { ok: true },
  }));
  const judged = async (token: string) =>
    await checkCredentials({ SLACK_API_URL: `${slack.url}/api/`, HOLDFAST_SLACK_TOKEN: `xoxb-${token}` });
  expect(await judged('right')).toMatchObject([{ state: 'ok' }]);
  expect(await judged('private')).toMatchObject([{ state: 'ok' }]);
  expect(await judged('wide')).toMatchObject([
    { state: 'warning', says: 'HOLDFAST_SLACK_TOKEN may do too much: files:read, users:read.email' },
  ]);
  const lacks = 'HOLDFAST_SLACK_TOKEN lacks im:history, channels:history or groups:history';
  expect(await judged('blind')).toMatchObject([{ state: 'failed', says: lacks }]);
});

it('shows Alertmanager its token, and says so where it is refused', async () => {
  await using alertmanager = await serving(({ headers, url }) => ({
    status: headers.authorization === 'Bearer right' && url.pathname === '/am/api/v2/status' ? 200 : 401,
    body: { uptime: '2026-11-24T08:00:00Z' },
  }));
  const judged = (ALERTMANAGER_TOKEN?: string) =>
    checkCredentials({ ALERTMANAGER_URL: `${alertmanager.url}/am/`, ALERTMANAGER_TOKEN });
  expect(await judged('right')).toMatchObject([{ check: 'alertmanager', state: 'ok' }]);
  expect(await judged('wrong')).toMatchObject([{ check: 'alertmanager', state: 'failed' }]);
  expect(await judged()).toMatchObject([{ check: 'alertmanager', state: 'failed' }]);
});

it.each([
  ['the record', 'RECORD_SUPABASE_URL', 'RECORD_SUPABASE_SECRET_KEY'],
  ['the application', 'SUPABASE_URL', 'SUPABASE_SECRET_KEY'],
])("has the key of %s taken or refused by PostgREST itself, and by a hosted project's gateway", async (_, url, key) => {
  const judged = async (at: string, shown: string) => await checkCredentials({ [url]: at, [key]: shown });
  await using rest = await postgrest();
  expect(await judged(rest.url, rest.key)).toMatchObject([{ state: 'ok' }]);
  expect(await judged(rest.url, jwtOf('service_role', word()))).toMatchObject([
    { state: 'failed', remedy: `renew ${key}, or unset it` },
  ]);
  const secret = `sb_secret_${word()}`;
  await using hosted = await hostedProject(secret);
  expect(await judged(hosted.url, secret)).toMatchObject([{ state: 'ok' }]);
  expect(await judged(hosted.url, `sb_secret_${word()}`)).toMatchObject([{ state: 'failed' }]);
});

it('reaches the admin address of a real Caddy, and says so where it is away', async () => {
  const stateDir = scratchFolder();
  const { adminUrl } = await startCaddy({ stateDir, adminPort: await freePort() });
  const judged = () => checkCredentials({ CADDY_ADMIN_URL: adminUrl });
  expect(await judged()).toMatchObject([{ state: 'ok', says: expect.stringContaining('keep it on loopback') }]);
  await endProcess(stateDir, 'caddy');
  await removeScratch(stateDir);
  expect(await judged()).toMatchObject([{ state: 'failed', remedy: 'renew CADDY_ADMIN_URL, or unset it' }]);
});
