import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, HEAP } from '../node-options.ts';
import { answers, startTool } from './start-tool.ts';
import { ROOT, silent, type Say } from './tools.ts';

/** Start the gateway with the platform's environment; ready when it says so itself. */
export async function startGateway(of: {
  stateDir: string;
  port: number;
  env: Record<string, string>;
  say?: Say;
}): Promise<{ url: string }> {
  const { stateDir, port, env, say = silent } = of;
  say('starting…');
  const url = `http://127.0.0.1:${port}`;
  await startTool({
    stateDir,
    name: 'gateway',
    command: process.execPath,
    args: [...EXIT, 'src/gateway/main.ts'],
    cwd: ROOT,
    env,
    ready: () => answers(`${url}/readyz`),
  });
  return { url };
}

/** Start the worker with the platform's environment; ready when it writes `worker ready`. */
export async function startWorker(of: { stateDir: string; env: Record<string, string>; say?: Say }): Promise<void> {
  const { stateDir, env, say = silent } = of;
  say('starting…');
  const logFile = join(stateDir, 'logs', 'worker.log');
  const before = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  await startTool({
    stateDir,
    name: 'worker',
    command: process.execPath,
    args: [...EXIT, ...HEAP, 'workers/main.ts'],
    cwd: ROOT,
    env,
    ready: async () => (await readFile(logFile)).subarray(before).includes('worker ready'),
    withinMs: 120_000,
  });
}
