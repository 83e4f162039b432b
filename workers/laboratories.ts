import { Worker, type ActivityInterceptorsFactory, type NativeConnection } from '@temporalio/worker';
import type { Config } from '../src/config.ts';
import type { Settings } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';
import { TUNING } from './tuning.ts';

/** Workers of the laboratories' own task queues, where this machine has a browser: one measurement at a time each. */
export async function createLaboratories(of: {
  connection: NativeConnection;
  config: Config;
  settings: Settings;
  activities: Partial<Ports>;
  interceptors: ActivityInterceptorsFactory[];
}): Promise<Worker[]> {
  const { connection, config, settings, activities, interceptors } = of;
  const { labVitals } = activities;
  if (labVitals === undefined) return [];
  const environments = settings.services.flatMap(({ environments: all }) => Object.values(all));
  const queues = new Set(environments.flatMap(({ performance: { laboratory } }) => laboratory?.taskQueue ?? []));
  return await Promise.all(
    [...queues].map((taskQueue) =>
      Worker.create({
        connection,
        namespace: config.TEMPORAL_NAMESPACE,
        dataConverter: config.temporal.dataConverter,
        taskQueue,
        activities: { labVitals },
        interceptors: { activity: interceptors },
        ...TUNING,
        maxConcurrentActivityTaskExecutions: 1,
      }),
    ),
  );
}
