/** Alerts in, straight to Temporal: no authentication, no inbox, no coalescing. */
import { serve } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import { Hono } from 'hono';
import { loadConfig } from '../src/config.ts';

const { TEMPORAL_ADDRESS: address, HOLDFAST_GATEWAY_PORT: port, HOLDFAST_TASK_QUEUE: taskQueue } = loadConfig();
const { workflow } = new Client({ connection: await Connection.connect({ address }) });
const app = new Hono().post('/alerts/:service', async (c) => {
  const service = c.req.param('service');
  await workflow.signalWithStart('bareIncident', {
    workflowId: `bare.${service}`,
    taskQueue,
    args: [{ service, environment: 'production', severity: 'critical' }],
    signal: 'addAlerts',
    signalArgs: [await c.req.json()],
  });
  return c.json({}, 202);
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port });
