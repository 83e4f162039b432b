/**
 * Pages and announcements as signed webhooks to any receiver. What is sent again has the same `webhook-id`.
 * Source  standardwebhooks.com.
 */
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { request } from '../http.ts';
import { defineChannel, idOf } from './channel.ts';

export const webhook = defineChannel({
  name: 'webhook',
  env: z.object({
    HOLDFAST_NOTIFY_URL: z.url({ protocol: /^https?$/ }),
    HOLDFAST_NOTIFY_SECRET: z.string().startsWith('whsec_'),
  }),
  personal: false,
  create({ HOLDFAST_NOTIFY_URL: url, HOLDFAST_NOTIFY_SECRET: secret }) {
    const signer = new Webhook(secret);
    const send = async (type: 'page' | 'announcement', id: string, data: object): Promise<void> => {
      const at = new Date();
      const body = JSON.stringify({ type: `holdfast.${type}`, timestamp: at.toISOString(), data });
      const response = await request(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': signer.sign(id, at, body),
        },
        body,
        what: `webhook POST ${new URL(url).hostname}`,
      });
      await response.body?.cancel();
    };
    return {
      page: (delivery) => send('page', `page_${idOf(delivery.key, delivery.to)}`, delivery),
      announce: (announcement) => {
        const { workflowId, runId, at } = announcement;
        return send('announcement', `announcement_${idOf(workflowId, runId, at)}`, announcement);
      },
    };
  },
});
