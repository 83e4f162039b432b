/** Laboratories beside the worker itself, over a real Temporal: a browser that takes minutes holds up nothing else. */
import { heartbeat, sleep } from '@temporalio/activity';
import { NativeConnection } from '@temporalio/worker';
import { createSimulator, simulatedPolicy } from '../../activities/simulator.ts';
import { loadConfig } from '../../src/config.ts';
import { Incident, Settings, type Status } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { createLaboratories } from '../../workers/laboratories.ts';
import { settings as shop } from '../activities/settings.ts';
import { until } from '../support/until.ts';
import { startTemporalRig, TASK_QUEUE } from '../gateway/temporal-rig.ts';

const LABORATORY = 'laboratory';
const performance = { laboratory: { pages: ['/', '/cart'], taskQueue: LABORATORY } };
const policy = {
  ...simulatedPolicy,
  performance: { bundle: true, caching: false, laboratory: { taskQueue: LABORATORY, pages: 2 } },
};
const production = { ...shop.services[0]!.environments['production'], performance };
const settings = Settings.parse({ ...shop, services: [{ name: 'shop', environments: { production } }] });
const incident = (service: string) =>
  Incident.parse({
    service,
    environment: 'production',
    severity: 'critical',
    summary: 'pages are slow',
    openedAt: new Date().toISOString(),
    openedBy: 'alert:test',
  });
const config = loadConfig({ HOLDFAST_STATE_DIR: '/nonexistent' });

it('measures one at a time on a task queue of its own, for as long as its pages may take, while the worker serves all else', async () => {
  const { ports } = createSimulator({
    policy: async () => policy,
    labVitals: async () => {
      throw failure('NotConfigured', 'this is the worker of all else');
    },
  });
  const of = { workflowBundle: await workflowBundle('.holdfast'), activities: ports };
  const sinks = { failures: { workflowFailed: { fn: () => undefined } } };
  await using temporal = await startTemporalRig({ ...of, sinks, maxConcurrentActivityTaskExecutions: 1 });
  const seen = { begun: 0, now: 0, most: 0 };
  let done = false;
  const connection = await NativeConnection.connect({ address: temporal.address });
  const activities = {
    labVitals: async () => {
      seen.begun += 1;
      seen.most = Math.max(seen.most, (seen.now += 1));
      for (; !done; await sleep(50)) heartbeat();
      seen.now -= 1;
      return [];
    },
  };
  const laboratories = await createLaboratories({ connection, config, settings, activities, interceptors: [] });
  expect(laboratories.map(({ options }) => options.taskQueue)).toEqual([LABORATORY]);
  const running = laboratories.map((worker) => worker.run());
  try {
    const start = async (type: string, service: string) => {
      const options = { workflowId: `${type}.${service}`, taskQueue: TASK_QUEUE, args: [incident(service)] };
      const handle = await temporal.client.workflow.start(type, options);
      return { handle, status: () => handle.query<Status>('status') };
    };
    const has = ({ findings }: Status, check: string) => findings.some((one) => one.check === check);
    const measured = await start('performanceDegradation', 'shop');
    await until(() => Promise.resolve(seen.begun === 1));
    const next = await start('performanceDegradation', 'mail');
    await until(async () => has(await next.status(), 'recent code changes'));
    const other = await start('highErrorRate', 'shop');
    await until(async () => (await other.status()).phase === 'waiting');
    for (const { status } of [measured, next]) {
      expect(has(await status(), 'web vitals in the laboratory')).toBe(false);
      expect(has(await status(), 'recent code changes')).toBe(true);
    }
    expect(seen).toEqual({ begun: 1, now: 1, most: 1 });

    done = true;
    await until(async () => has(await measured.status(), 'top suspect') && has(await next.status(), 'top suspect'));
    expect(seen).toEqual({ begun: 2, now: 0, most: 1 });
    const { events } = await next.handle.fetchHistory();
    const asked = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name === 'labVitals'
        ? [{ queue: scheduled.taskQueue?.name, seconds: Number(scheduled.startToCloseTimeout?.seconds) }]
        : [],
    );
    expect(asked).toEqual([{ queue: LABORATORY, seconds: 2 * 10 * 60 }]);
  } finally {
    done = true;
    await temporal.clear();
    for (const worker of laboratories) worker.shutdown();
    await Promise.all(running);
    await connection.close();
  }
}, 120_000);

it('has none where this machine has no browser', async () => {
  const connection = undefined as unknown as NativeConnection; // nothing is asked of it
  expect(await createLaboratories({ connection, config, settings, activities: {}, interceptors: [] })).toEqual([]);
});
