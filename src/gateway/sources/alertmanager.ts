/** Prometheus Alertmanager, webhook version 4; it signs nothing, so a bearer token (`http_config.authorization`). */
import { z } from 'zod';
import type { Alert } from '../../contracts/index.ts';
import { cut, equal, instantOf, labelsOf, Labels, severityOf, slugOf, Text, type AlertSource } from '../source.ts';

const Body = z.object({
  groupKey: Text,
  alerts: z
    .array(
      z.object({
        status: Text,
        labels: Labels,
        annotations: Labels,
        startsAt: Text,
        fingerprint: Text,
        generatorURL: Text,
      }),
    )
    .max(10_000),
});

export const alertmanager: AlertSource = {
  name: 'alertmanager',
  secret: 'HOLDFAST_ALERTMANAGER_TOKEN',
  verify: (_raw, headers, secret) => equal(headers.get('authorization') ?? '', `Bearer ${secret}`),
  normalise(body) {
    const { groupKey, alerts } = Body.parse(body);
    return alerts.map((one): Alert => {
      const labels = labelsOf(one.labels);
      const service = slugOf(labels['service']);
      const environment = slugOf(labels['environment'] ?? labels['env']);
      const annotations = labelsOf(one.annotations);
      const status = one.status === 'resolved' ? 'resolved' : 'firing';
      const identity = one.fingerprint ?? JSON.stringify(labels).slice(0, 200);
      return {
        source: 'alertmanager',
        key: `${cut(groupKey, 200)}|${cut(identity, 200)}|${cut(one.startsAt, 40)}|${status}`,
        name: cut(labels['alertname'], 200),
        status,
        severity: severityOf(labels['severity']),
        summary: cut(annotations['summary'] ?? annotations['description'] ?? labels['alertname'], 1000),
        startsAt: instantOf(one.startsAt),
        labels,
        ...(service === undefined ? {} : { service }),
        ...(environment === undefined ? {} : { environment }),
        ...(one.generatorURL ? { url: cut(one.generatorURL, 2000) } : {}),
      };
    });
  },
};
