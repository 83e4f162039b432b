import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, findProcess, lastLines, startProcess } from '../processes.ts';

const POLL_MS = 50;

/**
 * Start a process and wait until it serves. What does not get ready is ended.
 * @throws Error with the last lines of its log when it dies or is not ready within `withinMs`.
 */
export async function startTool(
  of: Parameters<typeof startProcess>[0] & { ready: () => Promise<boolean>; withinMs?: number },
): Promise<void> {
  const { ready, withinMs = 60_000, ...process } = of;
  const { logFile } = await startProcess(process);
  const deadline = Date.now() + withinMs;
  const fail = async (why: string): Promise<never> => {
    await endProcess(of.stateDir, of.name);
    throw new Error(`${of.name} ${why}; its log ${logFile} ends with:\n${await lastLines(logFile)}`);
  };
  while (!(await ready())) {
    if ((await findProcess(of.stateDir, of.name)) === undefined) await fail('ended before it was ready');
    if (Date.now() > deadline) await fail(`was not ready within ${withinMs / 1000} s`);
    await sleep(POLL_MS);
  }
}

/** Whether a URL answers with success within two seconds. */
export const answers = (url: string, init: RequestInit = {}): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2000), ...init }).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
