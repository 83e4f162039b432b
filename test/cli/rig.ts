/** A real Temporal with a worker over simulated systems, and the command line beside it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createSimulator } from '../../activities/simulator.ts';
import { codecKeysOf, dataConverterOf } from '../../src/codec.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { EXIT } from '../../src/node-options.ts';
import { endProcess, runCommand } from '../../src/processes.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import type { Ended } from './run-commands.ts';

const ROOT = join(__dirname, '..', '..');

/** `keys`: those that payloads are encrypted with, as `HOLDFAST_CODEC_KEYS` has them. */
export async function startRig(overrides: Partial<Ports>, { keys }: { keys?: string } = {}) {
  const dataConverter = dataConverterOf(codecKeysOf(keys), String);
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const simulator = createSimulator(overrides);
  const stateDir = scratchFolder();
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection: native,
    taskQueue: 'holdfast',
    workflowBundle: await workflowBundle('.holdfast', dataConverter),
    dataConverter,
    activities: simulator.ports,
    sinks: { failures: { workflowFailed: { fn: () => undefined } } },
  });
  const running = worker.run();
  const toolsDir = process.env['HOLDFAST_TOOLS_DIR'] ?? join(ROOT, '.holdfast', 'tools');
  const env: Record<string, string> = {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_TOOLS_DIR: toolsDir,
    TEMPORAL_ADDRESS: address,
    ...(keys !== undefined && { HOLDFAST_CODEC_KEYS: keys }),
  };
  /** Run a command; its exit code, and what it printed or what its error was. */
  const cli = async (...args: string[]): Promise<{ code: number; text: string }> =>
    await runCommand({ command: process.execPath, args: [...EXIT, 'src/cli/main.ts', ...args], cwd: ROOT, env }).then(
      ({ stdout }) => ({ code: 0, text: stdout }),
      (error: Error & { cause?: { exitCode?: number } }) => ({ code: error.cause?.exitCode ?? 1, text: error.message }),
    );
  /** Run commands one after the other, in one process. */
  const inTurn = async (commands: string[][]): Promise<Ended[]> => {
    const args = ['test/cli/run-commands.ts', JSON.stringify(commands)];
    const { stdout } = await runCommand({ command: process.execPath, args, cwd: ROOT, env });
    return JSON.parse(stdout) as Ended[];
  };
  return {
    simulator,
    stateDir,
    address,
    client: new Client({ connection, dataConverter }),
    dataConverter,
    /** One without the keys. */
    outsider: new Client({ connection }),
    cli,
    inTurn,
    async json<T>(...args: string[]): Promise<T> {
      const { code, text } = await cli(...args, '--json');
      if (code !== 0) throw new Error(text);
      return JSON.parse(text) as T;
    },
    /** Write a configuration; the command line takes it from then on where `inUse` is set. */
    configure(name: string, settings: object, { inUse }: { inUse: boolean }): string {
      const file = join(stateDir, name);
      writeFileSync(file, `export default ${JSON.stringify(settings, null, 2)};\n`);
      if (inUse) env['HOLDFAST_CONFIG'] = file;
      return file;
    },
    async close() {
      worker.shutdown();
      await running;
      await native.close();
      await connection.close();
      await endProcess(stateDir, 'temporal');
      await removeScratch(stateDir);
    },
  };
}
export type Rig = Awaited<ReturnType<typeof startRig>>;
