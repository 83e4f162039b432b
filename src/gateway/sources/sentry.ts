/**
 * Sentry integration webhooks: `Sentry-Hook-Signature` is the hex HMAC-SHA256 of the raw body with the client secret.
 * Resources: event_alert, metric_alert, issue, error; installation and comments are understood as nothing to do.
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Alert } from '../../contracts/index.ts';
import { cut, equal, instantOf, severityOf, Text, type AlertSource } from '../source.ts';

const Id = z.union([z.string(), z.number()]).nullish();
const Project = z
  .union([z.string(), z.number(), z.object({ slug: Text }).transform(({ slug }) => slug ?? '')])
  .nullish();
const Event = z.object({
  event_id: Text,
  issue_id: Id,
  title: Text,
  level: Text,
  project: Project,
  environment: Text,
  web_url: Text,
  datetime: Text,
});
const Issue = z.object({
  id: Id,
  title: Text,
  level: Text,
  status: Text,
  project: Project,
  permalink: Text,
  firstSeen: Text,
});
const Metric = z.object({
  id: Id,
  identifier: Id,
  title: Text,
  date_started: Text,
  projects: z.array(z.string()).nullish(),
});
const Body = z.object({
  action: Text,
  data: z
    .object({
      event: Event.nullish(),
      error: Event.nullish(),
      issue: Issue.nullish(),
      metric_alert: Metric.nullish(),
      triggered_rule: Text,
      description_title: Text,
    })
    .nullish(),
});

export const sentry: AlertSource = {
  name: 'sentry',
  secret: 'HOLDFAST_SENTRY_CLIENT_SECRET',
  verify: (raw, headers, secret) =>
    equal(headers.get('sentry-hook-signature') ?? '', createHmac('sha256', secret).update(raw).digest('hex')),
  normalise(body, headers) {
    const resource = cut(headers.get('sentry-hook-resource'), 40);
    const { action, data } = Body.parse(body);
    const alert = (of: {
      id: unknown;
      name: string;
      title: string | null | undefined;
      level?: string | null | undefined;
      project?: unknown;
      environment?: string | null | undefined;
      at: string | null | undefined;
      url?: string | null | undefined;
      resolved?: boolean;
    }): Alert[] => [
      {
        source: 'sentry',
        key: cut(`${resource}|${String(of.id)}|${of.resolved === true ? 'resolved' : 'firing'}`, 512),
        name: cut(of.name, 200),
        status: of.resolved === true ? 'resolved' : 'firing',
        severity: severityOf(of.level),
        summary: cut(of.title ?? of.name, 1000),
        startsAt: instantOf(of.at),
        labels: {
          alertname: cut(of.name, 200),
          resource,
          ...(of.project ? { project: cut(String(of.project), 200) } : {}),
          ...(of.environment ? { environment: cut(of.environment, 200) } : {}),
        },
        ...(of.url ? { url: cut(of.url, 2000) } : {}),
      },
    ];
    const event = data?.event ?? data?.error;
    if (resource === 'metric_alert' && data?.metric_alert) {
      const { id, identifier, title, date_started: at, projects } = data.metric_alert;
      const name = title ?? data.description_title ?? 'metric alert';
      return alert({
        id: `${id ?? identifier}|${at}`,
        name,
        title: data.description_title ?? title,
        level: action,
        at,
        project: projects?.[0],
        resolved: action === 'resolved',
      });
    }
    if (resource === 'issue' && data?.issue) {
      const { id, title, level, project, permalink, firstSeen, status } = data.issue;
      return alert({
        id,
        name: 'SentryIssue',
        title,
        level,
        project,
        at: firstSeen,
        url: permalink,
        resolved: action === 'resolved' || status === 'resolved',
      });
    }
    if ((resource === 'event_alert' || resource === 'error') && event) {
      const { event_id: id, issue_id: issue, title, level, project, environment, web_url: url, datetime } = event;
      return alert({
        id: id ?? issue,
        name: data?.triggered_rule ?? 'SentryError',
        title,
        level,
        project,
        environment,
        at: datetime,
        url,
      });
    }
    return [];
  },
};
