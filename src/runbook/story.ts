import { setCurrentDetails, upsertMemo, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { worst, type AlertBatch, type Incident, type Phase, type Severity, type Status } from '../contracts/index.ts';
import { details } from './details.ts';
import { withReadings, type Seen } from './measurements.ts';

const TIMELINE_LIMIT = 200;
const MINUTE_MS = 60_000;
/** How long each phase lasts at most where no wait of its own says until when: its activities with all their attempts. */
const LONGEST_MINUTES: Record<Phase, number> = {
  diagnosing: 5,
  proposing: 5,
  waiting: 5,
  mitigating: 90,
  verifying: 90,
  deploying: 300,
  undoing: 90,
  paused: 0,
  closed: 0,
};
const HOW_TO_STOP =
  'send the signal `pause`, `stop` or `takeOver` with {"by":"your-name"}; `resume` goes on after a pause';
const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
export const SERVICE = keyword('HoldfastService');
export const ENVIRONMENT = keyword('HoldfastEnvironment');
export const SEVERITY = keyword('HoldfastSeverity');
export const PHASE = keyword('HoldfastPhase');
export const WAITING_FOR = defineSearchAttributeKey('HoldfastWaitingFor', SearchAttributeType.KEYWORD_LIST);

export interface Story {
  readonly status: Readonly<Status>;
  /** Add a line to the timeline, of this moment or of another. */
  tell(kind: string, what: string, who?: string, at?: string): void;
  /** Change what is shown; a new phase goes into the search attributes and asks for a record, a new deadline into the memo. */
  set(change: { [K in keyof Status]?: Status[K] | undefined }): void;
  count(batch: AlertBatch): void;
  /** It is worse than was thought; what is less bad changes nothing. */
  raise(severity: Severity): void;
  /** Keep for the charts what was asked for at this moment. */
  measure(seen: Seen | undefined, at: string): void;
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
  const listeners: (() => void)[] = [];
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
      if (status.timeline.length > TIMELINE_LIMIT) {
        status.timeline.splice(TIMELINE_LIMIT / 2, 1);
        status.leftOut = (status.leftOut ?? 0) + 1;
      }
      changed();
    },
    set(change) {
      const { phase, waitingFor, acknowledgedBy, deadline } = status;
      const moved = change.phase !== undefined && change.phase !== phase;
      Object.assign(status, change.phase === undefined ? {} : { waitingUntil: undefined }, change);
      if (['phase', 'waitingUntil', 'paused'].some((key) => key in change) && change.deadline === undefined) {
        const minutes = status.paused ? 0 : LONGEST_MINUTES[status.phase];
        const longest = minutes === 0 ? undefined : new Date(Date.now() + minutes * MINUTE_MS).toISOString();
        status.deadline = longest && (status.waitingUntil ?? longest);
      }
      changed();
      if (deadline !== status.deadline) upsertMemo({ deadline: status.deadline ?? null });
      const same = acknowledgedBy === status.acknowledgedBy && waitingFor === status.waitingFor;
      if (!moved && same) return;
      wanted = status.revision;
      upsertSearchAttributes([
        { key: PHASE, value: status.phase },
        { key: WAITING_FOR, value: status.waitingFor.length === 0 ? null : status.waitingFor },
      ]);
      for (const listener of listeners) listener();
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
      const newestAt = new Date().toISOString();
      const firedAt = batch.status === 'firing' ? newestAt : alerts.firedAt;
      Object.assign(status.alerts, { flaps: batch.flaps ?? 0, newestAt, ...(firedAt !== undefined && { firedAt }) });
      const sample = batch.samples[0];
      const text = `${batch.deliveries} ${batch.status} alert ${batch.deliveries === 1 ? 'delivery' : 'deliveries'}, ${batch.distinct} new`;
      story.tell('alert', sample === undefined ? text : `${text}: ${sample.name}: ${sample.summary}`, sample?.source);
      if (batch.status === 'firing') story.raise(worst(batch.samples.map(({ severity }) => severity)) ?? 'info');
    },
    raise(severity) {
      const before = status.incident.severity;
      if (worst([before, severity]) === before) return;
      status.incident = { ...status.incident, severity };
      upsertSearchAttributes([{ key: SEVERITY, value: severity }]);
      story.tell('raised', `Severity raised from ${before} to ${severity}`);
    },
    measure(seen, at) {
      if (seen === undefined) return;
      const { readings = [], running = status.running, commits = status.commits } = seen;
      if (readings.length > 0) status.measurements = withReadings(status.measurements, readings, at);
      if (running !== undefined) status.running = running;
      if (commits !== undefined) status.commits = commits;
      if (seen.bundle !== undefined) status.bundle = seen.bundle;
      changed();
    },
    sinceClosed: () => sinceClosed,
    wanted: () => wanted,
    onWanted: (listener) => void listeners.push(listener),
  };
  upsertSearchAttributes([
    { key: SERVICE, value: incident.service },
    { key: ENVIRONMENT, value: incident.environment },
    { key: SEVERITY, value: incident.severity },
    { key: PHASE, value: status.phase },
  ]);
  const { memo } = workflowInfo();
  status.deadline = new Date(Date.now() + LONGEST_MINUTES[status.phase] * MINUTE_MS).toISOString();
  const before = memo?.['outcome'] === undefined ? {} : { outcome: null, note: null, attempts: null }; // of the run that went over into this one
  upsertMemo({ deadline: status.deadline, ...before });
  story.tell('opened', `${opened}: ${incident.summary}`, incident.openedBy);
  return story;
}
