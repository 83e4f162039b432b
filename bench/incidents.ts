import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { AlertBatch } from '../src/contracts/index.ts';

/**
 * What the histories of all incidents, with their ladders, hold: an alert counts once for each batch, however often that was
 * sent. @throws Error where a batch stands in two incidents.
 */
export async function countIncidents(
  client: Client,
): Promise<{ runs: number; ladders: number; ids: number; distinct: number; longest: number }> {
  const counted = { runs: 0, ladders: 0, ids: 0, distinct: 0, longest: 0 };
  const [home, ids] = [new Map<string, string>(), new Set<string>()];
  for await (const { workflowId, runId } of client.workflow.list({ query: "WorkflowId STARTS_WITH 'incident.'" })) {
    const incident = workflowId.replace(/\.escalation\.\d+$/, '');
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    counted[incident === workflowId ? 'runs' : 'ladders'] += 1;
    counted.longest = Math.max(counted.longest, events?.length ?? 0);
    ids.add(incident);
    for (const { workflowExecutionSignaledEventAttributes: signal } of events ?? []) {
      if (signal?.signalName !== 'addAlerts') continue;
      const [payload] = signal.input?.payloads ?? [];
      const { batchId, distinct } = AlertBatch.parse(payload && defaultPayloadConverter.fromPayload(payload));
      const known = home.get(batchId);
      if (known !== undefined && known !== incident) throw new Error(`the batch ${batchId} is in two incidents`);
      if (known === undefined) counted.distinct += distinct;
      home.set(batchId, incident);
    }
  }
  return { ...counted, ids: ids.size };
}
