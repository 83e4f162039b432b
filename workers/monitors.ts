import type { Client } from '@temporalio/client';
import type { Settings } from '../src/contracts/index.ts';
import type { monitorService, WatchOrder } from '../workflows/index.ts';

/**
 * Start the monitor of every service that asks for one; a running one goes on, with what is asked now. The first of them asks
 * the sources of alerts, for all.
 */
export async function startMonitors({ workflow }: Client, taskQueue: string, settings: Settings): Promise<void> {
  let asks = true;
  for (const { name: service, environments } of settings.services) {
    const monitored = Object.entries(environments).filter(([, { monitor }]) => monitor !== undefined);
    const of = monitored[0]?.[1].monitor;
    if (of === undefined) continue;
    const { every, askForAlerts } = of;
    await workflow.signalWithStart<typeof monitorService, [WatchOrder]>('monitorService', {
      workflowId: `monitor.${service}`,
      taskQueue,
      args: [{ service, every, watched: [] }],
      signal: 'watch',
      signalArgs: [
        { every, environments: monitored.map(([environment]) => environment), ...(asks && { askForAlerts }) },
      ],
    });
    asks = false;
  }
}
