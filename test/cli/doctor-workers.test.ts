import { Client, Connection } from '@temporalio/client';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { checkTemporal } from '../../src/cli/doctor/temporal.ts';
import { strandedOn } from '../../src/cli/doctor/workers.ts';
import { builds, useBuild } from '../../src/cli/workers.ts';
import { readConfig } from '../../src/config.ts';
import { DEPLOYMENT } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

const VERSIONED = 2;
const POLL_MS = 60_000;
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

it('fails where new runs begin on a build that nobody serves, unless the workers start later', async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const { workflowService } = client;
  const config = readConfig({ HOLDFAST_STATE_DIR: stateDir, TEMPORAL_ADDRESS: address });
  const judged = async (runners: 'later' | [] = []): Promise<Finding[]> =>
    (await checkTemporal(config, false, runners)).filter(({ check }) => check === 'workers');
  expect(await judged()).toMatchObject([{ state: 'warning', says: 'nobody serves the task queue holdfast' }]);

  const worker = new AbortController();
  const serving = connection.withAbortSignal(worker.signal, () =>
    connection.withDeadline(Date.now() + POLL_MS, () =>
      workflowService.pollWorkflowTaskQueue({
        namespace: 'default',
        taskQueue: { name: 'holdfast' },
        identity: 'worker',
        deploymentOptions: { deploymentName: DEPLOYMENT, buildId: 'served', workerVersioningMode: VERSIONED },
      }),
    ),
  );
  await until(async () => (await builds(client)).length === 1);
  await useBuild(client, 'served');
  await until(async () => (await judged())[0]?.state === 'ok'); // Temporal knows the build before the worker

  await workflowService.setWorkerDeploymentCurrentVersion({
    namespace: 'default',
    deploymentName: DEPLOYMENT,
    buildId: 'gone',
    allowNoPollers: true,
    identity: 'test',
  });
  expect(await judged()).toMatchObject([
    {
      state: 'failed',
      says: 'nobody serves build gone, on which new runs begin: 0 are open on it',
      remedy: expect.stringContaining('holdfast worker use'),
    },
  ]);
  expect(await judged('later')).toEqual([]);
  worker.abort();
  await expect(serving).rejects.toThrow();
  await connection.close();
});

it('fails where something is open on a build that nobody serves any more, and not where nothing is', () => {
  const known = [
    { buildId: 'new', current: true, open: 3 },
    { buildId: 'old', current: false, open: 2 },
    { buildId: 'older', current: false, open: 0 },
  ];
  expect(strandedOn(known, ['new'])).toMatchObject([
    { state: 'failed', says: 'nobody serves build old: 2 are open on it', remedy: expect.stringContaining('start') },
  ]);
  expect(strandedOn(known, ['new', 'old'])).toEqual([]);
});
