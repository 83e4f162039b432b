import { Webhook } from 'standardwebhooks';
import { createActivities, env } from '../../activities/alert-sender.ts';
import type { Alert } from '../../src/contracts/index.ts';
import { failsAsDeclared, serving, type Asked } from './http-server.ts';
import { settings } from './settings.ts';

const HOLDFAST_WEBHOOK_SECRET = `whsec_${Buffer.from('a secret of thirty-two letters...').toString('base64')}`;
const sender = (url: string) => {
  const { hostname, port } = new URL(url);
  const variables = { HOLDFAST_GATEWAY_HOST: hostname, HOLDFAST_GATEWAY_PORT: port, HOLDFAST_WEBHOOK_SECRET };
  return createActivities(env.parse(variables), settings);
};
const alert: Alert = {
  source: 'monitor',
  key: 'monitor:shop:production:error-ratio:1',
  name: 'HighErrorRate',
  status: 'firing',
  severity: 'critical',
  service: 'shop',
  environment: 'production',
  summary: 'error ratio 32 % – Grüße',
  startsAt: '2026-11-24T09:00:00.000Z',
  labels: { alertname: 'HighErrorRate' },
};

it('sends the alert so that a verifier of Standard Webhooks accepts it, with its key as the id', async () => {
  const asked: Asked[] = [];
  await using gateway = await serving((request) => {
    asked.push(request);
    return { status: 202 };
  });
  await sender(gateway.url).sendAlert(alert);
  const [request] = asked;
  expect(request).toMatchObject({ method: 'POST', headers: { 'webhook-id': alert.key } });
  expect(request?.url.pathname).toBe('/alerts/webhook');
  const headers = request?.headers as Record<string, string>;
  const { key: id, source: _, ...rest } = alert;
  expect(new Webhook(HOLDFAST_WEBHOOK_SECRET).verify(request?.body ?? '', headers)).toEqual({ id, ...rest });
});

failsAsDeclared((url) => sender(url).sendAlert(alert));
