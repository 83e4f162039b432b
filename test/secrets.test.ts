/**
 * A secret of its own in every credential, header, SQL literal and provider's error, through real gateway, worker and Temporal:
 * none is found in what Holdfast keeps, shows, logs or sends, whether payloads are encrypted or not.
 */
import { post } from './gateway/rig.ts';
import { until } from './support/until.ts';
import { formsIn, startCanaryRig, type CanaryRig } from './support/canary-rig.ts';

const DATABASE = 'incident.shop.database-connection-issues';
const ERRORS = 'incident.shop.high-error-rate';

describe.each([{ encrypted: false }, { encrypted: true }])('with payloads encrypted: $encrypted', ({ encrypted }) => {
  let rig: CanaryRig;
  const places: Record<string, string> = {};

  beforeAll(async () => {
    rig = await startCanaryRig({ encrypted });
    const literal = rig.word('an SQL literal');
    const session = await rig.database.client(rig.database.ownerUrl);
    await session.query('begin');
    await session.query(`select '${literal}' as secret`);
    const [password, header] = [rig.word('a URL in an alert'), rig.word('a header in an alert')];
    const said = `postgres://app:${password}@db/shop refused "Authorization: Bearer ${header}"`;
    await rig.alert('HighErrorRate', said);
    await rig.alert('DatabaseConnectionIssues', said);
    await post(rig.gatewayUrl, 'alertmanager', '{}', { authorization: `Bearer ${rig.odd('a wrong token')}` });
    await until(async () => (await rig.status(ERRORS))?.phase === 'closed');
    await until(async () => (await rig.status(DATABASE))?.phase === 'waiting');
    const asked = (texts: string[]): boolean => texts.some((text) => text.includes('End 1 database session'));
    await until(() => asked(rig.world.told('/slack/chat.').map(decoded)));
    await until(() => asked(rig.world.told('/record/')) && asked(rig.world.told('/notify')));
    await until(async () => asked((await rig.mail.received()).map(({ text }) => text)));
    await until(() => rig.world.told('/otel/').join('').includes('[removed]'));
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
    });
  }, 240_000);
  afterAll(() => rig?.close(), 60_000);

  it('is found nowhere, raw, in Base64 or in a URL', () => {
    const found = Object.entries(rig.all).flatMap(([secret, value]) =>
      Object.entries(places).flatMap(([place, text]) =>
        formsIn(text, value).map((form) => `${secret} ${form} in ${place}`),
      ),
    );
    expect(found).toEqual([]);
  });

  it('was where it could have been found: its place is marked in what is kept, logged and sent', () => {
    for (const place of ['histories', 'record', 'logs', 'Slack', 'mail', 'webhook', 'traces'])
      expect([place, places[place]]).toEqual([place, expect.stringContaining('[removed]')]);
    for (const system of ['Sentry', 'Prometheus', 'Supabase'])
      expect(places['histories']).toMatch(new RegExp(`${system}.*not allowed: .*\\[removed\\]`, 'i'));
    expect(places['histories']).toContain('select ? as secret');
    expect(places['metrics']).toContain('holdfast_gateway_alerts_accepted_total 2');
    expect(places['metrics']).toMatch(/^holdfast_pages_total\{.*channel="slack".*result="done".*\} /m);
  });
});

/** The form of a message as Slack takes it. */
const decoded = (body: string): string => [...new URLSearchParams(body).values()].join('\n');
