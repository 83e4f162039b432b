/** What the measurements share: a state folder of their own, requests, waiting, quantiles, and the end of what they started. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, listProcesses, startProcess } from '../src/processes.ts';

const POLL_MS = 5;
const START_MS = 60_000;
export const TOKEN = 'a-bearer-token';
export const root = join(import.meta.dirname, '..');
export const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));

/** Start a part of Holdfast in this state folder, over the services of `bench/holdfast.config.ts`. */
export const startPart = (name: string, args: string[], env: Record<string, string>) =>
  startProcess({
    stateDir,
    name,
    command: process.execPath,
    args,
    cwd: root,
    env: {
      HOLDFAST_STATE_DIR: stateDir,
      HOLDFAST_CONFIG: 'bench/holdfast.config.ts',
      HOLDFAST_ALERTMANAGER_TOKEN: TOKEN,
      ...env,
    },
  });

export const post = (url: string, body: object): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify(body),
  });

/** What an Alertmanager sends of one alert. */
export const groupOf = (of: { alertname: string; service: string; fingerprint: string }) => ({
  version: '4',
  groupKey: `${of.alertname}:${of.service}`,
  status: 'firing',
  alerts: [
    {
      status: 'firing',
      labels: { alertname: of.alertname, service: of.service, environment: 'production', severity: 'critical' },
      annotations: { summary: 'every fifth request fails' },
      startsAt: new Date().toISOString(),
      endsAt: '0001-01-01T00:00:00Z',
      fingerprint: of.fingerprint,
    },
  ],
});

/** What it answers once it does; `undefined` and a failure mean not yet. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { pollMs = POLL_MS, withinMs = START_MS } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`${what}: not in ${withinMs / 1000} s, see ${stateDir}/logs`);
    await sleep(pollMs);
  }
}

export const quantile = (numbers: number[], q: number): number =>
  numbers.toSorted((a, b) => a - b)[Math.ceil(q * numbers.length) - 1] as number;

/** The most that a process has had resident, MiB. */
export const peakMib = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Print a figure beside its limit; the exit code is 1 when it is over. */
export function limited(what: string, is: number, most: number, unit = ''): void {
  const over = is > most;
  console.log(`${what}: ${Number.isInteger(is) ? is : is.toFixed(1)}${unit}, at most ${most}${over ? ' (over)' : ''}`);
  if (over) process.exitCode = 1;
}

/** End every process that was started with the state folder, and remove it. */
export async function cleanUp(): Promise<void> {
  for (const { name } of await listProcesses(stateDir)) await endProcess(stateDir, name);
  await rm(stateDir, { recursive: true, force: true });
}
