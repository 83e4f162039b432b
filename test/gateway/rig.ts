import { createHmac } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { loadConfig, parseSettings } from '../../src/config.ts';
import type { Heartbeat, Settings } from '../../src/contracts/index.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import type { AlertSource } from '../../src/gateway/source.ts';
import * as sources from '../../src/gateway/sources/index.ts';

export const secrets = {
  HOLDFAST_ALERTMANAGER_TOKEN: 'a-bearer-token',
  HOLDFAST_WEBHOOK_SECRET: `whsec_${Buffer.from('a secret of thirty-two letters...').toString('base64')}`,
  HOLDFAST_SENTRY_CLIENT_SECRET: 'a-client-secret',
  HOLDFAST_GRAFANA_SECRET: 'a-grafana-secret',
  HOLDFAST_PAGERDUTY_SECRET: 'a-pagerduty-secret',
  HOLDFAST_GITHUB_WEBHOOK_SECRET: 'a-github-secret',
};

const environment = { url: 'http://127.0.0.1:1', errors: { project: 'web-shop' } };
const builtOnGithub = {
  url: environment.url,
  releases: { repository: 'https://github.com/acme/mail.git', server: 'mail', listen: '127.0.0.1:1' },
  deployment: { pipeline: { workflow: 'ci.yml' } },
};
export const settings = parseSettings(
  {
    people: [{ name: 'responder', roles: ['approver'] }],
    ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
    approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
    services: [
      { name: 'shop', environments: { production: environment } },
      { name: 'mail', environments: { production: { url: environment.url }, staging: builtOnGithub } },
    ],
    routes: [
      { match: { alertname: 'Checkout', team: 'money' }, service: 'shop', runbook: 'high-error-rate' },
      { match: { alertname: 'MailSlow' }, service: 'mail', environment: 'staging', runbook: 'high-error-rate' },
    ],
  },
  {},
);
export const runbooks = [
  { name: 'high-error-rate', type: 'highErrorRate', title: 'High error rate', alerts: ['HighErrorRate'] },
  { name: 'triage', type: 'triage', title: 'Triage', alerts: [] },
];

/** A state folder of its own; gone when disposed of. */
export function scratch() {
  const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-gateway-'));
  return { stateDir, [Symbol.asyncDispose]: () => rm(stateDir, { recursive: true, force: true }) };
}

/** The environment of a gateway on a free port; nothing listens on port 1, which stands for a Temporal that is away. */
export const gatewayEnv = (stateDir: string, change: Record<string, string> = {}): Record<string, string> => ({
  HOLDFAST_STATE_DIR: stateDir,
  HOLDFAST_GATEWAY_PORT: '0',
  TEMPORAL_ADDRESS: '127.0.0.1:1',
  ...secrets,
  ...change,
});

/** A gateway in this process, with what it logs. */
export async function runGateway(of: {
  stateDir: string;
  env?: Record<string, string>;
  more?: AlertSource[];
  heartbeats?: Heartbeat[];
  people?: Settings['people'];
  pageAfterMs?: number;
}) {
  const logged: string[] = [];
  const { url, stop } = await startGateway({
    config: loadConfig(gatewayEnv(of.stateDir, of.env)),
    settings: { ...settings, people: of.people ?? settings.people, heartbeats: of.heartbeats ?? [] },
    runbooks,
    sources: [...Object.values(sources), ...(of.more ?? [])],
    log: (line) => void logged.push(line),
    ...(of.pageAfterMs !== undefined && { pageAfterMs: of.pageAfterMs }),
  });
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { url, logged, get, stop, [Symbol.asyncDispose]: stop };
}

export type Running = Awaited<ReturnType<typeof runGateway>>;

type Headers = Record<string, string>;
const JSON_TYPE: Headers = { 'content-type': 'application/json' };
export interface Answer {
  status: number;
  body: { accepted?: number; error?: string };
  ms: number;
}

export async function post(
  url: string,
  source: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Headers,
): Promise<Answer> {
  const began = performance.now();
  const init = { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } };
  const response = await fetch(`${url}/alerts/${source}`, init);
  const answer = (await response.json()) as Answer['body'];
  return { status: response.status, body: answer, ms: performance.now() - began };
}

export const bearer: Headers = { authorization: `Bearer ${secrets.HOLDFAST_ALERTMANAGER_TOKEN}` };
export const signedBySentry = (body: string | Uint8Array, resource: string): Headers => ({
  'sentry-hook-resource': resource,
  'sentry-hook-signature': createHmac('sha256', secrets.HOLDFAST_SENTRY_CLIENT_SECRET).update(body).digest('hex'),
});
export const signedByGithub = (body: string, event: string): Headers => ({
  'x-github-event': event,
  'x-hub-signature-256': `sha256=${createHmac('sha256', secrets.HOLDFAST_GITHUB_WEBHOOK_SECRET).update(body).digest('hex')}`,
});
export const signedByGrafana = (body: string): Headers => ({
  'x-grafana-alerting-signature': createHmac('sha256', secrets.HOLDFAST_GRAFANA_SECRET).update(body).digest('hex'),
});
export const signedByPagerduty = (body: string): Headers => ({
  'x-pagerduty-signature': `v1=${createHmac('sha256', secrets.HOLDFAST_PAGERDUTY_SECRET).update(body).digest('hex')}`,
});
export const signedAsWebhook = (body: string, { id = 'message-1', at = new Date() } = {}): Headers => ({
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  'webhook-signature': new Webhook(secrets.HOLDFAST_WEBHOOK_SECRET).sign(id, at, body),
});

const text = (body: unknown): string => (typeof body === 'string' ? body : JSON.stringify(body));
export const postAlertmanager = (url: string, body: unknown) => post(url, 'alertmanager', text(body), bearer);
export const postWebhook = (url: string, body: unknown, id?: string) =>
  post(url, 'webhook', text(body), signedAsWebhook(text(body), id === undefined ? {} : { id }));
export const postSentry = (url: string, resource: string, body: unknown) =>
  post(url, 'sentry', text(body), signedBySentry(text(body), resource));

/** A group of Alertmanager's with one alert. */
export const group = (
  of: {
    name?: string;
    service?: string;
    instance?: string;
    startsAt?: string;
    status?: 'firing' | 'resolved';
    labels?: object;
  } = {},
) => {
  const { name = 'HighErrorRate', service = 'shop', instance = '1', startsAt = '2026-11-24T08:00:00.123456789Z' } = of;
  const { status = 'firing', labels } = of;
  return {
    version: '4',
    receiver: 'holdfast',
    status,
    groupKey: `{}:{alertname="${name}"}`,
    truncatedAlerts: 0,
    groupLabels: { alertname: name },
    commonLabels: {},
    commonAnnotations: {},
    externalURL: 'http://alertmanager.example',
    alerts: [
      {
        status,
        labels: { alertname: name, service, instance, severity: 'critical', ...labels },
        annotations: { summary: 'every fifth request fails' },
        startsAt,
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://prometheus.example/graph',
        fingerprint: `fingerprint-${name}-${service}-${instance}`,
      },
    ],
  };
};
