/** Grants of a real safety authority, on a real Temporal. */
import { Client, Connection } from '@temporalio/client';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../../activities/service-control.ts';
import type { ChangeRequest } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { longWork, mitigation } from '../../src/runbook/activity-options.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { settings } from './settings.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const scope = { service: 'shop', environment: 'production' };
const stateDir = scratchFolder();
let client: Client;
let native: NativeConnection;
let stop: () => Promise<void>;
beforeAll(async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  client = new Client({ connection: await Connection.connect({ address }) });
  native = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection: native,
    taskQueue: 'holdfast',
    workflowBundle: await workflowBundle('.holdfast'),
  });
  const running = worker.run();
  stop = async () => {
    worker.shutdown();
    await running;
  };
}, 120_000);
afterAll(async () => {
  await stop();
  await native.close();
  await client.connection.close();
  await removeScratch(stateDir);
});

const control = createActivities({ HOLDFAST_TASK_QUEUE: 'holdfast' }, settings);
const asActivity = <T>(act: () => Promise<T>): Promise<T> =>
  new MockActivityEnvironment({}, { client }).run(act) as Promise<T>;
const ask = (key: string, change: Partial<ChangeRequest> = {}) => {
  const request = { ...scope, key, holder: 'incident.shop.other/run', kind: 'scale' as const, summary: key, ...change };
  return asActivity(() => control.requestChange(request));
};
const tell = (key: string) => asActivity(() => control.reportChange({ ...scope, key, result: 'failed' }));
const ledger = () => asActivity(() => control.ledger(scope));

/** A run that nobody works at. */
const startHolder = async () => {
  const workflowId = 'deployment.shop.production';
  const run = await client.workflow.start('nobody', { workflowId, taskQueue: 'nobody' });
  return { run, holder: `${workflowId}/${run.firstExecutionRunId}` };
};

it('ends what a run has held that was terminated as soon as another change asks, and not before', async () => {
  const { run, holder } = await startHolder();
  expect(await ask('left', { kind: 'deploy', holder })).toEqual({ granted: true, fence: 1 });
  expect(await ask('next')).toMatchObject({ granted: false, because: 'busy' });
  await run.terminate('it hung');
  expect(await ask('next')).toEqual({ granted: true, fence: 2 });
  expect((await ledger()).changes).toMatchObject([
    { key: 'next', result: 'open' },
    { key: 'left', result: 'unverified' },
  ]);
  await tell('next');
});

it('takes a holder of which nothing can be said for one that runs', async () => {
  await ask('held', { holder: 'incident.shop.other/no-run-id' });
  expect(await ask('next-one')).toMatchObject({ granted: false, because: 'busy' });
  await tell('held');
});

it.each([
  ['an act', 'scale', mitigation],
  ['the making of an index', 'create-index', longWork],
  ['a deployment', 'deploy', longWork],
] as const)('gives %s a lease that outlasts all of its attempts and its verification', async (_, kind, options) => {
  expect(await ask(kind, { kind })).toMatchObject({ granted: true });
  const [change] = (await ledger()).changes;
  await tell(kind);
  const leaseMs = Date.parse(change?.leaseEndsAt ?? '') - Date.parse(change?.at ?? '');
  const { measure } = settings.services[0]!.environments['production']!;
  const verificationMs = measure.windowSeconds * 1000 + 4 * msToNumber(measure.lasting);
  expect(leaseMs).toBeGreaterThan(msToNumber(options.scheduleToCloseTimeout) + verificationMs);
});

it.each(['observe', 'propose'] as const)(
  'grants nothing in mode %s, whoever asks, also no further step',
  async (mode) => {
    const [shop] = settings.services;
    const production = shop?.environments['production'];
    if (shop === undefined || production === undefined) throw new Error('it is not in the settings');
    const environments = { ...shop.environments, production: { ...production, mode } };
    const held = createActivities(
      { HOLDFAST_TASK_QUEUE: 'holdfast' },
      { ...settings, services: [{ ...shop, environments }] },
    );
    const [key, change] = [
      `begun-before-${mode}`,
      { kind: 'deploy', holder: `deployment.shop.production/${mode}` } as const,
    ];
    expect(await ask(key, change)).toMatchObject({ granted: true });
    for (const kind of ['deploy', 'roll-back', 'scale'] as const) {
      const request = { ...scope, ...change, key, kind, summary: key, override: true };
      const refused = { granted: false, because: 'mode', reason: expect.stringContaining(`shop is in mode ${mode}`) };
      expect(await asActivity(() => held.requestChange(request))).toEqual(refused);
    }
    await tell(key);
  },
);
