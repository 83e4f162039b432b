import { Client, Connection } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { LastRun } from '../../src/contracts/index.ts';
import { createActivities } from '../../activities/past-runs.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

const pastOf = (connection: Connection) => {
  const activity = new MockActivityEnvironment({}, { client: new Client({ connection }) });
  const activities = createActivities();
  return {
    lastRun: (of: { workflowId: string }): Promise<LastRun | null> =>
      activity.run((asked: typeof of) => activities.lastRun(asked), of),
    newestRuns: (of: { workflowIds: string[] }): Promise<Record<string, string>> =>
      activity.run((asked: typeof of) => activities.newestRuns(asked), of),
  };
};

it('tells how the newest run of an incident that has closed ended, from what it left in its memo', async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const connection = await Connection.connect({ address });
  const { workflow } = new Client({ connection });
  const past = pastOf(connection);
  const workflowId = 'incident.shop.high-error-rate';
  const at = '2026-11-27T05:00:00.000Z';
  const rollBack = { kind: 'roll-back' as const, target: 'v2', summary: 'Roll back', result: 'not-helped' as const };
  const attempts = [{ ...rollBack, at, endedAt: at }];
  await expect(past.lastRun({ workflowId })).resolves.toBeNull();

  const run = async (memo: Record<string, unknown>) =>
    await workflow.start('highErrorRate', { workflowId, taskQueue: 'nobody', memo });
  const first = await run({ outcome: 'not-recovered', note: 'all was tried', attempts, deadline: null });
  await first.terminate();
  await until(async () => (await past.lastRun({ workflowId })) !== null);
  const known = { runId: first.firstExecutionRunId, outcome: 'not-recovered', note: 'all was tried', attempts };
  await expect(past.lastRun({ workflowId })).resolves.toMatchObject(known);

  const second = await run({});
  await expect(past.lastRun({ workflowId })).resolves.toMatchObject(known); // the open one is not the last
  const newest = await past.newestRuns({ workflowIds: [workflowId, 'incident.shop.triage'] });
  expect(newest).toEqual({ [workflowId]: (await second.describe()).startTime.toISOString() });
  await second.terminate();
  await until(async () => (await past.lastRun({ workflowId }))?.runId === second.firstExecutionRunId);
  expect(await past.lastRun({ workflowId })).not.toHaveProperty('outcome');
  await expect(past.lastRun({ workflowId: "incident.o'brien" })).resolves.toBeNull();
  await connection.close();
});

it('says that Temporal is away', async () => {
  const connection = Connection.lazy({ address: '127.0.0.1:1', interceptors: [] });
  const asked = pastOf(connection).lastRun({ workflowId: 'incident.shop.triage' });
  await expect(asked).rejects.toMatchObject({ type: 'Unavailable' });
  await connection.close();
});
