import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { findProcess, lastLines, runCommand, startProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { ROOT, textOf } from './compose.ts';

interface Manifest {
  allowScripts: Record<string, boolean>;
}
interface Lock {
  packages: Record<string, { name?: string; version: string; hasInstallScript?: boolean }>;
}
interface Component {
  'bom-ref': string;
  hashes?: unknown[];
}
const read = <T>(...path: string[]): T => JSON.parse(readFileSync(join(ROOT, ...path), 'utf8')) as T;
const nameOf = (folder: string): string => folder.replace(/^.*node_modules\//, '');

it.each(['.', 'examples/shop'])(
  'says of each package of %s with a script for its install whether it may run',
  (folder) => {
    const { allowScripts } = read<Manifest>(folder, 'package.json');
    const { packages } = read<Lock>(folder, 'package-lock.json');
    const scripted = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript === true);
    expect(Object.keys(allowScripts).sort()).toEqual(scripted.map(([path]) => nameOf(path)).sort());
  },
);

it('lists each package of the lock file in a bill of materials, by its digest', async () => {
  const { stdout } = await runCommand({ command: 'npm', args: ['run', '--silent', 'sbom'], cwd: ROOT });
  const { bomFormat, components } = JSON.parse(stdout) as { bomFormat: string; components: Component[] };
  expect(bomFormat).toBe('CycloneDX');
  const listed = components.filter(({ hashes }) => hashes !== undefined).map((component) => component['bom-ref']);
  const { packages } = read<Lock>('package-lock.json');
  const locked = Object.entries(packages).filter(([folder]) => folder !== '');
  const wanted = locked.map(([folder, { name = nameOf(folder), version }]) => `${name}@${version}`);
  expect(wanted.filter((one) => !listed.includes(one))).toEqual([]);
});

describe('where no script of a package has run', () => {
  const scratch = scratchFolder();
  const home = join(scratch, 'holdfast');
  const stateDir = join(home, '.holdfast');
  afterAll(() => removeScratch(stateDir).then(() => removeScratch(scratch)));
  /** Start a program of that tree, until it is `ready` by what it has said. */
  const start = async (of: {
    name: string;
    args: string[];
    env: Record<string, string>;
    ready: (said: string) => boolean;
  }) => {
    const { name, args, env, ready } = of;
    const { logFile } = await startProcess({
      stateDir: scratch,
      name,
      command: process.execPath,
      args,
      cwd: home,
      env,
    });
    await until(async () => {
      const said = await lastLines(logFile);
      if ((await findProcess(scratch, name)) === undefined) throw new Error(said);
      return ready(said);
    });
  };
  beforeAll(async () => {
    const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, files]) => files?.split(' ') ?? [],
    );
    for (const file of [...copied, '.npmrc']) cpSync(join(ROOT, file), join(home, file), { recursive: true });
    await runCommand({ command: 'npm', args: ['ci', '--ignore-scripts', '--omit=dev', '--prefer-offline'], cwd: home });
  }, 300_000);

  it('builds its workflows, and runs its gateway and a worker on them', async () => {
    const built = await runCommand({ command: process.execPath, args: ['workers/prebuild.ts'], cwd: home });
    expect(built.stdout).toContain('for payloads in plain text');
    const { address } = await startTemporal({ stateDir: scratch, port: await freePort(), uiPort: await freePort() });
    const port = String(await freePort());
    const env = { HOLDFAST_STATE_DIR: stateDir, TEMPORAL_ADDRESS: address, HOLDFAST_GATEWAY_PORT: port };
    await start({ name: 'worker', args: ['workers/main.ts'], env, ready: (said) => said.includes('worker ready on') });
    await start({
      name: 'gateway',
      args: ['src/gateway/main.ts'],
      env,
      ready: (said) => said.includes('gateway ready on'),
    });
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect(await ready.json()).toMatchObject({ status: 'ready', temporal: 'reachable' });
  }, 120_000);

  it('starts its platform', async () => {
    const args = ['src/embedded/main.ts', '--state-dir', stateDir, '--only', 'postgres'];
    const env = { HOLDFAST_POSTGRES_PORT: String(await freePort()) };
    await start({ name: 'platform', args, env, ready: () => existsSync(join(stateDir, 'platform.json')) });
    expect(existsSync(join(stateDir, 'platform.env'))).toBe(true);
  }, 120_000);
});
