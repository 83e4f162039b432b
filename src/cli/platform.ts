import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { loadConfig } from '../config.ts';
import { endProcess, identityOf, listProcesses, startAttached } from '../processes.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const Running = z.object({ pid: z.number(), identity: z.string(), links: z.record(z.string(), z.string()) });

export interface Platform {
  /** Whether it ran before. */
  joined: boolean;
  links: Record<string, string>;
  /** Stop it, if this process started it. */
  end(): Promise<void>;
  /** Resolves when a platform of ours ends by itself. */
  ended: Promise<void>;
}

async function running(): Promise<z.output<typeof Running> | undefined> {
  try {
    const found = Running.parse(
      JSON.parse(await readFile(join(loadConfig().HOLDFAST_STATE_DIR, 'platform.json'), 'utf8')),
    );
    return (await identityOf(found.pid)) === found.identity ? found : undefined;
  } catch {
    return undefined; // not there, or half written: not ready
  }
}

/** End the platform of the state folder, and what a killed one left running. Returns how many processes that were. */
export async function endPlatform(): Promise<number> {
  const { HOLDFAST_STATE_DIR: stateDir } = loadConfig();
  const there = await running();
  const parts = await listProcesses(stateDir);
  if (there !== undefined) {
    process.kill(there.pid, 'SIGTERM');
    while ((await identityOf(there.pid)) === there.identity) await sleep(100);
  }
  for (const { name } of await listProcesses(stateDir)) await endProcess(stateDir, name);
  return parts.length + (there === undefined ? 0 : 1);
}

/** Join the platform that runs, or start one that ends with this process. @throws Error when it cannot be started. */
export async function ensurePlatform(say: (line: string) => void): Promise<Platform> {
  const there = await running();
  if (there !== undefined) {
    say('The platform runs already; using it.');
    return { joined: true, links: there.links, end: async () => undefined, ended: Promise.resolve() };
  }
  let ready: () => void = () => undefined;
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const child = startAttached(
    { command: process.execPath, args: ['src/embedded/main.ts', '--with-parent'], cwd: ROOT },
    (line) => {
      say(line);
      if (line === 'Ready.') ready();
    },
  );
  const code = await Promise.race([isReady, child.ended]);
  const links = (await running())?.links;
  if (typeof code === 'number' || links === undefined)
    throw new Error('the platform did not start; the lines above say why');
  return { joined: false, links, end: async () => void (await child.end()), ended: child.ended.then(() => undefined) };
}

/** Where the passwords of the embedded platform's people are. */
export const howToSignIn = (): string =>
  `Sign in to the gateway's console with an address and password of ${join(loadConfig().HOLDFAST_STATE_DIR, 'accounts.json')}`;
