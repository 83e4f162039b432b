import { z } from 'zod';
import { createHttp } from '../../src/http.ts';
import type { OpenAt, Webhook } from './source.ts';

const Labels = z.record(z.string(), z.string());
const Groups = z.array(
  z.object({
    labels: Labels,
    alerts: z.array(
      z.object({
        fingerprint: z.string(),
        startsAt: z.string(),
        labels: Labels,
        annotations: Labels,
        status: z.object({ state: z.string() }),
        generatorURL: z.string().optional(),
      }),
    ),
  }),
);

const Firing = z.array(z.object({ fingerprint: z.string(), startsAt: z.string() }));
const UpSince = z.object({ uptime: z.iso.datetime({ offset: true }) });

/** Fires for ever; that it comes is a sign of life of the webhook itself, and not for others to give. */
const WATCHDOG = 'Watchdog';
/**
 * It keeps no alerts over a restart: so long after one, what it does not list may fire all the same. Source: Prometheus tells
 * again after a minute (`rules.alert.resend-delay`) at the latest, and has an alert end by itself after four.
 */
const SETTLED_MS = 5 * 60 * 1000;
/** Silenced or inhibited. */
const SUPPRESSED = 'suppressed';

/**
 * What Alertmanager would tell the receiver now. What is silenced or inhibited is open too, and told of to nobody.
 * Source  Alertmanager's OpenAPI document, `/api/v2/alerts/groups`, `/api/v2/alerts` and `/api/v2/status`; webhook version 4.
 */
export function openAtAlertmanager(of: {
  url: string;
  token?: string | undefined;
  receiver: string;
  gatewayToken: string;
}): OpenAt {
  const { url, token, receiver, gatewayToken } = of;
  const http = createHttp({ what: 'Alertmanager', baseUrl: url, ...(token !== undefined && { token }) });
  const base = new URL(url).pathname.replace(/\/+$/, '');
  const query = new URLSearchParams({ receiver: `^${receiver}$` });
  const webhook = (status: 'firing' | 'resolved', groupLabels: object, alert: object): Webhook => ({
    headers: { authorization: `Bearer ${gatewayToken}` },
    body: JSON.stringify({ version: '4', status, receiver, groupLabels, alerts: [{ ...alert, status }] }),
  });
  return {
    source: 'alertmanager',
    async open() {
      const [groups, { uptime: startedAt }] = await Promise.all([
        http.get(`${base}/api/v2/alerts/groups?${query.toString()}`, Groups),
        http.get(`${base}/api/v2/status`, UpSince),
      ]);
      const open = groups.flatMap(({ labels: groupLabels, alerts }) =>
        alerts
          .filter(({ labels }) => labels['alertname'] !== WATCHDOG)
          .map(({ status, ...alert }) => ({
            name: `${alert.fingerprint}:${alert.startsAt}`,
            ...(status.state !== SUPPRESSED && { webhook: webhook('firing', groupLabels, alert) }),
          })),
      );
      return { open, whole: Date.now() - Date.parse(startedAt) >= SETTLED_MS };
    },
    async over(name) {
      const all = await http.get(`${base}/api/v2/alerts`, Firing); // a receiver may have been given another name
      if (all.some(({ fingerprint, startsAt }) => name === `${fingerprint}:${startsAt}`)) return undefined;
      const [fingerprint, ...startsAt] = name.split(':');
      return webhook('resolved', {}, { fingerprint, startsAt: startsAt.join(':'), labels: {} });
    },
  };
}
