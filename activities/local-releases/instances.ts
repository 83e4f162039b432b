import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { sleep } from '@temporalio/activity';
import { endProcess, endStrays, findProcess, lastLines, startProcess, writeWhole } from '../../src/processes.ts';
import { failure } from '../../src/errors.ts';
import type { Instance } from './state.ts';

const HEALTHY_WITHIN_MS = 30_000;
const PROBE_MS = 2000;
const POLL_MS = 100;
const GRACE_MS = 10_000;

/** A port that nothing listens on, asked from the operating system. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether it lives and its health path answers with a success. */
export async function healthy(stateDir: string, { name, port }: Instance, healthPath: string): Promise<boolean> {
  const answered = await fetch(`http://127.0.0.1:${port}${healthPath}`, { signal: AbortSignal.timeout(PROBE_MS) }).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
  return answered && (await findProcess(stateDir, name)) !== undefined;
}

/**
 * Start one instance and wait until it is healthy.
 * @throws ReleaseFailed (permanent), with the last lines of its log, when it ends or is not healthy within 30 seconds.
 */
export async function startInstance(of: {
  stateDir: string;
  instance: Instance;
  cwd: string;
  start: string[];
  env: Record<string, string>;
  healthPath: string;
}): Promise<void> {
  const { stateDir, instance, cwd, start, env, healthPath } = of;
  const [command = '', ...args] = start;
  const { name, port } = instance;
  const failed = (why: string, log: string) =>
    failure('ReleaseFailed', `${name} ${why}; it took no traffic${log === '' ? '' : `:\n${log}`}`);
  const started = await startProcess({
    stateDir,
    name,
    command,
    args,
    cwd,
    env: { ...env, HOST: '127.0.0.1', PORT: String(port) },
  }).catch((error: Error) => {
    throw failed('did not start', error.message.slice(-2000));
  });
  const deadline = Date.now() + HEALTHY_WITHIN_MS;
  while (!(await healthy(stateDir, instance, healthPath))) {
    const ended = (await findProcess(stateDir, name)) === undefined;
    if (ended || Date.now() > deadline)
      throw failed(ended ? 'ended' : 'did not become healthy', (await lastLines(started.logFile)).slice(-2000));
    await sleep(POLL_MS);
  }
}

/** End instances, also those that never ran, and those whose starter was killed before it could register them. */
export async function endInstances(stateDir: string, instances: Instance[]): Promise<void> {
  await Promise.all(instances.map(({ name }) => endProcess(stateDir, name, GRACE_MS)));
  await endStrays(
    stateDir,
    instances.map(({ name }) => name),
  );
}

/**
 * Tell Prometheus, and the scrape provider, where the running instances are.
 * Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
 */
export async function writeTargets(
  stateDir: string,
  of: { service: string; environment: string; groups: { version: string; instances: Instance[] }[] },
): Promise<void> {
  const { service, environment, groups } = of;
  const entries = groups.map(({ version, instances }) => ({
    targets: instances.map(({ port }) => `127.0.0.1:${port}`),
    labels: { service, environment, version },
  }));
  const file = join(stateDir, 'targets', `${service}-${environment}.json`);
  await mkdir(dirname(file), { recursive: true });
  await writeWhole(file, JSON.stringify(entries), 0o644);
}
