/** What is learned from incidents where payloads are encrypted: Temporal sees none of it, and who has the keys all of it. */
import { randomBytes } from 'node:crypto';
import { temporal } from '@temporalio/proto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { configuration } from '../../activities/index.ts';
import { createActivities } from '../../activities/learnings.ts';
import { simulatedCode } from '../../activities/simulator.ts';
import type { Context } from '../../src/cli/context.ts';
import { pastIncidents } from '../../src/cli/what-if/past.ts';
import { parseSettings } from '../../src/config.ts';
import type { Learned, Resemblance, Review, Status } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import type { FiguresReport } from '../../src/figures.ts';
import { fingerprintOf } from '../../src/runbook/learnings.ts';
import { until } from '../support/until.ts';
import { endedStatus } from '../support/ended.ts';
import { startRig, type Rig } from './rig.ts';

const SECRET = 'the metrics of the moon are away';
const WORKFLOW = 'incident.shop.high-error-rate';
const settings = {
  people: [{ name: 'lead', roles: ['responder', 'approver'] as const }],
  ladder: [{ level: 'team', people: ['lead'], wait: '5 minutes' }],
  approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
  services: [
    {
      name: 'shop',
      environments: {
        production: {
          mode: 'act',
          url: 'http://127.0.0.1:4180',
          measure: { windowSeconds: 1, lasting: '1 second', every: '1 second' },
        },
      },
    },
  ],
};
const parsed = parseSettings(settings as never, {});

let rig: Rig;
let ended: Status;
beforeAll(async () => {
  const configured = configuration.createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, parsed);
  rig = await startRig(
    {
      policy: (scope) => configured.policy(scope),
      saturation: async () => {
        throw failure('NotConfigured', SECRET);
      },
    },
    { keys: `2026=${randomBytes(32).toString('base64')}` },
  );
  rig.configure('holdfast.config.mjs', settings, { inUse: true });
  const handle = await rig.client.workflow.start('highErrorRate', {
    workflowId: WORKFLOW,
    taskQueue: 'holdfast',
    args: [endedStatus().incident],
  });
  const status = () => handle.query<Status>('status');
  await until(async () => (await status().catch(() => undefined))?.phase === 'waiting');
  await handle.signal('approve', { by: 'lead', code: simulatedCode('lead') });
  await handle.result();
  ended = await status();
  await until(async () => (await rig.json<Learned[]>('reviews')).some(({ document }) => document !== undefined));
}, 180_000);
afterAll(() => rig.close());

it('keeps from Temporal what the incident and its review say', async () => {
  for (const id of [WORKFLOW, `review.${WORKFLOW}.${ended.runId}`]) {
    const history = await rig.outsider.workflow.getHandle(id).fetchHistory();
    const bytes = Buffer.from(temporal.api.history.v1.History.encode(history).finish());
    const told = ['binary/encrypted', SECRET, 'TypeError: no price', 'Roll shop back'];
    expect(told.filter((said) => bytes.includes(said))).toEqual(['binary/encrypted']);
  }
});

it('lists, tells and takes the word of a person for who has the keys', async () => {
  expect(await rig.json<Learned[]>('reviews', '--search', 'the release v2')).toMatchObject([{ workflowId: WORKFLOW }]);
  const { causes } = await rig.json<Review>('confirm-cause', WORKFLOW, '--as', 'lead', '--cause', '1');
  expect(causes[0]).toMatchObject({ state: 'confirmed' });
  const { incidents } = await rig.json<{ incidents: FiguresReport }>('stats');
  expect(incidents.total).toMatchObject({ incidents: 1, toil: { alone: expect.any(Number) } });
});

it('tells the next incident what it resembles', async () => {
  const activity = new MockActivityEnvironment({}, { client: rig.client });
  const of = {
    service: 'shop',
    environment: 'production',
    runbook: 'high-error-rate',
    fingerprint: fingerprintOf(ended.findings),
  };
  const asked = (): Promise<Resemblance[]> => createActivities({}, parsed).resembling(of);
  expect(await activity.run(asked)).toMatchObject([{ workflowId: WORKFLOW, likeness: 1, outcome: 'mitigated' }]);
});

it('runs the past incident again from what its history has, failures and their words too', async () => {
  const unknown = ended.findings.find(({ summary }) => summary.includes(SECRET));
  expect(unknown?.verdict).toBe('unknown');
  const same = rig.configure('same.config.mjs', settings, { inUse: false });
  const { answers } = await rig.json<{ answers: object[] }>('what-if', '--config', same);
  expect(answers).toEqual([expect.objectContaining({ workflowId: WORKFLOW, outcome: 'mitigated', differences: [] })]);
  expect(answers[0]).not.toHaveProperty('unsure');
  const context = { client: rig.client, config: { temporal: { dataConverter: rig.dataConverter } } } as Context;
  const [past] = await pastIncidents(context, { since: new Date(0), types: ['highErrorRate'], most: 1 });
  expect(past?.recorded['saturation']).toContainEqual({ failure: SECRET });
}, 120_000);
