import { condition, defineQuery, defineSignal, setHandler } from '@temporalio/workflow';
import type { AlertBatch, Incident } from '../../src/contracts/index.ts';

export interface Counted {
  incident: Incident;
  distinct: number;
  deliveries: number;
  signals: number;
  /** Status of the last batch. */
  last: AlertBatch['status'] | undefined;
}

/** Stands open and counts the alerts it is told, a batch once, until it is told to finish. */
async function countAlerts(incident: Incident): Promise<void> {
  const counted: Counted = { incident, distinct: 0, deliveries: 0, signals: 0, last: undefined };
  const seen = new Set<string>();
  let finished = false;
  setHandler(defineQuery<Counted>('counted'), () => counted);
  setHandler(defineSignal('finish'), () => void (finished = true));
  setHandler(defineSignal<[AlertBatch]>('addAlerts'), (batch) => {
    counted.signals += 1;
    if (seen.has(batch.batchId)) return;
    seen.add(batch.batchId);
    counted.distinct += batch.distinct;
    counted.deliveries += batch.deliveries;
    counted.last = batch.status;
  });
  await condition(() => finished);
}

export const highErrorRate = countAlerts;
export const triage = countAlerts;

/** Its workflow task fails whenever it is tried. */
export async function alwaysFails(): Promise<void> {
  throw new TypeError('this is a bug');
}
