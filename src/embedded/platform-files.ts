import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { identityOf, writeWhole } from '../processes.ts';

/** `platform.json`: there while the platform is ready. */
export const Platform = z.object({
  pid: z.number().int(),
  identity: z.string(),
  readyAt: z.string(),
  links: z.record(z.string(), z.string()),
});
export type Platform = z.output<typeof Platform>;

/** Keeps the locks of this process from being collected, which would release them. */
const held: DatabaseSync[] = [];
const Holder = z.object({ pid: z.number().int() });

/**
 * Claim a state folder for this process until it ends, however it ends: the lock is the operating system's.
 * Returns undefined, or the pid of the process that has it (0 when that is not known).
 */
export async function claim(stateDir: string): Promise<number | undefined> {
  await mkdir(stateDir, { recursive: true });
  const file = join(stateDir, 'supervisor.json');
  try {
    const lock = new DatabaseSync(join(stateDir, 'supervisor.lock'));
    lock.exec('begin exclusive');
    held.push(lock);
  } catch {
    return readFile(file, 'utf8').then(
      (text) => Holder.parse(JSON.parse(text)).pid,
      () => 0,
    );
  }
  await writeWhole(file, JSON.stringify({ pid: process.pid }));
  await Promise.all(['platform.json', 'platform.env'].map((name) => rm(join(stateDir, name), { force: true })));
  return undefined;
}

/** Write `platform.env` (mode 600), as `loadConfig` reads it. */
export async function writeEnvironment(stateDir: string, variables: Record<string, string>): Promise<void> {
  const lines = Object.entries(variables).map(([name, value]) => {
    const quote = ['"', "'", '`'].find((each) => !value.includes(each));
    return `${name}=${quote}${value}${quote}\n`;
  });
  await writeWhole(join(stateDir, 'platform.env'), lines.join(''));
}

/** Say that the platform is ready. */
export async function writeReady(stateDir: string, links: Platform['links']): Promise<void> {
  const identity = (await identityOf(process.pid)) ?? '';
  const platform: Platform = { pid: process.pid, identity, readyAt: new Date().toISOString(), links };
  await writeWhole(join(stateDir, 'platform.json'), JSON.stringify(platform, null, 2));
}

/** Say that it is no longer. */
export const removeReady = (stateDir: string): Promise<void> => rm(join(stateDir, 'platform.json'), { force: true });
