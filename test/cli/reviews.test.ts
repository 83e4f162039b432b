import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities } from '../../activities/learnings.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { ReviewSettings, type Learned, type Review } from '../../src/contracts/index.ts';
import type { FiguresReport } from '../../src/figures.ts';
import { fingerprintOf } from '../../src/runbook/learnings.ts';
import { settings } from '../activities/settings.ts';
import { until } from '../support/until.ts';
import { endedStatus } from '../support/ended.ts';
import { startRig, type Rig } from './rig.ts';

const policy = { ...simulatedPolicy, review: ReviewSettings.parse({}) };
const { runId: RUN, workflowId: INCIDENT, findings } = endedStatus();
const ID = `review.${INCIDENT}.${RUN}`;
let rig: Rig;

beforeAll(async () => {
  rig = await startRig({ policy: async () => policy });
  const endedAt = new Date().toISOString();
  const timeline = endedStatus().timeline.map((line) => ({ ...line, at: endedAt }));
  const start = (workflowId: string, status: object) =>
    rig.client.workflow.start('postIncident', {
      workflowId,
      taskQueue: 'holdfast',
      args: [{ status: { ...endedStatus(), timeline, ...status }, policy }],
    });
  await start(ID, {});
  await start(`${ID}-other`, {
    runId: 'other',
    workflowId: 'incident.shop.triage',
    runbook: 'triage',
    title: 'Triage',
    attempts: [],
    outcome: 'unanswered',
    proposal: undefined,
  });
  const written = async () => (await rig.json<Learned[]>('reviews')).filter(({ document }) => document !== undefined);
  await until(async () => (await written()).length === 2);
}, 120_000);
afterAll(() => rig.close());

it('lists what was learned, and finds it by words', async () => {
  expect(
    (await rig.json<Learned[]>('reviews', '--search', 'ROLL-back helped')).map(({ workflowId }) => workflowId),
  ).toEqual([INCIDENT]);
  expect(await rig.json<Learned[]>('reviews', '--search', 'no such words')).toEqual([]);
  expect((await rig.cli('reviews', 'shop')).text).toContain('cause (suspected): the release v2');
  expect((await rig.cli('reviews', 'nothing')).code).toBe(2);
});

it('says how the setting that an action item is about is tried on past incidents', async () => {
  const says =
    /to try it on past incidents: change ladder in other.config.ts.*: npm run -s holdfast -- what-if --config/;
  expect((await rig.cli('reviews')).text).toMatch(says);
  expect((await rig.cli('review', `${ID}-other`)).text).toMatch(says);
});

it('tells the next incident that looks like it what helped then', async () => {
  const learnings = createActivities({}, settings);
  const asked = new MockActivityEnvironment({}, { client: rig.client });
  const resembling = (of: Parameters<typeof learnings.resembling>[0]) => asked.run(() => learnings.resembling(of));
  const scope = { service: 'shop', environment: 'production', runbook: 'high-error-rate' };
  expect(await resembling({ ...scope, fingerprint: fingerprintOf(findings) })).toMatchObject([
    {
      workflowId: INCIDENT,
      likeness: 1,
      outcome: 'mitigated',
      attempts: [{ kind: 'roll-back', target: 'v2', result: 'helped', tookMs: 240_000 }],
    },
  ]);
  expect(await resembling({ ...scope, fingerprint: ['check:disk'] })).toEqual([]);
});

it('tells figures of incidents beside those of deliveries', async () => {
  const { incidents, deliveries } = await rig.json<{ incidents: FiguresReport; deliveries: object[] }>('stats');
  expect(deliveries).toMatchObject([{ service: 'shop', deployments: 0 }]);
  expect(incidents.total).toMatchObject({ incidents: 2, repeats: 0, toil: { alone: 8, byPeople: 4 } });
  expect(Object.keys(incidents.runbooks).sort()).toEqual(['shop high-error-rate', 'shop triage']);
  const { text } = await rig.cli('stats', 'shop', '--days', '7');
  expect(text).toMatch(/shop high-error-rate: 1 \(0 repeats\), detected after 0 seconds/);
  expect(text).toContain('By month');
  expect((await rig.cli('stats', 'nothing')).code).toBe(2);
});

it('takes the word of a person on the cause and on action items, by the id of the incident', async () => {
  const review = await rig.json<Review>(
    'confirm-cause',
    INCIDENT,
    '--as',
    'lead',
    '--cause',
    '1',
    '--reason',
    'seen in the diff',
  );
  expect(review.causes[0]).toMatchObject({ what: 'the release v2', state: 'confirmed' });
  expect(
    await rig.json<Review>(
      'action-item',
      'change',
      INCIDENT,
      'unknown-check',
      '--as',
      'lead',
      '--owner',
      'cto',
      '--due',
      '2027-01-01',
    ),
  ).toMatchObject({
    actionItems: expect.arrayContaining([
      expect.objectContaining({ id: 'unknown-check', owner: 'cto', dueAt: '2027-01-01T00:00:00.000Z' }),
    ]),
  });
  expect((await rig.cli('action-item', 'close', ID, 'unknown-check', 'metrics are back', '--as', 'cto')).code).toBe(0);
  const shown = (await rig.cli('review', ID)).text;
  expect(shown).toContain('1. confirmed: the release v2');
  expect(shown).toMatch(/done {2}unknown-check: .*by cto/);
});

it('refuses a person who is nobody, an item that is not open, and a review that is not there', async () => {
  expect(await rig.cli('confirm-cause', ID, '--as', 'nobody', '--cause', '1')).toMatchObject({
    code: 2,
    text: expect.stringContaining('"nobody" is nobody'),
  });
  expect(await rig.cli('action-item', 'close', ID, 'no-such-item', '--as', 'lead')).toMatchObject({
    code: 5,
    text: expect.stringContaining('no action item'),
  });
  expect(await rig.cli('review', 'incident.shop.none')).toMatchObject({ code: 4 });
});
