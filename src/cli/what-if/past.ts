/** Past incidents as their histories in Temporal tell them: how they began, what was read, who decided, how they ended. */
import { defaultPayloadConverter, type Payload, type PayloadCodec } from '@temporalio/common';
import { AlertBatch, Incident, Status, type Alert, type DrillOrder, type Recorded } from '../../contracts/index.ts';
import type { Context } from '../context.ts';

/** Activities that a drill answers itself: the configuration, people, the record. */
const OWN = ['policy', 'page', 'announce', 'checkCode', 'record', 'resembling'];

export interface PastIncident {
  workflowId: string;
  runId: string;
  type: string;
  incident: Incident;
  status: Status;
  recorded: Recorded;
  decisions: DrillOrder['decisions'];
  alerts: Alert[];
}

type Decode = (payloads: { payloads?: unknown } | null | undefined) => Promise<unknown>;

/** The first value of an event, decrypted where payloads are encrypted. */
const decoding =
  (codecs: PayloadCodec[]): Decode =>
  async (payloads) => {
    let all = ((payloads?.payloads ?? []) as Payload[]).slice(0, 1);
    for (const codec of codecs.toReversed()) all = await codec.decode(all);
    return all[0] === undefined ? undefined : defaultPayloadConverter.fromPayload(all[0]);
  };

/** Incidents of these runbooks that have ended since, newest first; those whose history is gone are not among them. */
export async function pastIncidents(
  { client, config }: Context,
  of: { since: Date; types: string[]; most: number },
): Promise<PastIncident[]> {
  const query = `WorkflowId STARTS_WITH 'incident.' AND WorkflowType != 'escalation' AND ExecutionStatus = 'Completed' AND StartTime > '${of.since.toISOString()}'`;
  const found: PastIncident[] = [];
  for await (const { workflowId, runId, type } of client.workflow.list({ query })) {
    if (!of.types.includes(type)) continue;
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const valueOf = decoding(config.temporal.dataConverter.payloadCodecs ?? []);
    const past = await readHistory({ workflowId, runId, type }, (events ?? []) as HistoryEvent[], valueOf);
    if (past !== undefined) found.push(past);
    if (found.length >= of.most) break;
  }
  return found;
}

type Payloads = { payloads?: unknown } | null;
/** The message is among the encoded attributes where payloads are encrypted. */
type Failed = { message?: string | null; encodedAttributes?: unknown; cause?: Failed | null };
/** What is read of an event; see `temporal.api.history.v1.HistoryEvent`. */
interface HistoryEvent {
  eventId?: unknown;
  workflowExecutionStartedEventAttributes?: { input?: Payloads } | null;
  workflowExecutionSignaledEventAttributes?: { signalName?: string | null; input?: Payloads } | null;
  markerRecordedEventAttributes?: {
    markerName?: string | null;
    details?: Record<string, { payloads?: unknown }> | null;
    failure?: Failed | null;
  } | null;
  activityTaskScheduledEventAttributes?: { activityType?: { name?: string | null } | null } | null;
  activityTaskCompletedEventAttributes?: { scheduledEventId?: unknown; result?: Payloads } | null;
  activityTaskFailedEventAttributes?: { scheduledEventId?: unknown; failure?: Failed | null } | null;
  activityTaskTimedOutEventAttributes?: { scheduledEventId?: unknown; failure?: Failed | null } | null;
  startChildWorkflowExecutionInitiatedEventAttributes?: {
    workflowType?: { name?: string | null } | null;
    input?: Payloads;
  } | null;
}

/** Undefined where it does not tell enough: no last status, or an input of another time. */
async function readHistory(
  of: Pick<PastIncident, 'workflowId' | 'runId' | 'type'>,
  events: HistoryEvent[],
  valueOf: Decode,
): Promise<PastIncident | undefined> {
  const recorded: Recorded = {};
  const scheduled = new Map<string, string>();
  const alerts: Alert[] = [];
  let incident: Incident | undefined;
  let status: Status | undefined;
  const answered = (activity: string | undefined, answer: Recorded[string][number]): void => {
    if (activity !== undefined && !OWN.includes(activity)) (recorded[activity] ??= []).push(answer);
  };
  for (const event of events) {
    const started = event.workflowExecutionStartedEventAttributes;
    if (started) incident = Incident.safeParse(await valueOf(started.input)).data;
    const signal = event.workflowExecutionSignaledEventAttributes;
    if (signal?.signalName === 'addAlerts')
      alerts.push(...(AlertBatch.safeParse(await valueOf(signal.input)).data?.samples ?? []));
    const marker = event.markerRecordedEventAttributes;
    if (marker?.markerName === 'core_local_activity') {
      const { activity_type: activity } = (await valueOf(marker.details?.['data'])) as { activity_type?: string };
      answered(
        activity,
        marker.failure
          ? { failure: await messageOf(marker.failure.cause ?? marker.failure, valueOf) }
          : { value: (await valueOf(marker.details?.['result'])) ?? null },
      );
    }
    const asked = event.activityTaskScheduledEventAttributes;
    if (asked) scheduled.set(String(event.eventId), asked.activityType?.name ?? '');
    const done = event.activityTaskCompletedEventAttributes;
    if (done) answered(scheduled.get(String(done.scheduledEventId)), { value: (await valueOf(done.result)) ?? null });
    const undone = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
    if (undone?.failure)
      answered(scheduled.get(String(undone.scheduledEventId)), { failure: await messageOf(undone.failure, valueOf) });
    const child = event.startChildWorkflowExecutionInitiatedEventAttributes;
    if (child?.workflowType?.name === 'recordIncident') status = Status.safeParse(await valueOf(child.input)).data;
  }
  if (incident === undefined || status === undefined) return undefined;
  return { ...of, incident, status, recorded, decisions: decisionsOf(status), alerts };
}

async function messageOf({ message, encodedAttributes }: Failed, valueOf: Decode): Promise<string> {
  const encoded = (await valueOf({ payloads: encodedAttributes ? [encodedAttributes] : [] })) as Failed | undefined;
  return encoded?.message ?? message ?? 'it failed';
}

/** People's answers to one proposal after the other; what policy approved is left to policy. */
function decisionsOf({ timeline }: Status): DrillOrder['decisions'] {
  let proposal = -1;
  let proposedAt = 0;
  return timeline.flatMap(({ kind, who = '', at }) => {
    if (kind === 'proposed') [proposal, proposedAt] = [proposal + 1, Date.parse(at)];
    const [person = ''] = who.split(' via ');
    if ((kind !== 'approved' && kind !== 'declined') || person.startsWith('policy:')) return [];
    return [{ proposal, verdict: kind, person, afterMs: Date.parse(at) - proposedAt }] as const;
  });
}
