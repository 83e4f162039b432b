/**
 * PagerDuty webhooks v3: `X-PagerDuty-Signature` holds one or more `v1=<hex HMAC-SHA256 of the raw body>`.
 * An incident that is triggered or reopened fires, one that is resolved is over. Anything else that happens to it (acknowledged,
 * delegated, annotated …), other resources and `pagey.ping` are nothing to do. An incident that Holdfast's own page made is
 * nothing to do either: it would page about itself for ever; who acknowledges it there has acknowledged here.
 * Source  developer.pagerduty.com, "Webhooks: overview" and "Verifying signatures".
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { alertOf, cut, defineSource, equal, keyOf, labelsOf, slugOf, Text } from '../source.ts';

const FIRES = ['incident.triggered', 'incident.reopened'];
/** Of a page, as `src/channels/pagerduty.ts` makes it. */
const OWN = /^holdfast\|/;
/** Of a page of a run. */
const PAGE = /^holdfast\|([^|]+)\|([^|]+)\|/;

const Reference = z.object({ summary: Text }).nullish().catch(null);
const Body = z.object({
  event: z.object({ event_type: z.string(), occurred_at: Text, agent: Reference, data: z.unknown() }),
});
const Incident = z.object({
  id: z.string().min(1),
  title: Text,
  html_url: Text,
  urgency: Text,
  incident_key: Text,
  priority: Reference,
  service: Reference,
});

export const pagerduty = defineSource({
  name: 'pagerduty',
  secret: 'HOLDFAST_PAGERDUTY_SECRET',
  verify(raw, headers, secret) {
    const expected = `v1=${createHmac('sha256', secret).update(raw).digest('hex')}`;
    const given = (headers.get('x-pagerduty-signature') ?? '').split(',');
    return given.some((signature) => equal(signature.trim(), expected));
  },
  acknowledged(body) {
    const { event_type: type, agent, data } = Body.parse(body).event;
    if (type !== 'incident.acknowledged') return [];
    const [, workflowId, runId] = PAGE.exec(Incident.parse(data).incident_key ?? '') ?? [];
    if (workflowId === undefined || runId === undefined) return [];
    return [{ workflowId, runId, by: cut(`${agent?.summary ?? 'somebody'} in PagerDuty`, 40) }];
  },
  normalise(body) {
    const { event_type: type, occurred_at: startsAt, data } = Body.parse(body).event;
    if (type !== 'incident.resolved' && !FIRES.includes(type)) return [];
    const { id, title, urgency, priority, service, incident_key: incidentKey, html_url: url } = Incident.parse(data);
    if (OWN.test(incidentKey ?? '')) return [];
    return [
      alertOf({
        source: 'pagerduty',
        key: keyOf(id),
        name: 'PagerDutyIncident',
        resolved: type === 'incident.resolved',
        severity: priority?.summary ?? urgency,
        service: slugOf(service?.summary),
        summary: title,
        startsAt,
        labels: labelsOf({
          alertname: 'PagerDutyIncident',
          title,
          urgency,
          pagerduty_service: service?.summary,
          priority: priority?.summary,
          incident_key: incidentKey,
        }),
        url,
      }),
    ];
  },
});
