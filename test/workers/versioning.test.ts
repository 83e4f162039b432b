import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import { builds, drainBuild, useBuild } from '../../src/cli/workers.ts';
import type { Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { buildIdOf, useFirstBuild, versioned } from '../../workers/versioning.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { incident, policyOf, signedDecision } from '../support/skipped-time.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));
const OPEN = 20;

it('ends what is open on the build that it began on, while new incidents run on the next; and the same on the way back', async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const [connection, native] = [await Connection.connect({ address }), await NativeConnection.connect({ address })];
  const client = new Client({ connection });
  const bundle = await workflowBundle('.holdfast');
  const [a, b] = [bundle, { code: `// the next build\n${bundle.code}` }];
  const [idA, idB] = [buildIdOf(a), buildIdOf(b)];
  const startWorker = async (of: typeof bundle) => {
    const worker = await Worker.create({
      connection: native,
      taskQueue: 'holdfast',
      workflowBundle: of,
      activities: createSimulator({ policy: async () => policyOf() }).ports,
      sinks: { failures: { workflowFailed: { fn: () => undefined } } },
      ...versioned(of),
    });
    const running = worker.run();
    return async () => {
      worker.shutdown();
      await running;
    };
  };
  const current = async (): Promise<string | undefined> => (await builds(client)).find((one) => one.current)?.buildId;
  const open = async (name: string) => {
    const handles = await Promise.all(
      Array.from({ length: OPEN }, (_, i) =>
        client.workflow.start('highErrorRate', {
          workflowId: `incident.shop.${name}-${i}`,
          taskQueue: 'holdfast',
          args: [incident()],
        }),
      ),
    );
    const waits = async (handle: (typeof handles)[number]) =>
      (await handle.query<Status>('status')).phase === 'waiting';
    for (const handle of handles) await until(() => waits(handle));
    return handles;
  };
  type Handle = Awaited<ReturnType<typeof open>>[number];
  const buildsOf = async (handle: Handle): Promise<(string | undefined)[]> => {
    const { events } = await handle.fetchHistory();
    const seen = (events ?? []).map((event) => event.workflowTaskCompletedEventAttributes?.deploymentVersion?.buildId);
    return [...new Set(seen.filter((one) => one !== undefined && one !== null))];
  };
  const end = async (handles: Handle[]) => {
    for (const handle of handles) {
      const status = await handle.query<Status>('status');
      await handle.executeUpdate('decide', { args: [signedDecision(status, 'responder', 'declined')] });
      await handle.result();
    }
    return await Promise.all(handles.map(buildsOf));
  };

  const endA = await startWorker(a);
  const first = await Promise.all([useFirstBuild(client, idA), useFirstBuild(client, idA)]); // of two workers
  expect(first).toContain(true);
  expect(await current()).toBe(idA);
  const control = await client.workflow.start('serviceControl', {
    workflowId: 'control.shop',
    taskQueue: 'holdfast',
    args: [{ service: 'shop', fence: 0, killSwitch: { on: false, by: '', reason: '' }, ledgers: {} }],
  });
  const onA = await open('a');

  const endB = await startWorker(b);
  await until(async () => (await builds(client)).length === 2);
  expect(await useFirstBuild(client, idB)).toBe(false);
  expect(await current()).toBe(idA);
  await useBuild(client, idB);
  expect(await current()).toBe(idB);
  const onB = await open('b');
  expect(await end(onA)).toEqual(onA.map(() => [idA]));

  await useBuild(client, idA); // the next build is taken back
  const again = await open('again');
  expect(await end(onB)).toEqual(onB.map(() => [idB]));
  expect(await end(again)).toEqual(again.map(() => [idA]));

  await useBuild(client, idB);
  const told: number[] = [];
  await drainBuild(client, idA, (count) => void told.push(count));
  expect(told.at(-1)).toBe(0);
  await endA();
  expect(await control.query('control')).toMatchObject({ service: 'shop' }); // the run after the one of build A
  expect(await buildsOf(control)).toEqual([idB]);
  await expect(drainBuild(client, idB, () => undefined)).rejects.toThrow('is the current build');
  await endB();
  await native.close();
  await connection.close();
}, 240_000);
