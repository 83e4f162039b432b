import type { Client } from '@temporalio/client';
import { createNotifier } from '../../src/channels/notifier.ts';
import { withinDeadline } from '../../src/gateway/deliver.ts';
import { createPager } from '../../src/gateway/pager.ts';
import { startWatchdog } from '../../src/gateway/watchdog.ts';
import { readPages } from '../../src/pages.ts';
import * as rig from './rig.ts';
import { forEachTest } from './process-rig.ts';
import { TASK_QUEUE } from './temporal-rig.ts';
import { until } from '../support/until.ts';

const LATE_MS = 500;

const of = forEachTest();

const watch = (client: Client, lateMs = LATE_MS) => {
  const watchdog = startWatchdog({
    stateDir: of.stateDir,
    leads: () => true,
    client,
    settings: rig.settings,
    pageFirstLevel: createPager({
      settings: rig.settings,
      notifier: createNotifier({ HOLDFAST_STATE_DIR: of.stateDir }, rig.settings),
      log: () => undefined,
    }).pageFirstLevel,
    log: () => undefined,
    timing: { everyMs: 50, lateMs },
  });
  return { ...watchdog, [Symbol.asyncDispose]: watchdog.stop };
};
const pages = () => readPages(of.stateDir);
const start = (workflowId: string, run: { type?: string; taskQueue?: string; memo?: Record<string, unknown> } = {}) =>
  of.temporal.client.workflow.start(run.type ?? 'highErrorRate', {
    workflowId,
    taskQueue: run.taskQueue ?? TASK_QUEUE,
    args: [{ service: 'shop' }],
    ...(run.memo !== undefined && { memo: run.memo }),
  });
/** Resolves when whoever watches has looked at all there is a few times more. */
const looked = async () => {
  const canary = `canary-${Date.now()}`;
  await start(canary, { memo: { deadline: new Date(0).toISOString() } });
  await until(() => pages().some(({ text }) => text.includes(`${canary}: should have gone on by`)));
};

it('pages the first level once about an incident whose workflow task fails again and again', async () => {
  await start('incident.shop.broken', { type: 'alwaysFails' });
  await using _ = watch(of.temporal.client, 600_000);
  await until(() => pages().length > 0);
  await looked();
  const about = pages().filter(({ text }) => text.includes('incident.shop.broken'));
  expect(about).toEqual([
    expect.objectContaining({ person: 'responder', level: 'team', severity: 'critical', service: 'shop' }),
  ]);
  expect(about[0]?.text).toContain('its workflow task has failed');
});

it('pages about what no worker takes, and about what has passed its deadline, and not about what waits in peace', async () => {
  await start('incident.shop.in-peace', { memo: { deadline: new Date(Date.now() + 600_000).toISOString() } });
  await start('incident.shop.unserved', { taskQueue: 'nobody' });
  await using _ = watch(of.temporal.client);
  await looked();
  await until(() => pages().some(({ text }) => text.includes('incident.shop.unserved: no worker takes')));
  expect(pages().filter(({ text }) => text.includes('in-peace'))).toEqual([]);
});

it('does not page again for the same when the gateway starts anew', async () => {
  await start('incident.shop.late', { memo: { deadline: new Date(0).toISOString() } });
  {
    await using _ = watch(of.temporal.client);
    await until(() => pages().length > 0);
  }
  await using _ = watch(of.temporal.client);
  await looked();
  expect(pages().filter(({ text }) => text.includes('incident.shop.late'))).toHaveLength(1);
});

it('pages again about a run that was stuck, went on and is stuck again', async () => {
  const { client } = of.temporal;
  const taskQueue = 'sometimes';
  const run = await start('incident.shop.again', { taskQueue });
  const about = () => pages().filter(({ text }) => text.includes('incident.shop.again: no worker takes'));
  await using watchdog = watch(client);
  await until(() => about().length === 1);
  const queue = { namespace: client.options.namespace, taskQueue: { name: taskQueue }, identity: 'a worker' };
  const poll = () => client.workflowService.pollWorkflowTaskQueue(queue);
  const { taskToken } = await withinDeadline(client, poll, 60_000);
  await client.workflowService.respondWorkflowTaskCompleted({ ...queue, taskToken });
  await until(() => watchdog.watched()?.stuck === 0);
  expect(about()).toHaveLength(1);
  await run.signal('addAlerts');
  await until(() => about().length === 2);
});

it('does not page again about what was stuck before and after Temporal was away', async () => {
  await start('incident.shop.lasting', { memo: { deadline: new Date(0).toISOString() } });
  await using watchdog = watch(of.temporal.client);
  await until(() => pages().some(({ text }) => text.includes('incident.shop.lasting')));
  await of.temporal.stop();
  await until(() => watchdog.watched()?.temporalAnswers === false);
  await of.temporal.start();
  await looked();
  expect(pages().filter(({ text }) => text.includes('incident.shop.lasting'))).toHaveLength(1);
});
