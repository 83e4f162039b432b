import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import type { AlertSender } from '../src/contracts/ports.ts';
import type { Settings } from '../src/contracts/index.ts';
import { request } from '../src/http.ts';

export const env = z.object({
  HOLDFAST_GATEWAY_HOST: z.string().min(1).default('127.0.0.1'),
  HOLDFAST_GATEWAY_PORT: z.coerce.number().int().min(1).max(65535).default(4100),
  HOLDFAST_WEBHOOK_SECRET: z.string().startsWith('whsec_'),
});

/** Alerts of Holdfast's own monitor, through its own front door: signed as Standard Webhooks asks. */
export function createActivities(
  { HOLDFAST_GATEWAY_HOST, HOLDFAST_GATEWAY_PORT, HOLDFAST_WEBHOOK_SECRET }: z.output<typeof env>,
  _settings: Settings,
) {
  const webhook = new Webhook(HOLDFAST_WEBHOOK_SECRET);
  const url = `http://${HOLDFAST_GATEWAY_HOST}:${HOLDFAST_GATEWAY_PORT}/alerts/webhook`;
  return {
    /** Idempotent on `alert.key`, which is the message id: the gateway knows a repeat by it. */
    async sendAlert({ key, name, service, environment, severity, status, summary, startsAt, labels }) {
      const body = JSON.stringify({ id: key, name, service, environment, severity, status, summary, startsAt, labels });
      const sentAt = new Date();
      const headers = {
        'content-type': 'application/json',
        'webhook-id': key,
        'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
        'webhook-signature': webhook.sign(key, sentAt, body),
      };
      const response = await request(url, {
        method: 'POST',
        headers,
        body,
        what: `gateway POST ${new URL(url).pathname}`,
      });
      await response.body?.cancel();
    },
  } satisfies AlertSender;
}
