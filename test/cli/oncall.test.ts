import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { createSimulator } from '../../activities/simulator.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { runCommand } from '../../src/processes.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { NativeConnection, Worker } from '@temporalio/worker';
import { settings } from '../activities/settings.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { incident, policyOf } from '../support/skipped-time.ts';

const DAY_MS = 86_400_000;
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));
const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const today = Date.parse(dateOf(Date.now()));
const override = {
  person: 'cto',
  from: new Date(today + 10 * DAY_MS).toISOString(),
  until: new Date(today + 11 * DAY_MS).toISOString(),
  reason: 'holiday',
};
const rotation = { people: ['ada', 'bob'], every: 'day', from: dateOf(today - 20 * DAY_MS), handOver: '00:00' };
const given = { to: 'bob', from: '2020-01-01T00:00:00Z', until: '2100-01-01T00:00:00Z' };
const config = {
  ...settings,
  people: ['responder', 'lead', 'cto', 'ada', 'bob'].map((name) => ({
    name,
    roles: ['approver'],
    ...(name === 'cto' && { delegates: [given] }),
  })),
  schedules: [{ name: 'shop', rotations: [rotation], overrides: [override] }],
  ladder: [
    { level: 'team', people: [], onCall: 'shop', wait: '5 minutes' },
    { level: 'lead', people: ['lead'], wait: '10 minutes' },
  ],
};
const file = join(stateDir, 'holdfast.config.mjs');
writeFileSync(file, `export default ${JSON.stringify(config)};`);
let address = '127.0.0.1:1';
const holdfast = async (...args: string[]): Promise<string> => {
  const env = { HOLDFAST_STATE_DIR: stateDir, HOLDFAST_CONFIG: file, TEMPORAL_ADDRESS: address };
  return (await runCommand({ command: 'node', args: ['src/cli/main.ts', ...args], env })).stdout;
};
const json = async (...args: string[]): Promise<unknown> => JSON.parse(await holdfast(...args, '--json')) as unknown;

it('says who is on call now and next, overrides to come, and whom each level would page', async () => {
  expect(await json('oncall')).toMatchObject({
    schedules: [
      {
        schedule: 'shop',
        now: 'ada', // twenty days, two people
        until: new Date(today + DAY_MS).toISOString(),
        next: { person: 'bob', from: new Date(today + DAY_MS).toISOString() },
        overrides: [override],
      },
    ],
    ladder: [
      { level: 'team', people: ['ada'] },
      { level: 'lead', people: ['lead'] },
    ],
    delegations: [{ person: 'cto', to: 'bob', until: given.until }],
  });
  const text = await holdfast('oncall', 'shop');
  expect(text).toContain(`shop: ada is on call until ${dateOf(today + DAY_MS)} 00:00 UTC`);
  expect(text).toContain('override: cto from');
  expect(text).toContain('bob decides instead of cto until 2100-01-01');
  await expect(holdfast('oncall', 'other')).rejects.toThrow('there is no schedule "other"; there are: shop');
});

it('lists the ladders that are climbed, apart from incidents, and acknowledges one at the incident that has ended', async () => {
  ({ address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() }));
  const [native, connection] = [await NativeConnection.connect({ address }), await Connection.connect({ address })];
  const { ports } = createSimulator({ policy: async () => policyOf({ mode: 'observe' }) });
  const sinks = { failures: { workflowFailed: { fn: () => undefined } } };
  const of = {
    connection: native,
    taskQueue: 'cli',
    workflowBundle: await workflowBundle('.holdfast'),
    activities: ports,
    sinks,
  };
  const worker = await Worker.create(of);
  const running = worker.run();
  const id = 'incident.shop.high-error-rate';
  const run = await new Client({ connection }).workflow.start('highErrorRate', {
    workflowId: id,
    taskQueue: 'cli',
    args: [incident()],
  });
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  const listed = async () => (await json('escalations')) as { waitingFor: string[]; acknowledgedBy: string | null }[];
  await until(async () => (await listed()).some(({ waitingFor }) => waitingFor.includes('responder')));
  expect(await listed()).toMatchObject([
    {
      workflowId: `${id}.escalation.0`,
      of: id,
      subject: 'High error rate on shop: handed-over, a person is needed',
      severity: 'critical',
      waitingFor: ['responder'],
      until: expect.stringMatching(/Z$/),
      acknowledgedBy: null,
    },
  ]);
  expect((await json('incidents')) as object[]).toMatchObject([{ workflowId: id }]);

  expect(await holdfast('ack', id, '--as', 'lead')).toContain(`acknowledge: sent to ${id}.escalation.0`);
  await until(async () => (await listed())[0]?.acknowledgedBy === 'lead');
  expect(await holdfast('escalations')).toContain('lead looks at it until');
  const escalation = `${id}.escalation.0`;
  expect(await json('hand-over', escalation, '--to', 'cto', '--as', 'lead')).toEqual({ to: 'cto', escalation });
  await until(async () => (await listed())[0]?.waitingFor.includes('cto') === true);
  expect(await json('take-over', id, '--as', 'cto')).toEqual({ signal: 'takeOver', sentTo: escalation });
  await until(async () => (await listed()).length === 0);
  expect(await holdfast('escalations')).toBe('nobody is being paged');
  worker.shutdown();
  await running;
  await native.close();
  await connection.close();
}, 120_000);
