import { parseSettings } from '../../src/config.ts';
import type { Policy, Proposal, Status } from '../../src/contracts/index.ts';
import { unanswered } from '../../src/operations/unanswered.ts';
import { endedStatus } from '../support/ended.ts';

type Rule = Partial<Pick<Policy['approval']['medium'], 'expires' | 'onExpiry'>>;
const settingsWith = (rule: Rule = {}) =>
  parseSettings(
    {
      people: ['ada', 'ben'].map((name) => ({ name, roles: ['approver' as const] })),
      ladder: [
        { level: 'development-team', people: ['ada'], wait: '5 minutes' },
        { level: 'engineering-lead', people: ['ben'], wait: '10 minutes' },
      ],
      approval: {
        low: { roles: ['approver'] },
        medium: { roles: ['approver'], ...rule },
        high: { roles: ['approver'] },
      },
      services: [{ name: 'shop', environments: { production: { url: 'http://127.0.0.1:1' } } }],
    },
    {},
  );

const TURN = '2026-11-24T09:10:00.000Z';
const END = '2026-11-24T09:30:00.000Z';
const SOON = '2026-11-24T09:02:00.000Z';
const { proposal = {} as Proposal } = endedStatus();
const asked = (of: Partial<Status> = {}, about: Partial<Proposal> = {}): Status =>
  endedStatus({
    phase: 'waiting',
    waitingFor: ['ada'],
    waitingUntil: TURN,
    proposal: { ...proposal, expiresAt: END, ...about },
    ...of,
  });
const goOn: Partial<Proposal> = {
  action: { kind: 'go-on', service: 'shop', environment: 'production', step: 'Run smoke tests', failed: 'HTTP 500' },
};
const last = { waitingFor: ['ben'] };
const told = (status: Status, rule?: Rule): string => {
  const { unless, at, follows } = unanswered(status, settingsWith(rule));
  return `${unless} until ${at}, ${follows}`;
};

it.each<[string, Status, Rule | undefined, string]>([
  [
    'the next level is asked',
    asked(),
    undefined,
    `until ${TURN}, ben (engineering lead) will be asked; nothing is changed`,
  ],
  [
    'at the end of the ladder a person must go on',
    asked(last),
    undefined,
    `until ${TURN}, nothing is changed and a person`,
  ],
  [
    'a rule may take it for a no',
    asked(last),
    { onExpiry: 'reject' },
    `until ${TURN}, nothing is changed and that is taken for a no`,
  ],
  [
    'a question with an end of its own is open until then',
    asked(last),
    { expires: '30 minutes' },
    `until ${END}, nothing`,
  ],
  [
    'one that ends before the next level is asked ends then',
    asked({}, { expiresAt: SOON }),
    { expires: '2 minutes' },
    `until ${SOON}, nothing`,
  ],
  [
    'a step that failed goes on as if rejected',
    asked(last, goOn),
    undefined,
    `until ${TURN}, it goes on as if rejected`,
  ],
  [
    'whoever was named has not answered: the ladder goes on',
    asked({ waitingFor: ['cleo'] }),
    undefined,
    'the ladder goes on; nothing',
  ],
  [
    'an acknowledgement holds the ladder until it is stale',
    asked({ acknowledgedBy: 'ada' }),
    undefined,
    `ada looks at it. If nobody answers until ${TURN}, ada will be asked again; nothing is changed`,
  ],
])('says what comes of a question that nobody answers: %s', (_, status, rule, words) =>
  expect(told(status, rule)).toContain(words),
);

it('names whoever decides instead of somebody of the ladder', () => {
  const always = { from: '2020-01-01T00:00:00Z', until: '2100-01-01T00:00:00Z' };
  const settings = settingsWith();
  const away = settings.people.map((one) => ({ ...one, delegates: [{ to: `${one.name}s-deputy`, ...always }] }));
  const { follows } = unanswered(asked({ waitingFor: ['adas-deputy'] }), { ...settings, people: away });
  expect(follows).toBe('bens-deputy (engineering lead) will be asked; nothing is changed');
});
