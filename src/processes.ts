import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, ExecaError } from 'execa';
import { z } from 'zod';

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

const POLL_MS = 25;
const LAST_BYTES = 64 * 1024;

const runFile = (stateDir: string, name: string): string => {
  if (!/^[\w][\w.-]*$/.test(name))
    throw new Error(`"${name}" cannot name a process: use letters, digits, ".", "-", "_"`);
  return join(resolve(stateDir), 'run', `${name}.json`);
};

/** Boot and start time of a live process; undefined when there is none. A zombie is none. */
export async function identityOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    const { stdout } = await execa('ps', ['-o', 'lstart=', '-p', String(pid)], { reject: false });
    return stdout.trim() || undefined;
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from field 3; the name before it may hold anything
  if (fields.length < 20 || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}:${fields[19]}`;
}

/** Replace a file at once, so that a reader never sees half of it. */
export async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  const draft = `${file}.${randomUUID()}.tmp`;
  await writeFile(draft, text, { mode });
  await rename(draft, file);
}

async function registered(stateDir: string, name: string): Promise<Registered | undefined> {
  const text = await readFile(runFile(stateDir, name), 'utf8').catch(() => '');
  try {
    return StartedProcess.parse(JSON.parse(text));
  } catch {
    return undefined; // no file, or one that a full disk cut short
  }
}

interface ToStart {
  stateDir: string;
  name: string;
  command: string;
  args: string[];
  cwd?: string;
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
  stopSignal?: Registered['stopSignal'];
}

/** A new process in a session of its own, registered unless it has ended already. @throws Error when it cannot be started. */
async function spawned({ stateDir, name, command, args, stopSignal = 'SIGTERM', ...options }: ToStart) {
  const file = runFile(stateDir, name);
  const running = await findProcess(stateDir, name);
  if (running !== undefined) throw new Error(`${name} runs already, with pid ${running.pid}`);
  const logFile = join(resolve(stateDir), 'logs', `${name}.log`);
  await Promise.all([file, logFile].map((each) => mkdir(dirname(each), { recursive: true })));
  const log = openSync(logFile, 'a', 0o600) as 3; // any open descriptor is passed on; execa's type names 3 to 9 only
  const child = execa(command, args, {
    ...options,
    stdio: ['ignore', log, log],
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} did not start: ${(await child).shortMessage}`);
  const identity = await identityOf(pid);
  const started = { name, pid, startedAt: new Date().toISOString(), logFile };
  if (identity !== undefined)
    await writeWhole(file, JSON.stringify({ ...started, identity, stopSignal } satisfies Registered));
  return { ...started, identity, child };
}

/**
 * Start a process in a session of its own, which survives its starter; its output goes to `<stateDir>/logs/<name>.log`.
 * `env` is laid over the starter's. `stopSignal` asks it to end (SIGTERM).
 * @throws Error when it cannot be started, ends at once, or one of this name runs already.
 */
export async function startProcess(of: ToStart): Promise<StartedProcess> {
  const { child, identity, ...started } = await spawned(of);
  if (identity === undefined) {
    const why = (await child).shortMessage ?? 'it ended at once';
    throw new Error(`${of.name} did not start: ${why}\n${await lastLines(started.logFile)}`.trim());
  }
  child.unref();
  return { ...started, identity };
}

/**
 * Run a command to its end as `startProcess` would start it, and end what it leaves in its group. An abort ends it early.
 * Returns its exit code; null when a signal ended it.
 * @throws Error when it cannot be started, or one of this name runs already.
 */
export async function runRegistered(of: ToStart & { signal: AbortSignal }): Promise<number | null> {
  const { signal: stop, ...toStart } = of;
  const { child, pid, identity } = await spawned(toStart);
  const ended = child.then(({ exitCode }) => exitCode ?? null);
  const aborted = new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([ended, aborted]);
  const known = await registered(of.stateDir, of.name);
  if (known?.identity === identity) await endProcess(of.stateDir, of.name);
  else if (stop.aborted) signalGroup(pid, 'SIGKILL');
  const code = await ended;
  signalGroup(pid, 'SIGKILL'); // no other process gets its number while its group lives
  return code;
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
 * End every process with one of these entries (`NAME=value`) in its environment, at once: also those whose starter was killed
 * before it could register them. On Linux; elsewhere nothing happens.
 */
export async function endMarked(entries: string[]): Promise<void> {
  const marks = new Set(entries);
  for (const pid of (await readdir('/proc').catch(() => [])).filter((each) => /^\d+$/.test(each))) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').some((entry) => marks.has(entry))) signal(Number(pid), 'SIGKILL');
  }
}

const signalGroup = (pid: number, name: NodeJS.Signals): void => signal(-pid, name);

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
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
