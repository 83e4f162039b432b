/**
 * Grafana Alerting's webhook contact point with HMAC: `X-Grafana-Alerting-Signature` is the hex HMAC-SHA256 of the raw body,
 * or, where its timestamp header is configured as `X-Grafana-Alerting-Timestamp`, of `<timestamp>:<body>`, at most five minutes old.
 * A rule without data or with a broken query (`DatasourceNoData`, `DatasourceError`, or a state reason that says so) tells
 * nothing about the service: it goes to triage, whatever the routes say. The test button's `TestAlert` is nothing to do.
 * A custom payload without a list of alerts is one alert of what it has; without a name it goes to triage.
 * Source  grafana.com/docs, "Configure webhook notifications".
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Alert } from '../../contracts/index.ts';
import { AlertGroup, alertsOfGroup, type Member } from '../alert-group.ts';
import { alertOf, defineSource, equal, keyOf, Labels, labelsOf, recent, Text } from '../source.ts';

const NO_DATA = /^(DatasourceNoData|DatasourceError)$/;
const NO_DATA_REASON = /NoData|Error|MissingSeries/;

const Custom = z.object({
  id: Text,
  groupKey: Text,
  name: Text,
  alertname: Text,
  title: Text,
  status: Text,
  state: Text,
  severity: Text,
  service: Text,
  environment: Text,
  summary: Text,
  message: Text,
  startsAt: Text,
  labels: Labels,
});

function judge({ labels, annotations }: Member): 'ignore' | Alert['doubt'] {
  if (labels['alertname'] === 'TestAlert' && labels['instance'] === 'Grafana') return 'ignore';
  const noData = NO_DATA.test(labels['alertname'] ?? '');
  return noData || NO_DATA_REASON.test(annotations['grafana_state_reason'] ?? '') ? 'no-data' : undefined;
}

function customAlert(body: unknown): Alert {
  const custom = Custom.parse(body);
  const labels = labelsOf(custom.labels);
  const name = custom.name || custom.alertname || labels['alertname'];
  const title = name || custom.title || 'unnamed alert';
  const state = (custom.status || custom.state || '').toLowerCase();
  return alertOf({
    source: 'grafana',
    key: keyOf('custom', custom.id || custom.groupKey || title, custom.startsAt),
    name: title,
    resolved: ['resolved', 'ok', 'normal'].includes(state),
    severity: custom.severity ?? labels['severity'],
    service: custom.service ?? labels['service'],
    environment: custom.environment ?? labels['environment'],
    summary: custom.summary || custom.message || custom.title,
    startsAt: custom.startsAt,
    labels,
    doubt: name && !['nodata', 'no_data', 'error', 'test'].includes(state) ? undefined : 'no-data',
  });
}

export const grafana = defineSource({
  name: 'grafana',
  secret: 'HOLDFAST_GRAFANA_SECRET',
  verify(raw, headers, secret) {
    const timestamp = headers.get('x-grafana-alerting-timestamp');
    const hmac = createHmac('sha256', secret);
    if (timestamp !== null) hmac.update(`${timestamp}:`);
    const signed = equal(headers.get('x-grafana-alerting-signature') ?? '', hmac.update(raw).digest('hex'));
    return signed && (timestamp === null || recent(Number(timestamp)));
  },
  normalise(body) {
    const group = AlertGroup.safeParse(body).data;
    return group === undefined ? [customAlert(body)] : alertsOfGroup('grafana', group, judge);
  },
});
