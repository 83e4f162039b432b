/**
 * Sentry integration webhooks: `Sentry-Hook-Signature` is the hex HMAC-SHA256 of the raw body with the client secret.
 * Alerts are made of `event_alert`, `metric_alert`, `issue` and `error`; any other resource (installation, comment) is
 * understood as nothing to do. What Sentry makes up to try an integration out, by its level or its tag, goes to triage.
 * Source  docs.sentry.io, "Integration Platform: Webhooks".
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Alert } from '../../contracts/index.ts';
import { alertOf, defineSource, equal, keyOf, labelsOf, Text } from '../source.ts';

const Id = z.union([z.string(), z.number()]).nullish();
const Project = z.object({ slug: Text }).nullish().catch(null);

const Event = z.object({
  event_id: Text,
  issue_id: Id,
  title: Text,
  level: Text,
  environment: Text,
  release: Text,
  url: Text,
  web_url: Text,
  datetime: Text,
  tags: z
    .array(z.tuple([z.string(), z.unknown()]))
    .nullish()
    .catch(null),
});
const Issue = z.object({
  id: Id,
  title: Text,
  level: Text,
  project: Project,
  web_url: Text,
  permalink: Text,
  firstSeen: Text,
  lastSeen: Text,
});
const Metric = z.object({
  id: Id,
  title: Text,
  date_started: Text,
  projects: z.array(z.string()).nullish().catch(null),
  alert_rule: z.object({ name: Text, environment: Text }).nullish().catch(null),
});

const bodies = {
  event_alert: z.object({ data: z.object({ event: Event, triggered_rule: Text }) }),
  error: z.object({ data: z.object({ error: Event }) }),
  issue: z.object({ action: z.string(), data: z.object({ issue: Issue }) }),
  metric_alert: z.object({
    action: z.string(),
    data: z.object({ metric_alert: Metric, description_title: Text, description_text: Text, web_url: Text }),
  }),
};

/** Sentry names the project of an event by number; its slug is in the address of the event in the API. */
const projectOf = (url: string | null | undefined): string | undefined =>
  /\/projects\/[^/]+\/([a-z0-9_-]+)\//.exec(url ?? '')?.[1];

/** Sentry's own example, which nothing has gone wrong for. */
const doubtOf = (level: string | null | undefined, tags: Record<string, unknown> = {}): Alert['doubt'] =>
  level === 'sample' || 'sample_event' in tags ? 'no-data' : undefined;

function eventAlert(resource: string, event: z.output<typeof Event>, rule?: string | null): Alert {
  const tags = Object.fromEntries(event.tags ?? []);
  const name = rule || 'SentryError';
  const project = projectOf(event.url);
  const labels = labelsOf({
    alertname: name,
    resource,
    project,
    environment: event.environment,
    release: event.release,
    ...tags,
  });
  return alertOf({
    source: 'sentry',
    key: keyOf(resource, rule, event.event_id ?? event.issue_id),
    name,
    severity: event.level,
    service: labels['service'] ?? project,
    environment: labels['environment'],
    summary: event.title,
    startsAt: event.datetime,
    labels,
    url: event.web_url,
    doubt: doubtOf(event.level, tags),
  });
}

/** A regression fires anew; what is archived (`ignored`, as it was called) is over as what is resolved is; an assignment is nothing to do. */
function issueAlert({ action, data: { issue } }: z.output<(typeof bodies)['issue']>): Alert[] {
  const over = ['resolved', 'archived', 'ignored'].includes(action);
  if (!over && !['created', 'unresolved'].includes(action)) return [];
  const project = issue.project?.slug;
  return [
    alertOf({
      source: 'sentry',
      key: keyOf('issue', issue.id),
      name: 'SentryIssue',
      resolved: over,
      severity: issue.level,
      service: project,
      summary: issue.title,
      startsAt: action === 'unresolved' ? issue.lastSeen : issue.firstSeen,
      labels: labelsOf({ alertname: 'SentryIssue', resource: 'issue', project, level: issue.level }),
      url: issue.web_url ?? issue.permalink,
      doubt: doubtOf(issue.level),
    }),
  ];
}

function metricAlert({ action, data }: z.output<(typeof bodies)['metric_alert']>): Alert {
  const { id, title, date_started: startsAt, projects, alert_rule: rule } = data.metric_alert;
  const name = rule?.name || title || 'SentryMetricAlert';
  const project = projects?.[0];
  return alertOf({
    source: 'sentry',
    key: keyOf('metric_alert', id, startsAt),
    name,
    resolved: action === 'resolved',
    severity: action,
    service: project,
    environment: rule?.environment,
    summary: [data.description_title ?? title, data.description_text].filter(Boolean).join(': '),
    startsAt,
    labels: labelsOf({ alertname: name, resource: 'metric_alert', project, environment: rule?.environment }),
    url: data.web_url,
  });
}

export const sentry = defineSource({
  name: 'sentry',
  secret: 'HOLDFAST_SENTRY_CLIENT_SECRET',
  verify: (raw, headers, secret) =>
    equal(headers.get('sentry-hook-signature') ?? '', createHmac('sha256', secret).update(raw).digest('hex')),
  normalise(body, headers) {
    const resource = headers.get('sentry-hook-resource');
    switch (resource) {
      case 'event_alert': {
        const { event, triggered_rule } = bodies.event_alert.parse(body).data;
        return [eventAlert(resource, event, triggered_rule)];
      }
      case 'error':
        return [eventAlert(resource, bodies.error.parse(body).data.error)];
      case 'issue':
        return issueAlert(bodies.issue.parse(body));
      case 'metric_alert':
        return [metricAlert(bodies.metric_alert.parse(body))];
      default:
        return [];
    }
  },
});
