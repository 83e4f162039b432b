import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { endStopped, writeWhole } from './processes.ts';

const SQLITE_BUSY = 5;
const POLL_MS = 100;
/** How long a holder that was stopped (SIGSTOP) is waited for. */
const STOPPED_MS = 5000;

/**
 * Work while no other process on this machine does under the same lock file. The lock is the operating system's: it ends with
 * its holder. A holder that was stopped would keep it for ever, and wake up to act on what it knew then: it is killed.
 * @throws the signal's reason when it is aborted while waiting.
 */
export async function locked<T>(file: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const lock = new DatabaseSync(file);
  const holder = `${file}.holder`;
  try {
    for (let waitedMs = 0; !taken(lock); waitedMs += POLL_MS) {
      signal.throwIfAborted();
      await sleep(POLL_MS);
      if (waitedMs >= STOPPED_MS) await endStopped(await readFile(holder, 'utf8').catch(() => ''));
    }
    await writeWhole(holder, String(process.pid));
    return await work();
  } finally {
    lock.close();
  }
}

function taken(lock: DatabaseSync): boolean {
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
