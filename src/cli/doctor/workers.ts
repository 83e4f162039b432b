import type { Client } from '@temporalio/client';
import { builds, type Build } from '../workers.ts';
import { failed, ok, warning, type Finding } from './finding.ts';

/** Who serves the task queue of the control plane, and those of the `runners`. */
export async function checkWorkers(client: Client, queue: string, runners: string[]): Promise<Finding[]> {
  const found = await Promise.all([controlPlane(client, queue), ...runners.map((name) => runner(client, name))]);
  return found.flat();
}

/** Where workers are versioned, each build that runs begin or are open on must have some. */
async function controlPlane(client: Client, queue: string): Promise<Finding[]> {
  const [workflows, activities] = await Promise.all([pollersOf(client, queue, 1), pollersOf(client, queue, 2)]);
  const served = [...workflows, ...activities].map(({ deploymentOptions }) => deploymentOptions?.buildId ?? '');
  const stranded = strandedOn(await builds(client), served);
  if (stranded.length > 0) return stranded;
  return [
    workflows.length > 0
      ? ok('workers', `${workflows.length} serve the task queue ${queue}`)
      : warning('workers', `nobody serves the task queue ${queue}`, 'start one with: npm run worker'),
  ];
}

/** What runs need a build for which is not among the `served`. */
export function strandedOn(known: Build[], served: string[]): Finding[] {
  const needed = known.filter(({ current, open }) => current || open > 0);
  return needed
    .filter(({ buildId }) => !served.includes(buildId))
    .map(({ buildId, current, open }) => {
      const says = `nobody serves build ${buildId}${current ? ', on which new runs begin' : ''}: ${open} are open on it`;
      const otherwise = current ? ', or have new runs begin on another: "holdfast worker use <build>"' : '';
      return failed('workers', says, `start workers of the version that has this build${otherwise}`);
    });
}

async function runner(client: Client, queue: string): Promise<Finding[]> {
  const { length } = await pollersOf(client, queue, 2);
  return [
    length > 0
      ? ok('runners', `${length} serve the task queue ${queue}`)
      : warning(
          'runners',
          `nobody serves the task queue ${queue}: what its environments need cannot be read or done`,
          `start one in their network: npm run worker -- --task-queue ${queue}`,
        ),
  ];
}

/** Who polls a task queue, or did within the last minutes, for workflows (1) or activities (2). */
async function pollersOf({ workflowService, options: { namespace } }: Client, name: string, taskQueueType: 1 | 2) {
  const { pollers } = await workflowService.describeTaskQueue({ namespace, taskQueue: { name }, taskQueueType });
  return pollers ?? [];
}
