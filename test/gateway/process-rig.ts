import { resolve } from 'node:path';
import { findProcess, lastLines, startProcess } from '../../src/processes.ts';
import * as rig from './rig.ts';
import { startTemporalRig, TASK_QUEUE, type TemporalRig } from './temporal-rig.ts';
import { until } from '../support/until.ts';

const ROOT = resolve(__dirname, '../..');

/** One Temporal for the tests of a file, a state folder for each of them; nothing stays open from one to the next. */
export function forEachTest(end: (stateDir: string) => Promise<void> = async () => undefined) {
  const of = {} as { temporal: TemporalRig; stateDir: string };
  let folder: ReturnType<typeof rig.scratch>;
  beforeAll(async () => {
    of.temporal = await startTemporalRig();
  });
  afterAll(() => of.temporal[Symbol.asyncDispose]());
  beforeEach(() => {
    folder = rig.scratch();
    of.stateDir = folder.stateDir;
  });
  afterEach(async () => {
    await end(of.stateDir);
    await of.temporal.clear();
    await folder[Symbol.asyncDispose]();
  });
  return of;
}

/** The gateway as a process of its own, as `npm run gateway` starts it. */
export async function startGatewayProcess(stateDir: string, change: Record<string, string>, name = 'gateway') {
  const started = await startProcess({
    stateDir,
    name,
    command: process.execPath,
    args: ['src/gateway/main.ts'],
    cwd: ROOT,
    env: rig.gatewayEnv(stateDir, { HOLDFAST_TASK_QUEUE: TASK_QUEUE, ...change }),
  });
  let url: string | undefined;
  await until(async () => {
    const log = await lastLines(started.logFile);
    if ((await findProcess(stateDir, name)) === undefined) throw new Error(log);
    url = /ready on (http:\S+)\s*$/.exec(log)?.[1];
    if (url === undefined) return false;
    return await fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false, // an earlier gateway's
    );
  });
  return { ...started, url: String(url) };
}

/** Do all of these, at most 50 at a time. */
export async function inParallel<T>(count: number, act: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      results[i] = await act(i);
    }
  };
  await Promise.all(Array.from({ length: 50 }, lane));
  return results;
}
