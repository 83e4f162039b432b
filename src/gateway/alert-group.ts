import { z } from 'zod';
import type { Alert } from '../contracts/index.ts';
import { alertOf, keyOf, Labels, labelsOf, Text } from './source.ts';

/** So many empty alerts in one body would hold the gateway up for seconds. */
const ALERTS = 5000;

const One = z.object({
  status: Text,
  labels: Labels,
  annotations: Labels,
  startsAt: Text,
  fingerprint: Text,
  generatorURL: Text,
});
type One = z.output<typeof One>;

/** A group of alerts, as Alertmanager sends it and Grafana after it. */
export const AlertGroup = z.object({
  groupKey: Text,
  truncatedAlerts: z.number().nullish().catch(null),
  commonLabels: Labels,
  alerts: z.array(z.unknown()).nullable(),
});
export type AlertGroup = z.output<typeof AlertGroup>;

export interface Member {
  one: One;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** In milliseconds, as the sender's own API tells it; the webhook has nanoseconds. */
const startOf = ({ startsAt }: One): string => {
  const time = Date.parse(startsAt ?? '');
  return time > 0 ? new Date(time).toISOString() : (startsAt ?? '');
};

/**
 * One alert for each of a group, keyed by fingerprint and start: in whichever group it comes, it is the same one.
 * `judge` may see nothing to do in one, or a doubt. What the sender or this limit cut off becomes an alert of its
 * own, for a person.
 */
export function alertsOfGroup(
  source: string,
  group: AlertGroup,
  judge: (member: Member) => 'ignore' | Alert['doubt'],
): Alert[] {
  const { groupKey, truncatedAlerts, commonLabels } = group;
  const all = group.alerts ?? [];
  const missing = (truncatedAlerts ?? 0) + Math.max(0, all.length - ALERTS);
  const alerts = all.slice(0, ALERTS).flatMap((raw) => {
    const one = One.safeParse(raw).data ?? One.parse({});
    const labels = labelsOf({ ...one.labels, ...(truncatedAlerts ? { truncated_alerts: truncatedAlerts } : {}) });
    const annotations = labelsOf(one.annotations);
    const doubt = judge({ one, labels, annotations });
    if (doubt === 'ignore') return [];
    return alertOf({
      source,
      key: keyOf(one.fingerprint ?? JSON.stringify(one.labels), startOf(one)),
      name: labels['alertname'] ?? 'unnamed alert',
      resolved: one.status === 'resolved',
      severity: labels['severity'],
      service: labels['service'],
      environment: labels['environment'] ?? labels['env'],
      summary: annotations['summary'] ?? annotations['description'],
      startsAt: one.startsAt,
      labels,
      url: one.generatorURL,
      doubt,
    });
  });
  if (missing <= 0) return alerts;
  const labels = labelsOf({ ...commonLabels, alertname: 'AlertsTruncated', truncated_alerts: missing });
  const cutOff = alertOf({
    source,
    key: keyOf(groupKey, 'truncated'),
    name: 'AlertsTruncated',
    service: labels['service'],
    environment: labels['environment'] ?? labels['env'],
    summary: `${missing} alerts of a group were cut off and are not known here: look at ${source} itself`,
    labels,
    doubt: 'truncated',
  });
  return [...alerts, cutOff];
}
