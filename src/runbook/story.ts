import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import type { AlertBatch, Incident, Status } from '../contracts/index.ts';
import { details } from './details.ts';

const TIMELINE_LIMIT = 200;
const HOW_TO_STOP =
  'send the signal `pause`, `stop` or `takeOver` with {"by":"your-name"}; `resume` goes on after a pause';
const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
const SERVICE = keyword('HoldfastService');
const ENVIRONMENT = keyword('HoldfastEnvironment');
const SEVERITY = keyword('HoldfastSeverity');
const PHASE = keyword('HoldfastPhase');
const WAITING_FOR = defineSearchAttributeKey('HoldfastWaitingFor', SearchAttributeType.KEYWORD_LIST);

export interface Story {
  readonly status: Readonly<Status>;
  /** Add a line to the timeline, of this moment or of another. */
  tell(kind: string, what: string, who?: string, at?: string): void;
  /** Change what is shown; a new phase goes into the search attributes and asks for a record. */
  set(change: Partial<Status>): void;
  count(batch: AlertBatch): void;
  /** Alerts that came after the last word. */
  sinceClosed(): AlertBatch[];
  /** The revision that the record should hold by now. */
  wanted(): number;
  /** Told whenever that rises. */
  onWanted(listener: () => void): void;
}

/** What a run tells about itself: status, timeline, current details, search attributes. One per workflow run. */
export function createStory(of: {
  runbook: string;
  title: string;
  incident: Incident;
  howToStop?: string | undefined;
  /** How its timeline begins. */
  opened?: string | undefined;
}): Story {
  const { runbook, title, incident, howToStop = HOW_TO_STOP, opened = 'Incident opened' } = of;
  const { workflowId, runId } = workflowInfo();
  const seen = new Set<string>();
  const sinceClosed: AlertBatch[] = [];
  let wanted = 0;
  let onWanted = (): void => undefined;
  const status: Status = {
    workflowId,
    runId,
    runbook,
    title,
    incident,
    phase: 'diagnosing',
    paused: false,
    doing: 'Opening the incident.',
    next: 'Diagnose.',
    howToStop,
    waitingFor: [],
    alerts: { distinct: 0, deliveries: 0, resolved: false },
    findings: [],
    timeline: [],
    revision: 0,
  };
  const changed = (): void => {
    status.revision += 1;
    setCurrentDetails(details(status));
  };
  const story: Story = {
    status,
    tell(kind, what, who, at = new Date().toISOString()) {
      status.timeline.push({
        at,
        kind,
        what: what.slice(0, 600),
        ...(who === undefined ? {} : { who }),
      });
      if (status.timeline.length > TIMELINE_LIMIT) status.timeline.splice(TIMELINE_LIMIT / 2, 1);
      changed();
    },
    set(change) {
      const before = { phase: status.phase, waitingFor: status.waitingFor };
      Object.assign(status, change);
      changed();
      if (before.phase === status.phase && before.waitingFor === status.waitingFor) return;
      wanted = status.revision;
      upsertSearchAttributes([
        { key: PHASE, value: status.phase },
        { key: WAITING_FOR, value: status.waitingFor.length === 0 ? null : status.waitingFor },
      ]);
      onWanted();
    },
    count(batch) {
      if (seen.has(batch.batchId)) return;
      seen.add(batch.batchId);
      if (status.phase === 'closed') sinceClosed.push(batch);
      const { alerts } = status;
      const since = alerts.since ?? batch.samples[0]?.startsAt;
      status.alerts =
        batch.status === 'resolved'
          ? { ...alerts, resolved: true }
          : {
              distinct: alerts.distinct + batch.distinct,
              deliveries: alerts.deliveries + batch.deliveries,
              resolved: false,
            };
      if (since !== undefined) status.alerts.since = since;
      const sample = batch.samples[0];
      const text = `${batch.deliveries} ${batch.status} alert ${batch.deliveries === 1 ? 'delivery' : 'deliveries'}, ${batch.distinct} new`;
      story.tell('alert', sample === undefined ? text : `${text}: ${sample.name}: ${sample.summary}`, sample?.source);
    },
    sinceClosed: () => sinceClosed,
    wanted: () => wanted,
    onWanted: (listener) => void (onWanted = listener),
  };
  upsertSearchAttributes([
    { key: SERVICE, value: incident.service },
    { key: ENVIRONMENT, value: incident.environment },
    { key: SEVERITY, value: incident.severity },
    { key: PHASE, value: status.phase },
  ]);
  story.tell('opened', `${opened}: ${incident.summary}`, incident.openedBy);
  return story;
}
