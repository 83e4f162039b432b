import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { html, raw } from 'hono/html';
import { withinDeadline } from './deliver.ts';

const STYLE =
  'body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}' +
  'th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ccc}';
const SHOWN = 50;

/** What the page may do: nothing but show its own style. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface OpenIncident {
  workflowId: string;
  runId: string;
  severity: string;
  phase: string;
  waitingFor: string;
  since: string;
}

/** The open incidents, newest first, at most 50, from Temporal's visibility. */
async function openIncidents(client: Client): Promise<OpenIncident[]> {
  const query = "ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH 'incident.'";
  return await withinDeadline(client, async () => {
    const open: OpenIncident[] = [];
    for await (const { workflowId, runId, startTime, searchAttributes } of client.workflow.list({ query })) {
      const shown = (name: string): string => (searchAttributes[`Holdfast${name}`] ?? []).map(String).join(', ');
      open.push({
        workflowId,
        runId,
        severity: shown('Severity'),
        phase: shown('Phase'),
        waitingFor: shown('WaitingFor'),
        since: startTime.toISOString(),
      });
      if (open.length === SHOWN) break;
    }
    return open;
  });
}

/** The page at `/`: the open incidents, with links into the Temporal UI. All text is escaped. */
export async function home(of: { client: Client; namespace: string; uiUrl: string | undefined }): Promise<string> {
  const open = await openIncidents(of.client).catch(() => undefined);
  const link = ({ workflowId, runId }: OpenIncident) => {
    if (of.uiUrl === undefined) return workflowId;
    const path = ['namespaces', of.namespace, 'workflows', workflowId, runId, 'user-metadata']
      .map(encodeURIComponent)
      .join('/');
    return html`<a href="${of.uiUrl.replace(/\/$/, '')}/${path}">${workflowId}</a>`;
  };
  const row = (one: OpenIncident) => html`
    <tr>
      <td>${link(one)}</td>
      <td>${one.severity}</td>
      <td>${one.phase}</td>
      <td>${one.waitingFor}</td>
      <td>${one.since}</td>
    </tr>
  `;
  const table = (rows: OpenIncident[]) => html`
    <table>
      <tr>
        <th>Incident</th>
        <th>Severity</th>
        <th>Phase</th>
        <th>Waiting for</th>
        <th>Since</th>
      </tr>
      ${rows.map(row)}
    </table>
  `;
  const body =
    open === undefined
      ? html`<p>Temporal cannot be reached. Alerts are accepted and kept until it is back.</p>`
      : open.length === 0
        ? html`<p>No incident is open.</p>`
        : table(open);
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Holdfast</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <h1>Holdfast</h1>
        <h2>Open incidents</h2>
        ${body}
      </body>
    </html>`;
  return page.toString();
}
