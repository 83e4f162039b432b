import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/ports.ts';
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

  it('builds its workflows and starts its platform', async () => {
    const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, files]) => files?.split(' ') ?? [],
    );
    for (const file of [...copied, '.npmrc']) cpSync(join(ROOT, file), join(home, file), { recursive: true });
    await runCommand({ command: 'npm', args: ['ci', '--ignore-scripts', '--omit=dev', '--prefer-offline'], cwd: home });
    const built = await runCommand({ command: process.execPath, args: ['workers/prebuild.ts'], cwd: home });
    expect(built.stdout).toContain('for payloads in plain text');

    const args = ['src/embedded/main.ts', '--state-dir', stateDir, '--only', 'postgres'];
    const env = { HOLDFAST_POSTGRES_PORT: String(await freePort()) };
    const platform = { stateDir: scratch, name: 'platform', command: process.execPath, args, cwd: home, env };
    const { logFile } = await startProcess(platform);
    await until(async () => {
      if ((await findProcess(scratch, 'platform')) === undefined) throw new Error(await lastLines(logFile));
      return existsSync(join(stateDir, 'platform.json'));
    });
  }, 300_000);
});
