/** Notes an alert and an effect of one run in a process of its own, and prints what is logged: `node traced-process.ts <run id>`. */
import { loadConfig } from '../../src/config.ts';
import { createTracing } from '../../src/tracing.ts';

const runId = process.argv[2] ?? '';
const { note, stop } = createTracing('worker', loadConfig(), console.log);
const attributes = { 'holdfast.incident': 'incident.shop.high-error-rate' };
note({ runId, name: 'alert', opens: true, from: Date.now() - 1000, attributes });
const error = new Error(`refused ${process.env['SENTRY_AUTH_TOKEN']}`);
note({ runId, name: 'rollBack', from: Date.now(), attributes, error });
await stop();
