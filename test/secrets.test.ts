/**
 * A secret of its own in every credential, header, SQL literal and provider's error, through real gateway, worker and Temporal:
 * none is found in what Holdfast keeps, shows, logs or sends, whether payloads are encrypted or not.
 */
import { post } from './gateway/rig.ts';
import { until } from './support/until.ts';
import { formsIn, secretVariables } from './support/canaries.ts';
import { startCanaryRig, type CanaryRig } from './support/canary-rig.ts';

const DATABASE = 'incident.shop.database-connection-issues';
const ERRORS = 'incident.shop.high-error-rate';

describe.each([{ encrypted: false }, { encrypted: true }])('with payloads encrypted: $encrypted', ({ encrypted }) => {
  let rig: CanaryRig;
  const places: Record<string, string> = {};

  beforeAll(async () => {
    rig = await startCanaryRig({ encrypted, watched: true });
    await rig.forgetful(`select '${rig.word('an SQL literal')}' as secret`);
    const [password, header] = [rig.word('a URL in an alert'), rig.word('a header in an alert')];
    const said = `postgres://app:${password}@db/shop refused "Authorization: Bearer ${header}"`;
    await rig.alert('HighErrorRate', said);
    await rig.alert('DatabaseConnectionIssues', said);
    await post(rig.gatewayUrl, 'alertmanager', '{}', { authorization: `Bearer ${rig.odd('a wrong token')}` });
    const pages = await knock(rig);
    await rig.statusOnce(ERRORS, ({ phase }) => phase === 'closed');
    await rig.statusOnce(DATABASE, ({ phase }) => phase === 'waiting');
    const asked = (texts: string[]): boolean => texts.some((text) => text.includes('End 1 database session'));
    const late = rig.late(DATABASE);
    await until(() => asked(rig.world.told('/slack/chat.').map(decoded)), late);
    await until(() => asked(rig.world.told('/record/')) && asked(rig.world.told('/notify')), late);
    await until(async () => asked((await rig.mail.received()).map(({ text }) => text)), late);
    await until(() => rig.world.told('/otel/').join('').includes('[removed]'), late);
    await until(async () => (await rig.histories()).includes('Alertmanager GET'), late);
    Object.assign(places, {
      histories: await rig.histories(),
      record: rig.world.told('/record/').join('\n'),
      logs: rig.log(),
      metrics: Object.values(await rig.metrics()).join('\n'),
      Slack: rig.world
        .told('/slack/')
        .flatMap((body) => [body, decoded(body)])
        .join('\n'),
      mail: JSON.stringify(await rig.mail.received()),
      traces: rig.world.told('/otel/').join('\n'),
      webhook: rig.world.told('/notify').join('\n'),
      pages,
    });
  }, 240_000);
  afterAll(() => rig?.close(), 60_000);

  it('is in every variable that holds a secret, as the sources name them', () => {
    const others = encrypted ? [] : ['HOLDFAST_CODEC_KEYS'];
    expect(secretVariables().filter((name) => rig.all[name] === undefined)).toEqual(others);
  });

  it('is found nowhere, raw, in Base64 or in a URL', () => {
    const found = Object.entries(rig.all).flatMap(([secret, value]) =>
      Object.entries(places).flatMap(([place, text]) =>
        formsIn(text, value).map((form) => `${secret} ${form} in ${place}`),
      ),
    );
    expect(found).toEqual([]);
  });

  it('was where it could have been found: its place is marked in what is kept, logged and sent', () => {
    for (const place of ['histories', 'record', 'logs', 'Slack', 'mail', 'webhook', 'traces', 'pages'])
      expect([place, places[place]]).toEqual([place, expect.stringContaining('[removed]')]);
    for (const system of [encrypted ? 'Bugsink' : 'Sentry', 'PagerDuty', 'Alertmanager', 'Prometheus', 'Supabase'])
      expect(places['histories']).toMatch(new RegExp(`${system}.*not allowed: .*\\[removed\\]`, 'i'));
    expect(places['histories']).toContain('select ? as secret');
    expect(places['metrics']).toContain('holdfast_gateway_alerts_accepted_total 2');
    expect(places['metrics']).toMatch(/^holdfast_pages_total\{.*channel="slack".*result="done".*\} /m);
  });
});

/** The form of a message as Slack takes it. */
const decoded = (body: string): string => [...new URLSearchParams(body).values()].join('\n');

/** Every other door of the gateway, with a wrong secret in its place; resolves with what is answered. */
async function knock({ gatewayUrl, env, odd }: CanaryRig): Promise<string> {
  const authorization = `Bearer ${odd('a wrong token of a heartbeat')}`;
  const signature = `v0=${odd('a wrong signature of Slack')}`;
  const form = new URLSearchParams({ email: 'responder@example.com', password: odd('a password that is typed') });
  const answers = await Promise.all([
    fetch(`${gatewayUrl}/heartbeats/watchdog`, { method: 'POST', headers: { authorization } }),
    fetch(`${gatewayUrl}/slack/interactions`, { method: 'POST', headers: { 'x-slack-signature': signature } }),
    fetch(`${gatewayUrl}/api/incidents`, { headers: { authorization: `Bearer ${env['HOLDFAST_TOKEN']}` } }),
    fetch(`${gatewayUrl}/sign-in`, { method: 'POST', body: form, headers: { origin: gatewayUrl } }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 503]);
  return (await Promise.all(answers.map((answer) => answer.text()))).join('\n');
}
