/**
 * Procedure: the last word of an incident into the record, for as long as the record is away.
 * Started by every incident at its end and left behind by it, so that an incident never waits for Supabase.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { Status } from '../src/contracts/index.ts';
import type { RecordKeeper } from '../src/contracts/ports.ts';
import { projection } from '../src/runbook/index.ts';

const { record } = proxyActivities<RecordKeeper>(projection);

export async function recordIncident(status: Status): Promise<void> {
  await record(status);
}
