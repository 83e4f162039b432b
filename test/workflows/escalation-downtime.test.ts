/** The ladder on a real Temporal: the time-skipping one stands still where no worker answers. */
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createSimulator, simulatedPolicy } from '../../activities/simulator.ts';
import type { Page, Policy, Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { incident, policyOf } from '../support/skipped-time.ts';

const stateDir = scratchFolder();
let address: string;
beforeAll(async () => {
  ({ address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() }));
});
afterAll(() => removeScratch(stateDir));
const WAIT_MS = 3000;
const ladder = simulatedPolicy.ladder.map((level) => ({ ...level, wait: `${WAIT_MS} ms` }));

/** Pages with the time at which each was delivered, and a worker that may be stopped and started, on a task queue of its own. */
async function rig(taskQueue: string, policy: Partial<Policy>) {
  const [native, connection] = [await NativeConnection.connect({ address }), await Connection.connect({ address })];
  const client = new Client({ connection });
  const sent: { page: Page; at: number }[] = [];
  const { ports } = createSimulator({
    policy: async () => policyOf({ ladder, ...policy }),
    page: async ({ page }) => void sent.push({ page, at: Date.now() }),
  });
  const startWorker = async () => {
    const worker = await Worker.create({
      connection: native,
      taskQueue,
      workflowBundle: await workflowBundle('.holdfast'),
      activities: ports,
      sinks: { failures: { workflowFailed: { fn: () => undefined } } },
    });
    const running = worker.run();
    return async () => {
      worker.shutdown();
      await running;
    };
  };
  return {
    sent,
    startWorker,
    client,
    startIncident: (workflowId: string) =>
      client.workflow.start('highErrorRate', { workflowId, taskQueue, args: [incident()] }),
    close: async () => {
      await native.close();
      await connection.close();
    },
  };
}

it('pages each level once, in order, where the workers were stopped across two deadlines', async () => {
  const { sent, startWorker, startIncident, close } = await rig('stopped', {});
  const stop = await startWorker();
  const run = await startIncident('incident.shop.high-error-rate');
  await until(() => sent.length === 1);
  await stop();
  const begun = sent[0]?.at ?? 0;
  await until(() => Date.now() > begun + 2.5 * WAIT_MS);
  expect(sent).toHaveLength(1);

  const stopAgain = await startWorker();
  expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
  await until(() => sent.length === 4); // the last is the hand-over's
  await stopAgain();
  const asked = sent.filter(({ page }) => page.asks !== undefined);
  expect(asked.map(({ page }) => page.person)).toEqual(['responder', 'lead', 'cto']);
  const [, lead = 0, cto = 0] = asked.map(({ at }) => at);
  expect(cto - lead).toBeGreaterThanOrEqual(WAIT_MS - 200);
  await close();
});

it('climbs one ladder for an incident that reopens before anybody has answered', async () => {
  const { sent, startWorker, client, startIncident, close } = await rig('reopened', {
    mode: 'observe',
    ladder: simulatedPolicy.ladder,
  });
  const stop = await startWorker();
  const id = 'incident.shop.database-connection-issues';
  for (let runs = 1; runs <= 2; runs += 1)
    expect(await (await startIncident(id)).result()).toMatchObject({ outcome: 'handed-over' });
  const ladderRun = client.workflow.getHandle(`${id}.escalation.0`);
  await until(async () => (await ladderRun.query<Status>('status')).timeline.some(({ kind }) => kind === 'reopened'));
  expect(sent.map(({ page }) => page.person)).toEqual(['responder']);
  await ladderRun.signal('takeOver', { by: 'lead' });
  expect(await ladderRun.result()).toMatchObject({ outcome: 'taken-over' });
  await stop();
  await close();
});

it('ends the run whose proposal it asks about when somebody takes over at the ladder, which ends with it', async () => {
  const { sent, startWorker, client, startIncident, close } = await rig('taken-over', {
    ladder: simulatedPolicy.ladder,
  });
  const stop = await startWorker();
  const run = await startIncident('incident.shop.performance-degradation');
  await until(() => sent.length === 1);
  const ladderRun = client.workflow.getHandle(`${run.workflowId}.escalation.1`);
  await ladderRun.signal('takeOver', { by: 'responder', text: 'I know this one' });
  expect(await run.result()).toMatchObject({ outcome: 'taken-over', note: expect.stringContaining('responder') });
  await stop();
  await close();
});
