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
/** Run an activity in a process of its own, and kill it (SIGKILL) as soon as `when` holds. */
export async function killedWhen(
  stateDir: string,
  request: ActivityRequest,
  when: () => Promise<boolean>,
): Promise<void> {
  number += 1;
  const name = `worker-${number}`;
  const file = join(stateDir, `${name}.json`);
  await writeFile(file, JSON.stringify(request));
  const { pid, logFile } = await startProcess({
    stateDir,
    name,
    command: process.execPath,
    args: [join(__dirname, 'activity-process.ts'), file],
  });
  while (!(await when())) {
    if ((await findProcess(stateDir, name)) === undefined) throw new Error(await lastLines(logFile));
    await sleep(2);
  }
  process.kill(pid, 'SIGKILL');
  while ((await findProcess(stateDir, name)) !== undefined) await sleep(5);
}
