/** Any sender that signs as Standard Webhooks asks (standardwebhooks.com): id, timestamp (5 minutes) and HMAC-SHA256 signatures. */
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { cut, instantOf, labelsOf, Labels, severityOf, slugOf, Text, type AlertSource } from '../source.ts';

const Body = z.object({
  id: Text,
  name: z.string().min(1),
  service: Text,
  environment: Text,
  severity: Text,
  status: Text,
  summary: Text,
  startsAt: Text,
  labels: Labels,
});

export const webhook: AlertSource = {
  name: 'webhook',
  secret: 'HOLDFAST_WEBHOOK_SECRET',
  verify(raw, headers, secret) {
    try {
      new Webhook(secret).verify(raw.toString('utf8'), Object.fromEntries(headers));
      return true;
    } catch {
      return false; // missing headers, too old, no signature of ours, or signed text that is not JSON
    }
  },
  normalise(body, headers) {
    const { id, name, severity, summary, startsAt, labels, ...rest } = Body.parse(body);
    const service = slugOf(rest.service);
    const environment = slugOf(rest.environment);
    return [
      {
        source: 'webhook',
        key: cut(headers.get('webhook-id') ?? id ?? `${name}|${rest.service}|${startsAt}`, 512),
        name: cut(name, 200),
        status: rest.status === 'resolved' ? 'resolved' : 'firing',
        severity: severityOf(severity),
        summary: cut(summary ?? name, 1000),
        startsAt: instantOf(startsAt),
        labels: labelsOf(labels),
        ...(service === undefined ? {} : { service }),
        ...(environment === undefined ? {} : { environment }),
      },
    ];
  },
};
