/**
 * The embedded platform: starts its parts, keeps them up, and ends them with itself. Runs in the foreground.
 * `node src/embedded/main.ts [--only temporal,postgres,…] [--state-dir <folder>] [--with-parent]`; with `--with-parent` it
 * stops when its standard input ends. Exit codes: 0 stopped, 1 could not start, 2 wrong arguments, 3 runs already.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { readConfig } from '../config.ts';
import { claim, removeReady, writeReady } from './platform-files.ts';
import { PARTS, Ports, startPlatform } from './platform.ts';
import { endLeftoverPostgres } from './postgres.ts';
import { endAll, superviseParts } from './supervisor.ts';

const Arguments = z.object({
  only: z
    .string()
    .default(PARTS.join(','))
    .transform((list) => list.split(','))
    .pipe(z.array(z.enum(PARTS))),
  'state-dir': z.string().default(readConfig().HOLDFAST_STATE_DIR),
  'with-parent': z.boolean().default(false),
});

function fail(code: number, message: string): never {
  console.error(message);
  process.exit(code);
}

function parseArguments(): z.output<typeof Arguments> {
  try {
    const string = { type: 'string' } as const;
    const options = { only: string, 'state-dir': string, 'with-parent': { type: 'boolean' } } as const;
    return Arguments.parse(parseArgs({ options }).values);
  } catch (error) {
    fail(2, error instanceof z.ZodError ? z.prettifyError(error) : String(error));
  }
}

const values = parseArguments();
if (readConfig().HOLDFAST_PRODUCTION === '1')
  fail(2, 'The embedded platform is for trying things out: unset HOLDFAST_PRODUCTION');
const stateDir = resolve(values['state-dir']);
const holder = await claim(stateDir);
if (holder !== undefined)
  fail(3, `The platform of ${stateDir} runs already, with pid ${holder}. Stop it with: kill ${holder}`);
const ports = Ports.safeParse(readConfig().env);
if (!ports.success) fail(2, `The environment is wrong:\n${z.prettifyError(ports.error)}`);

const supervisor = superviseParts(stateDir, (line) => console.log(line));
let stopping = false;
async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  console.log('Stopping…');
  await removeReady(stateDir);
  await supervisor.stop();
  console.log('Stopped.');
  process.exit(code);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));
process.stdout.on('error', () => undefined); // the reader of its output may be gone before it
process.stderr.on('error', () => undefined);
if (values['with-parent']) process.stdin.on('end', () => void stop(0)).resume();

try {
  await endAll(stateDir); // what a killed predecessor left
  await endLeftoverPostgres(stateDir);
  const links = await startPlatform({ stateDir, ports: ports.data, only: values.only, supervisor });
  await writeReady(stateDir, links);
  console.log('Ready.');
} catch (error) {
  if (!stopping) console.error(error instanceof Error ? error.message : String(error));
  await stop(1);
}
