import type { Client } from '@temporalio/client';
import type { Scope, Settings } from '../src/contracts/index.ts';
import { runbookCatalogue } from '../src/runbook/catalogue.ts';
import * as workflows from '../workflows/index.ts';

/** Each service in the environment that counts: its production, else its first. */
const scopesOf = ({ services }: Settings): Scope[] =>
  services.flatMap(({ name: service, environments }) => {
    const environment = 'production' in environments ? 'production' : Object.keys(environments)[0];
    return environment === undefined ? [] : [{ service, environment }];
  });

/** Start the weekly digest of every service; one that runs goes on. */
export async function startDigests({ workflow }: Client, taskQueue: string, settings: Settings): Promise<void> {
  for (const scope of scopesOf(settings))
    await workflow.start<typeof workflows.weeklyDigest>('weeklyDigest', {
      workflowId: `digest.${scope.service}`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [scope],
    });
}

/** Start the drills of every service; those that run go on, with the runbooks that there are now. */
export async function startDrills({ workflow }: Client, taskQueue: string, settings: Settings): Promise<void> {
  const runbooks = runbookCatalogue(workflows).map(({ name, type, title }) => ({ name, type, title }));
  for (const scope of scopesOf(settings))
    await workflow.signalWithStart('drillRunbooks', {
      workflowId: `drills.${scope.service}`,
      taskQueue,
      args: [{ ...scope, runbooks: [] } satisfies workflows.DrillPlan],
      signal: workflows.runbooksSignal,
      signalArgs: [runbooks],
    });
}
