/**
 * One alert of any sender that signs as Standard Webhooks asks (standardwebhooks.com): id, timestamp within five minutes,
 * HMAC-SHA256. The body's `id` names the firing; without one its name, service and start do; without a start, the message's id.
 */
import { isUtf8 } from 'node:buffer';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { alertOf, defineSource, keyOf, Labels, labelsOf, Text } from '../source.ts';

/** A sender whose ids are its message ids tells firing and resolved apart in them: that is no part of the identity. */
const STATUS = /[:|-](firing|resolved)$/;

const Body = z.object({
  id: Text,
  name: z.string().min(1),
  service: Text,
  environment: Text,
  severity: Text,
  status: z.enum(['firing', 'resolved']).nullish(),
  summary: Text,
  startsAt: Text,
  labels: Labels,
});

export const webhook = defineSource({
  name: 'webhook',
  secret: 'HOLDFAST_WEBHOOK_SECRET',
  secretForm: /^(whsec_)?[A-Za-z0-9+/]{4,}={0,2}$/,
  verify(raw, headers, secret) {
    if (!isUtf8(raw)) return false; // the signature is checked over text: it must be these bytes and no others
    try {
      new Webhook(secret).verify(raw, Object.fromEntries(headers), { jsonParse: false });
      return true;
    } catch {
      return false; // a header is missing, the time is too far off, or no signature is ours
    }
  },
  normalise(body, headers) {
    const { id, name, status, labels, ...rest } = Body.parse(body);
    const key = rest.startsAt ? keyOf(name, rest.service, rest.environment, rest.startsAt) : headers.get('webhook-id');
    return [
      alertOf({
        ...rest,
        source: 'webhook',
        key: keyOf(id?.replace(STATUS, '') || key),
        name,
        resolved: status === 'resolved',
        labels: labelsOf(labels),
      }),
    ];
  },
});
