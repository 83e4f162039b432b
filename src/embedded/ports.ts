import { readFile, readdir, readlink } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { runCommand } from '../processes.ts';

/** A port nothing listens on at the moment. */
export const freePort = (): Promise<number> => listenOnce(0);

/**
 * Check that the ports of a configuration are free; a key is the variable that sets the port.
 * @throws Error that names each taken port, the process that holds it, and the variable to set.
 */
export async function assertPortsFree(ports: Record<string, number>): Promise<void> {
  const taken = await Promise.all(
    Object.entries(ports).map(async ([variable, port]) => {
      const free = await listenOnce(port).then(
        () => true,
        () => false,
      );
      return free
        ? []
        : [`port ${port} is taken by ${await portOwner(port)}: end it, or set ${variable} to another port`];
    }),
  );
  if (taken.flat().length > 0) throw new Error(`Cannot start:\n${taken.flat().join('\n')}`);
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const chosen = (server.address() as AddressInfo).port;
      server.close(() => resolve(chosen));
    });
  });
}

/** Pid and command of the process that listens on a port, as far as this user may see them. */
async function portOwner(port: number): Promise<string> {
  const pid = (await ownerInProc(port)) ?? (await ownerByLsof(port));
  if (pid === undefined) return 'a process this user cannot see';
  const command = await commandOf(pid);
  return `process ${pid}${command === '' ? '' : ` (${command.slice(0, 120)})`}`;
}

/** The command line of a process; empty when it cannot be read. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'linux')
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
  const { stdout } = await runCommand({ command: 'ps', args: ['-o', 'command=', '-p', String(pid)] }).catch(() => ({
    stdout: '',
  }));
  return stdout.trim();
}

const LISTEN = '0A';

async function ownerInProc(port: number): Promise<number | undefined> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const inodes = tables
    .flatMap((table) => table.split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === LISTEN && parseInt(local?.split(':')[1] ?? '', 16) === port)
    .map((fields) => `socket:[${fields[9]}]`);
  if (inodes.length === 0) return undefined;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (links.some((link) => inodes.includes(link))) return Number(pid);
  }
  return undefined;
}

async function ownerByLsof(port: number): Promise<number | undefined> {
  const args = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'];
  const { stdout } = await runCommand({ command: 'lsof', args }).catch(() => ({ stdout: '' }));
  return Number(stdout.split('\n')[0]) || undefined;
}
