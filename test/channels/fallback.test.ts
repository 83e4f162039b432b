/** From a channel that fails to the next: real channels, the kit's own paging, in skipped time. */
import { createNotifier } from '../../src/channels/notifier.ts';
import { parseSettings } from '../../src/config.ts';
import { failure } from '../../src/errors.ts';
import { settings } from '../activities/settings.ts';
import { serving, type Answer } from '../activities/http-server.ts';
import { readPages } from '../../src/pages.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { incident, policyOf, skippedTime, type SkippedTime } from '../support/skipped-time.ts';
import { startMail, type MailRig } from './mail-rig.ts';

let stateDir: string;
let mail: MailRig;
let time: SkippedTime;
beforeEach(async () => {
  stateDir = scratchFolder();
  mail = await startMail();
  time = await skippedTime();
});
afterEach(async () => {
  await time.close();
  await mail[Symbol.asyncDispose]();
  await removeScratch(stateDir);
});

const people = [
  {
    name: 'responder',
    roles: ['responder' as const, 'approver' as const],
    channels: [
      { via: 'slack', to: 'U0123456789' },
      { via: 'email', to: 'ada@shop.example' },
    ],
  },
];

it.each<[string, Answer]>([
  ['is away', { status: 503 }],
  ['asks to wait for longer than a page can', { status: 429, headers: { 'retry-after': '300' } }],
  ['refuses the token', { body: { ok: false, error: 'invalid_auth' } }],
])(
  'a page goes over the next channel within a minute when one %s, once, with a copy in the console',
  async (_, answer) => {
    await using slack = await serving(() => answer);
    const env = {
      HOLDFAST_STATE_DIR: stateDir,
      HOLDFAST_SLACK_TOKEN: 'xoxb-token',
      HOLDFAST_SLACK_CHANNEL: 'C0123456789',
      SLACK_API_URL: `${slack.url}/`,
      HOLDFAST_SMTP_URL: mail.url,
      HOLDFAST_MAIL_FROM: 'holdfast@shop.example',
    };
    const notifier = createNotifier(env, parseSettings({ ...settings, people }, {}));
    const policy = policyOf({
      people: [{ name: 'responder', roles: ['responder', 'approver'], channels: ['slack', 'email'] }],
      ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
    });
    const tried: { channel: string; at: number }[] = [];
    const run = await time.start('highErrorRate', incident(), {
      policy: async () => policy,
      page: async (of) => {
        tried.push({ channel: of.channel, at: await time.env.currentTimeMs() });
        await notifier.page(of);
      },
    });
    await run.until(({ phase }) => phase === 'waiting');
    await time.env.sleep('2 minutes');
    expect((await mail.received()).map(({ to, subject }) => [to[0]?.address, subject])).toEqual([
      ['ada@shop.example', '[critical] Decide: Roll shop back from v2 to v1'],
    ]);

    const firstOver = (name: string): number => tried.find(({ channel }) => channel === name)?.at ?? Infinity;
    expect(firstOver('email') - firstOver('slack')).toBeLessThanOrEqual(60_000);
    expect(readPages(stateDir)).toHaveLength(1);
  },
);

it('does not count the copy in the console as a person reached, where the person has channels and none takes the page', async () => {
  const policy = policyOf({
    people: [{ name: 'responder', roles: ['responder', 'approver'], channels: ['slack', 'email'] }],
    ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
  });
  const run = await time.start('highErrorRate', incident(), {
    policy: async () => policy,
    page: async ({ channel }) => {
      if (channel !== 'console') throw failure('NotAllowed', `${channel} refuses it`);
    },
  });
  const { timeline } = await run.until((status) => status.timeline.some(({ kind }) => kind === 'page-failed'));
  expect(timeline.find(({ kind }) => kind === 'page-failed')?.what).toBe('responder could not be paged');
});
