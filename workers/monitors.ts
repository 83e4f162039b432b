import type { Client } from '@temporalio/client';
import type { Settings } from '../src/contracts/index.ts';
import type { monitorService, WatchOrder } from '../workflows/index.ts';

/** Start the monitor of every service that asks for one; a running one goes on, with what is asked now. */
export async function startMonitors({ workflow }: Client, taskQueue: string, settings: Settings): Promise<void> {
  for (const { name: service, environments } of settings.services) {
    const monitored = Object.entries(environments).filter(([, { monitor }]) => monitor !== undefined);
    const every = monitored[0]?.[1].monitor?.every;
    if (every === undefined) continue;
    await workflow.signalWithStart<typeof monitorService, [WatchOrder]>('monitorService', {
      workflowId: `monitor.${service}`,
      taskQueue,
      args: [{ service, every, watched: [] }],
      signal: 'watch',
      signalArgs: [{ every, environments: monitored.map(([environment]) => environment) }],
    });
  }
}
