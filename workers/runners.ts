import { Worker, type ActivityInterceptorsFactory, type NativeConnection } from '@temporalio/worker';
import type { Config } from '../src/config.ts';
import type { Settings } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';
import { TUNING } from './tuning.ts';

/**
 * The settings with the environments whose runner serves this task queue, and no others; undefined where it is the control
 * plane's. @throws Error where it is nobody's.
 */
export function settingsOfRunner(
  settings: Settings,
  taskQueue: string,
  { HOLDFAST_TASK_QUEUE }: Config,
): Settings | undefined {
  if (taskQueue === HOLDFAST_TASK_QUEUE) return undefined;
  const services = settings.services.map((service) => ({
    ...service,
    environments: Object.fromEntries(
      Object.entries(service.environments).filter(([, environment]) => environment.taskQueue === taskQueue),
    ),
  }));
  if (services.every(({ environments }) => Object.keys(environments).length === 0))
    throw new Error(`no environment of the configuration names the task queue "${taskQueue}"`);
  return { ...settings, services };
}

/** A worker in the network of some environments: it runs no workflow, and does there what they need done. */
export const createRunner = (of: {
  connection: NativeConnection;
  config: Config;
  activities: Partial<Ports>;
  taskQueue: string;
  interceptors: ActivityInterceptorsFactory[];
}): Promise<Worker> =>
  Worker.create({
    connection: of.connection,
    namespace: of.config.TEMPORAL_NAMESPACE,
    dataConverter: of.config.temporal.dataConverter,
    taskQueue: of.taskQueue,
    activities: of.activities,
    interceptors: { activity: of.interceptors },
    ...TUNING,
  });
