/**
 * Prometheus Alertmanager, webhook version 4. It signs nothing, so it sends a bearer token (`http_config.authorization`).
 * `Watchdog`, which fires for ever to show that the path works, is understood as nothing to do.
 */
import { z } from 'zod';
import { alertOf, defineSource, equal, keyOf, Labels, labelsOf, Text } from '../source.ts';

/** More than fit into 1 MiB as Alertmanager writes them; so many empty ones would hold the gateway up for seconds. */
const ALERTS = 5000;

const Body = z.object({
  groupKey: Text,
  truncatedAlerts: z.number().nullish(),
  alerts: z
    .array(z.unknown())
    .max(ALERTS, `more than ${ALERTS} alerts at once: set max_alerts in Alertmanager`)
    .pipe(
      z.array(
        z.object({
          status: Text,
          labels: Labels,
          annotations: Labels,
          startsAt: Text,
          fingerprint: Text,
          generatorURL: Text,
        }),
      ),
    )
    .nullable(),
});

export const alertmanager = defineSource({
  name: 'alertmanager',
  secret: 'HOLDFAST_ALERTMANAGER_TOKEN',
  verify: (_raw, headers, secret) =>
    equal((headers.get('authorization') ?? '').replace(/^bearer +/i, 'Bearer '), `Bearer ${secret}`),
  normalise(body) {
    const { groupKey, truncatedAlerts, alerts } = Body.parse(body);
    return (alerts ?? []).flatMap((one) => {
      const labels = labelsOf({ ...one.labels, ...(truncatedAlerts ? { truncated_alerts: truncatedAlerts } : {}) });
      const annotations = labelsOf(one.annotations);
      const name = labels['alertname'] ?? 'unnamed alert';
      if (name === 'Watchdog') return [];
      return alertOf({
        source: 'alertmanager',
        key: keyOf(groupKey, one.fingerprint ?? JSON.stringify(one.labels), one.startsAt),
        name,
        resolved: one.status === 'resolved',
        severity: labels['severity'],
        service: labels['service'],
        environment: labels['environment'] ?? labels['env'],
        summary: annotations['summary'] ?? annotations['description'],
        startsAt: one.startsAt,
        labels,
        url: one.generatorURL,
      });
    });
  },
});
