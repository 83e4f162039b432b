import type { Client } from '@temporalio/client';
import type { Settings } from '../src/contracts/index.ts';
import type { monitorService } from '../workflows/index.ts';

/** Start the monitor of every service that asks for one; a running one goes on. */
export async function startMonitors({ workflow }: Client, taskQueue: string, settings: Settings): Promise<void> {
  for (const { name: service, environments } of settings.services) {
    const monitored = Object.entries(environments).filter(([, { monitor }]) => monitor !== undefined);
    const every = monitored[0]?.[1].monitor?.every;
    if (every === undefined) continue;
    await workflow.start<typeof monitorService>('monitorService', {
      workflowId: `monitor.${service}`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [{ service, every, watched: monitored.map(([environment]) => ({ environment, over: 0, under: 0 })) }],
    });
  }
}
