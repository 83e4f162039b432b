import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { loadConfig } from '../config.ts';
import { identityOf, startAttached } from '../processes.ts';

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

async function running(): Promise<Record<string, string> | undefined> {
  try {
    const found = Running.parse(
      JSON.parse(await readFile(join(loadConfig().HOLDFAST_STATE_DIR, 'platform.json'), 'utf8')),
    );
    return (await identityOf(found.pid)) === found.identity ? found.links : undefined;
  } catch {
    return undefined; // not there, or half written: not ready
  }
}

/** Join the platform that runs, or start one that ends with this process. @throws Error when it cannot be started. */
export async function ensurePlatform(say: (line: string) => void): Promise<Platform> {
  const there = await running();
  if (there !== undefined) {
    say('The platform runs already; using it.');
    return { joined: true, links: there, end: async () => undefined, ended: Promise.resolve() };
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
  const links = await running();
  if (typeof code === 'number' || links === undefined)
    throw new Error('the platform did not start; the lines above say why');
  return { joined: false, links, end: async () => void (await child.end()), ended: child.ended.then(() => undefined) };
}
