import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess, lastLines, startProcess } from '../../src/processes.ts';

export interface ActivityRequest {
  provider: string;
  activity: string;
  variables: object;
  settings: object;
  argument: object;
}

let number = 0;
/** Run an activity in a process of its own. */
async function startActivity(stateDir: string, request: ActivityRequest) {
  number += 1;
  const name = `worker-${number}`;
  const file = join(stateDir, `${name}.json`);
  await writeFile(file, JSON.stringify(request));
  const { pid, logFile } = await startProcess({
    stateDir,
    name,
    command: 'nice', // so that it is behind whoever waits for a moment in the middle of it
    args: ['-n', '19', process.execPath, join(__dirname, 'activity-process.ts'), file],
  });
  const lives = async (): Promise<boolean> => (await findProcess(stateDir, name)) !== undefined;
  return {
    pid,
    logFile,
    async until(when: () => Promise<boolean>): Promise<void> {
      for (let asked = 1; !(await when()); asked += 1) {
        if (asked % 50 === 0 && !(await lives())) throw new Error(await lastLines(logFile));
        await sleep(2);
      }
    },
    async ended(): Promise<void> {
      while (await lives()) await sleep(5);
    },
  };
}

/** Run an activity in a process of its own, and kill it (SIGKILL) as soon as `when` holds. */
export async function killedWhen(
  stateDir: string,
  request: ActivityRequest,
  when: () => Promise<boolean>,
): Promise<void> {
  const activity = await startActivity(stateDir, request);
  await activity.until(when);
  process.kill(activity.pid, 'SIGKILL');
  await activity.ended();
}

/** The same, but stop it (SIGSTOP); `goOn` lets it go on, and returns the end of what it said when it has ended. */
export async function stoppedWhen(
  stateDir: string,
  request: ActivityRequest,
  when: () => Promise<boolean>,
): Promise<{ goOn: () => Promise<string> }> {
  const activity = await startActivity(stateDir, request);
  await activity.until(when);
  process.kill(activity.pid, 'SIGSTOP');
  return {
    async goOn() {
      try {
        process.kill(activity.pid, 'SIGCONT');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it was killed meanwhile
      }
      await activity.ended();
      return await lastLines(activity.logFile);
    },
  };
}
