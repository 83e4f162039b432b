/** Fetches every tool of the platform and its tests that is missing: `node src/embedded/fetch.ts`. */
import { bugsinkEnvironment } from './bugsink.ts';
import { caddyBinary } from './caddy.ts';
import { postgresClient } from './postgres-client.ts';
import { schemathesis } from './schemathesis.ts';
import { temporalCli, temporalTestServer } from './temporal.ts';

const tools = {
  Temporal: temporalCli,
  'Temporal test server': temporalTestServer,
  Caddy: caddyBinary,
  Bugsink: bugsinkEnvironment,
  'Postgres client': postgresClient,
  Schemathesis: schemathesis,
};
for (const [label, fetchTool] of Object.entries(tools)) {
  try {
    await fetchTool((what) => console.log(`${label}  ${what}`));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
