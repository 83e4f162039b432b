import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, findProcess, lastLines, registeredNames } from '../processes.ts';
import type { Say } from './tools.ts';

const WATCH_MS = 500;
const OFTEN = { crashes: 5, withinMs: 60_000 };
const BACKOFF_MS = { first: 500, most: 3000 };
const GRACE_MS = 20_000;
const SETTLE_MS = 5000;

/** What ends first and what ends last; whatever is registered and not named here (a service's instances) ends in between. */
const FIRST = ['worker', 'gateway'];
const LAST = [
  ['caddy', 'bugsink', 'supabase', 'app-supabase'],
  ['pgbouncer'],
  ['postgres', 'app-postgres', 'temporal'],
];

/** End every registered process of a state folder, users before what they use. */
export async function endAll(stateDir: string): Promise<void> {
  const others = (await registeredNames(stateDir)).filter((name) => ![...FIRST, ...LAST.flat()].includes(name));
  for (const names of [FIRST, others, ...LAST])
    await Promise.all(names.map((name) => endProcess(stateDir, name, GRACE_MS)));
}

export interface Supervisor {
  /** Start a part, tell how it goes, and from then on start it again when it crashes. `name` is that of its process. */
  run<T>(label: string, name: string, start: (say: Say) => Promise<T>): Promise<T>;
  /** Watch no more, and end everything. */
  stop(): Promise<void>;
}

/** Keeps the parts of a state folder up: a crash is told with the last lines of the log, and mended with back-off. */
export function superviseParts(stateDir: string, print: (line: string) => void): Supervisor {
  const stopped = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  const tracked = <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    const forget = () => void underWay.delete(work);
    work.then(forget, forget);
    return work;
  };

  /** A part tells what it does before it does it: after `stop` it goes no further. */
  const sayer =
    (label: string, write: (line: string) => void): Say =>
    (what) => {
      stopped.signal.throwIfAborted();
      write(`${label.padEnd(10)}${what}`);
    };

  async function run<T>(label: string, name: string, start: (say: Say) => Promise<T>): Promise<T> {
    const say = sayer(label, print);
    const begun = performance.now();
    const value = await tracked(start(say));
    say(`ready in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    void tracked(keepUp(label, name, start));
    return value;
  }

  async function keepUp(label: string, name: string, start: (say: Say) => Promise<unknown>): Promise<void> {
    const say = sayer(label, print);
    const pause = (ms: number) => sleep(ms, undefined, { signal: stopped.signal });
    const log = join(stateDir, 'logs', `${name}.log`);
    const crashes: number[] = [];
    try {
      for (;;) {
        await pause(WATCH_MS);
        if ((await findProcess(stateDir, name).catch(() => 'not known')) !== undefined) continue;
        const now = Date.now();
        crashes.splice(0, crashes.length, ...crashes.filter((at) => at > now - OFTEN.withinMs), now);
        say(`has crashed; its log ${log} ends with:\n${await lastLines(log, 10)}`);
        if (crashes.length > OFTEN.crashes)
          say(
            `has crashed ${crashes.length} times within a minute: mend what its log says; it is tried again and again`,
          );
        await pause(Math.min(BACKOFF_MS.first * 2 ** (crashes.length - 1), BACKOFF_MS.most));
        const mishap = await start(sayer(label, () => undefined)).then(
          () => undefined,
          (error: unknown) => (error instanceof Error ? error.message : String(error)),
        );
        say(mishap === undefined ? 'is up again' : `did not come back: ${mishap}`);
      }
    } catch (error) {
      if (!stopped.signal.aborted) throw error;
    }
  }

  return {
    run,
    stop: async () => {
      stopped.abort();
      await endAll(stateDir);
      await Promise.race([Promise.allSettled(underWay), sleep(SETTLE_MS)]);
      await endAll(stateDir); // what was starting meanwhile
    },
  };
}
