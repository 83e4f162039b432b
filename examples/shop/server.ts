import './errors.ts';
import { serve } from '@hono/node-server';
import { app } from './app.ts';
import { config } from './config.ts';
import { flushErrors } from './errors.ts';
import { closeFlags, openFlags } from './flags.ts';

await openFlags();
const server = serve({ fetch: app.fetch, hostname: config.host, port: config.port }, ({ port }) =>
  console.log(`shop ${config.version} serves on ${config.host}:${port}`),
);

/** Answer what is in flight, then end. */
function stop(): void {
  server.close(() => {
    void Promise.all([flushErrors(), closeFlags()]).finally(() => process.exit(0));
  });
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
