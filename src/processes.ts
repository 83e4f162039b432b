import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, ExecaError } from 'execa';
import { z } from 'zod';
import { failure } from './errors.ts';

/** `identity` tells this process from a later one with the same pid. */
const StartedProcess = z.object({
  name: z.string(),
  pid: z.number().int().positive(),
  identity: z.string(),
  startedAt: z.string(),
  logFile: z.string(),
  stopSignal: z.enum(['SIGTERM', 'SIGINT', 'SIGQUIT']).default('SIGTERM'),
});
type Registered = z.output<typeof StartedProcess>;
export type StartedProcess = Omit<Registered, 'stopSignal'>;

/** In the environment of a process and of what it starts, by which they are found in the process table (on Linux). */
const MARK = 'HOLDFAST_PROCESS';
const POLL_MS = 25;
const LAST_BYTES = 64 * 1024;

const runFile = (stateDir: string, name: string): string => {
  if (!/^[\w][\w.-]*$/.test(name))
    throw new Error(`"${name}" cannot name a process: use letters, digits, ".", "-", "_"`);
  return join(resolve(stateDir), 'run', `${name}.json`);
};

const logFileOf = ({ stateDir, name }: Pick<Program, 'stateDir' | 'name'>): string =>
  join(resolve(stateDir), 'logs', `${name}.log`);
const markOf = (stateDir: string, name: string): string => join(resolve(stateDir), name);

/** Boot and start time of a live process; undefined when there is none. A zombie is none. */
export async function identityOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    const { stdout } = await execa('ps', ['-o', 'lstart=', '-p', String(pid)], { reject: false });
    return stdout.trim() || undefined;
  }
  const stat = (await readIfThere(`/proc/${pid}/stat`)) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from field 3; the name before it may hold anything
  if (fields.length < 20 || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}:${fields[19]}`;
}

/** The text of a file; undefined where there is none. @throws Unavailable when one that is there cannot be read. */
export async function readIfThere(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'ENOENT' || code === 'ESRCH') return undefined; // ESRCH: of /proc, while its process ends
    throw failure('Unavailable', `${file} cannot be read: ${message}`);
  });
}

/** Replace a file at once, so that a reader never sees half of it. */
export async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  const draft = `${file}.${randomUUID()}.tmp`;
  await writeFile(draft, text, { mode });
  await rename(draft, file);
}

async function registered(stateDir: string, name: string): Promise<Registered | undefined> {
  const text = (await readIfThere(runFile(stateDir, name))) ?? '';
  try {
    return StartedProcess.parse(JSON.parse(text));
  } catch {
    return undefined; // no file, or one that a full disk cut short
  }
}

interface Program {
  stateDir: string;
  name: string;
  command: string;
  args: string[];
  cwd?: string;
  /** Laid over the starter's. */
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
  /** Asks it to end (SIGTERM). */
  stopSignal?: Registered['stopSignal'];
  /** Where its output is appended: `<stateDir>/logs/<name>.log`, where not given. */
  logFile?: string;
}

/** Start and register; `started` is undefined when it ended before that. `ended` says how; undefined is with 0. */
async function spawn(
  of: Program,
): Promise<{ pid?: number; started?: StartedProcess; ended: Promise<string | undefined> }> {
  const { stateDir, name, command, args, stopSignal = 'SIGTERM', logFile: given, env, ...options } = of;
  const file = runFile(stateDir, name);
  const running = await findProcess(stateDir, name);
  if (running !== undefined) throw new Error(`${name} runs already, with pid ${running.pid}`);
  const logFile = given ?? logFileOf(of);
  await Promise.all([file, logFile].map((each) => mkdir(dirname(each), { recursive: true })));
  const log = openSync(logFile, 'a', 0o600) as 3; // any open descriptor is passed on; execa's type names 3 to 9 only
  const child = execa(command, args, {
    ...options,
    env: { ...env, [MARK]: markOf(stateDir, name) },
    stdio: ['ignore', log, log],
    detached: true,
    cleanup: false,
    buffer: false,
  });
  closeSync(log);
  const ended = child.then(
    () => undefined,
    (error: unknown) => (error instanceof ExecaError ? error.shortMessage : String(error)),
  );
  const { pid } = child;
  const identity = pid === undefined ? undefined : await identityOf(pid);
  if (pid === undefined || identity === undefined) return { ...(pid === undefined ? {} : { pid }), ended };
  child.unref();
  const started = { name, pid, identity, startedAt: new Date().toISOString(), logFile };
  await writeWhole(file, JSON.stringify({ ...started, stopSignal } satisfies Registered));
  return { pid, started, ended };
}

/**
 * Start a process in a session of its own, which survives its starter.
 * @throws Error when it cannot be started, ends at once, or one of this name runs already.
 */
export async function startProcess(of: Program): Promise<StartedProcess> {
  const { started, ended } = await spawn(of);
  if (started !== undefined) return started;
  const how = (await ended) ?? 'it ended at once';
  throw new Error(`${of.name} did not start: ${how}\n${await lastLines(of.logFile ?? logFileOf(of))}`.trim());
}

/**
 * Run a command to its end as a process that `findProcess` and `endProcess` know, with its output in its log. What it leaves
 * running is ended. Resolves with how it failed; with undefined when it did not.
 * @throws the signal's reason when it is aborted, once the command has ended.
 */
export async function runRegistered(
  of: Program & { signal: AbortSignal; graceMs?: number },
): Promise<string | undefined> {
  const { signal, graceMs, ...program } = of;
  const { stateDir, name } = program;
  signal.throwIfAborted();
  const { pid, ended } = await spawn(program);
  let ending: Promise<void> | undefined;
  const end = () => void (ending ??= endProcess(stateDir, name, graceMs));
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  const failed = await ended;
  signal.removeEventListener('abort', end);
  await ending;
  if (pid !== undefined) signalGroup(pid, 'SIGKILL');
  await endStrays(stateDir, [name]);
  await rm(runFile(stateDir, name), { force: true });
  signal.throwIfAborted();
  return failed;
}

/** The registered process of this name, if it lives and is the one that was registered. */
export async function findProcess(stateDir: string, name: string): Promise<StartedProcess | undefined> {
  const found = await registered(stateDir, name);
  return found !== undefined && (await identityOf(found.pid)) === found.identity ? found : undefined;
}

/** Names of all registered processes, alive or not. */
export async function registeredNames(stateDir: string): Promise<string[]> {
  const files = await readdir(join(resolve(stateDir), 'run')).catch(() => []);
  return files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
}

/** The registered processes that live. */
export async function listProcesses(stateDir: string): Promise<StartedProcess[]> {
  const found = await Promise.all((await registeredNames(stateDir)).map((name) => findProcess(stateDir, name)));
  return found.filter((each) => each !== undefined);
}

/**
 * End a process and its group: its stop signal, then SIGKILL after `graceMs`. Forgets it. Nothing happens when it is gone;
 * a pid that now belongs to another process is left alone.
 */
export async function endProcess(stateDir: string, name: string, graceMs = 10_000): Promise<void> {
  const found = await registered(stateDir, name);
  if (found !== undefined && (await identityOf(found.pid)) === found.identity) {
    const deadline = Date.now() + graceMs;
    signalGroup(found.pid, found.stopSignal);
    while ((await identityOf(found.pid)) === found.identity) {
      if (Date.now() > deadline) signalGroup(found.pid, 'SIGKILL');
      await sleep(POLL_MS);
    }
    signalGroup(found.pid, 'SIGKILL'); // children that outlived it
  }
  await rm(runFile(stateDir, name), { force: true });
}

/**
 * Kill what processes of these names have left running, also those whose starter was killed before it could register them.
 * Only on Linux.
 */
export async function endStrays(stateDir: string, names: string[]): Promise<void> {
  const marks = new Set(names.map((name) => `${MARK}=${markOf(stateDir, name)}`));
  for (const pid of (await readdir('/proc').catch(() => [])).filter((each) => /^\d+$/.test(each))) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').some((entry) => marks.has(entry))) kill(Number(pid), 'SIGKILL');
  }
}

/** Kill a process that was stopped (SIGSTOP): its number as text. Nothing happens to one that runs. Only on Linux. */
export async function endStopped(pid: string): Promise<void> {
  if (!/^[1-9]\d*$/.test(pid) || Number(pid) === process.pid) return;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (/^\d+ \(.*\) T /s.test(stat)) kill(Number(pid), 'SIGKILL');
}

const signalGroup = (pid: number, signal: NodeJS.Signals): void => kill(-pid, signal);

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The end of a log, at most `count` lines; empty when there is none. */
export async function lastLines(logFile: string, count = 20): Promise<string> {
  const file = await open(logFile, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const length = Math.min(size, LAST_BYTES);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8').trimEnd().split('\n').slice(-count).join('\n');
  } finally {
    await file.close();
  }
}

/**
 * Run a command to its end, without a shell. `env` is laid over the starter's.
 * @throws Error that names the command and ends with the last lines it wrote to stderr.
 */
export async function runCommand(of: {
  command: string;
  args: string[];
  cwd?: string;
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
  timeoutMs?: number;
  signal?: AbortSignal;
}): Promise<{ stdout: string }> {
  const { command, args, timeoutMs = 0, signal, ...options } = of;
  try {
    const { stdout } = await execa(command, args, {
      ...options,
      stdin: 'ignore',
      timeout: timeoutMs,
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    return { stdout };
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    const said = String(error.stderr ?? '')
      .trimEnd()
      .split('\n')
      .slice(-20)
      .join('\n');
    throw new Error(`${error.shortMessage}\n${said}`.trim(), { cause: error });
  }
}

/**
 * Start a process that ends with this one: its standard input is a pipe of ours, which it is to watch. In a session of its
 * own, so that Ctrl-C reaches the starter alone. `ended` resolves with the exit code (null after a signal).
 */
export function startAttached(
  of: { command: string; args: string[]; cwd: string },
  onLine: (line: string) => void,
): { ended: Promise<number | null>; end(): Promise<number | null> } {
  const child = execa(of.command, of.args, {
    cwd: of.cwd,
    stdin: 'pipe',
    all: true,
    detached: true,
    buffer: false,
    reject: false,
  });
  void (async () => {
    for await (const line of child.iterable({ from: 'all' })) onLine(line);
  })();
  const ended = child.then(({ exitCode }) => exitCode ?? null);
  return {
    ended,
    end() {
      child.stdin.end();
      return ended;
    },
  };
}
