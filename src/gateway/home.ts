import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { html, raw } from 'hono/html';

const STYLE = 'body{font:16px system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem}li{margin:.5rem 0}';
const STYLE_HASH = `sha256-${createHash('sha256').update(STYLE).digest('base64')}`;

/** The page at `/`: the open incidents, with links into the Temporal UI. */
export async function home(of: {
  client: () => Promise<Client>;
  uiUrl: string | undefined;
  namespace: string;
}): Promise<{ html: string; style: string }> {
  let body;
  try {
    const client = await of.client();
    const open: { workflowId: string; runId: string; type: string; startTime: Date }[] = [];
    await client.connection.withDeadline(Date.now() + 2000, async () => {
      for await (const run of client.workflow.list({
        query: "ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH 'incident.'",
      })) {
        open.push(run);
        if (open.length >= 50) break;
      }
    });
    const items = open.map(({ workflowId, runId, startTime }) => {
      const href =
        of.uiUrl === undefined
          ? '#'
          : `${of.uiUrl}/namespaces/${of.namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}`;
      return html`<li><a href="${href}">${workflowId}</a> since ${startTime.toISOString()}</li>`;
    });
    body =
      open.length === 0
        ? html`<p>No incident is open.</p>`
        : html`<ul>
            ${items}
          </ul>`;
  } catch {
    body = html`<p>Temporal cannot be reached. Alerts are accepted and kept until it is back.</p>`;
  }
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Holdfast</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <h1>Holdfast</h1>
        <h2>Open incidents</h2>
        ${body}
      </body>
    </html>`;
  return { html: page.toString(), style: STYLE_HASH };
}
