/**
 * Procedure: the last word of an incident into the record, for as long as the record is away; of a deployment also to the
 * code-hosting service that shows it, for a day. Started by every run at its end and left behind by it, so that none waits for them.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { Status } from '../src/contracts/index.ts';
import type { CodeHost, RecordKeeper } from '../src/contracts/ports.ts';
import { projection, shownOf } from '../src/runbook/index.ts';

const { record } = proxyActivities<RecordKeeper>(projection);

const host = proxyActivities<CodeHost>({ ...projection, scheduleToCloseTimeout: '1 day' });

export async function recordIncident(status: Status): Promise<void> {
  await Promise.all([record(status), show(status).catch(() => undefined)]); // its history says what was not shown, and why
}

async function show(status: Status): Promise<void> {
  const { incident, release } = status;
  const shown = shownOf(status);
  if (shown === undefined || release === undefined) return;
  await host.showDeployment(shown);
  if (release.publish !== true) return;
  await host.publishRelease({ service: incident.service, environment: incident.environment, ...release });
}
