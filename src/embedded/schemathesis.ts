import { join } from 'node:path';
import { pythonEnvironment, silent, type Say } from './tools.ts';

const VERSION = '4.32.5';

/** Path of the program that asks an API whatever its document lets it ask; fetched when missing. For tests. */
export const schemathesis = async (say: Say = silent): Promise<string> =>
  join(await pythonEnvironment('schemathesis', VERSION, say), 'bin', 'schemathesis');
