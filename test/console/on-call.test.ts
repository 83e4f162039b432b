import { onCallPage } from '../../src/console/pages/on-call.ts';
import { Settings } from '../../src/contracts/index.ts';
import { settings } from './settings.ts';

const people = ['approver', 'lead', 'cto'];
const delegates = [{ to: 'lead', from: '2026-06-01T00:00:00Z', until: '2026-06-08T08:00:00Z' }];
const scheduled = Settings.parse({
  ...settings,
  people: settings.people.map((one) => (one.name === 'approver' ? { ...one, delegates } : one)),
  ladder: [
    { level: 'team', people: [], onCall: 'shop', wait: '5 minutes' },
    { level: 'engineering-lead', people: ['lead'], wait: '10 minutes' },
  ],
  schedules: [
    {
      name: 'shop',
      timeZone: 'Europe/Berlin',
      rotations: [{ people, every: 'day', from: '2026-06-01', until: '2026-06-20' }],
      overrides: [
        { person: 'cto', from: '2026-06-03T07:00:00Z', until: '2026-06-04T07:00:00Z', reason: 'holiday' },
        { person: 'lead', from: '2026-05-01T07:00:00Z', until: '2026-05-02T07:00:00Z', reason: 'long past' },
      ],
      swaps: [{ between: ['approver', 'lead'], from: '2026-06-05T07:00:00Z', until: '2026-06-06T07:00:00Z' }],
    },
  ],
  escalation: { entry: { critical: 'engineering-lead' } },
});
const shownTo = async (name: string, at: string): Promise<string> => {
  const principal = { kind: 'person' as const, name, rights: new Set(['read', 'respond'] as const), services: [] };
  const shown = await onCallPage({ principal, csrf: '' }, scheduled, Date.parse(at));
  return shown
    .toString()
    .replaceAll(/<[^>]*>|\s+/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(' ,', ',');
};

it('says who is on call now, the next hand-over in local time, overrides and swaps to come, and when nobody is', async () => {
  const text = await shownTo('approver', '2026-06-01T12:00:00Z');
  expect(text).toContain('You are on call now: team.');
  expect(text).toContain('For shop, mail.');
  expect(text).toMatch(/team approver by shop 5 minutes engineering lead lead 10 minutes/);
  expect(text).toMatch(/lead decides instead of approver, and is asked to, until 2026-06-08 08:00 UTC/);
  expect(text).toContain('critical: engineering lead');
  expect(text).toContain('Now approver, until 2026-06-02 09:00 +02:00 Europe/Berlin');
  expect(text).toContain('Next lead, from 2026-06-02 09:00 +02:00 Europe/Berlin');
  expect(text).toContain(
    'cto, 2026-06-03 09:00 +02:00 Europe/Berlin until 2026-06-04 09:00 +02:00 Europe/Berlin : holiday',
  );
  expect(text).not.toContain('long past');
  expect(text).toContain('approver and lead, 2026-06-05 09:00');
  expect(text).toContain('Gaps nobody, from 2026-06-20 09:00 +02:00 Europe/Berlin on');
});

it('says plainly that nobody is on call where a gap has come', async () => {
  const text = await shownTo('lead', '2026-06-25T12:00:00Z');
  expect(text).toMatch(/team nobody by shop/);
  expect(text).not.toContain('decides instead');
  expect(text).toContain('You are on call now: engineering lead.');
  expect(await shownTo('viewer', '2026-06-25T12:00:00Z')).toContain('You are not on call now.');
});
