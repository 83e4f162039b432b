/** Deployments of a real Temporal, as the monitor sees them. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { createActivities } from '../../activities/service-control.ts';
import { createSimulator } from '../../activities/simulator.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { policyOf, skippedTime } from '../support/skipped-time.ts';
import { settings } from './settings.ts';

const scope = { service: 'shop', environment: 'staging' };

it('says that there was no deployment, that one runs, how it ended, and that one that was broken off has failed', async () => {
  const time = await skippedTime();
  const { env } = time;
  const variables = { HOLDFAST_TASK_QUEUE: 'deployments' };
  const activities = createActivities(variables, settings);
  const activity = new MockActivityEnvironment({}, { client: env.client });
  const lastDeployment = (of: typeof scope) =>
    activity.run((asked: typeof scope) => activities.lastDeployment(asked), of);
  expect(await lastDeployment(scope)).toBeUndefined();

  const deployment = { ...policyOf().deployment, procedure: 'staging' } as const;
  const { ports } = createSimulator({ policy: async () => policyOf({ deployment }) });
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: variables.HOLDFAST_TASK_QUEUE,
    workflowBundle: await workflowBundle('.holdfast'),
    activities: ports,
    sinks: { failures: { workflowFailed: { fn: () => undefined } } },
  });
  const start = () =>
    env.client.workflow.start('stagingDeployment', {
      workflowId: 'deployment.shop.staging',
      taskQueue: variables.HOLDFAST_TASK_QUEUE,
      args: [{ ...scope, orderedBy: 'cli:responder' }],
    });
  await worker.runUntil(async () => {
    const first = await start();
    expect(await lastDeployment(scope)).toEqual({
      runId: first.firstExecutionRunId,
      startedAt: expect.any(String),
      note: '',
    });
    await first.result();
    const released = {
      runId: first.firstExecutionRunId,
      outcome: 'released',
      note: expect.stringContaining('1.4.0 runs'),
    };
    expect(await lastDeployment(scope)).toMatchObject(released);
    expect(await lastDeployment(scope)).toMatchObject({ ...released, endedAt: expect.any(String) });

    const second = await start();
    await second.terminate('the pipeline hung');
    expect(await lastDeployment(scope)).toMatchObject({
      runId: second.firstExecutionRunId,
      outcome: 'failed',
      note: 'the pipeline hung',
    });
  });
  await time.close();
});
