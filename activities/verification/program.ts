import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import { SmokeReport, type Scope } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { endMarked, endProcess, lastLines, runRegistered, writeWhole } from '../../src/processes.ts';
import { oneLine } from './smoke.ts';

const KEPT = 50;
/** In the environment of a program, by which what a killed worker left is found. */
const MARK = 'HOLDFAST_VERIFICATION';
/** What Node adds to an error that nobody catches. */
const TRAIL = /^\s+at |^Node\.js v\d|^\s*$/;

const Memory = z.object({
  /** The attempt that ran last: one before it notes nothing any more. */
  attempt: z.string().optional(),
  reports: z.array(z.object({ key: z.string(), report: SmokeReport })).default([]),
});

/** Run a service's own program, once for each key: see `verifyFunctionality`. */
export async function runOnce(of: {
  stateDir: string;
  scope: Scope;
  key: string;
  command: string[];
  timeout: string;
  cwd: string;
  env: Record<string, string>;
}): Promise<SmokeReport> {
  const { stateDir, key, timeout, cwd } = of;
  const { service, environment } = of.scope;
  const file = join(stateDir, 'verification', `${service}.${environment}.json`);
  const name = `verify-${service}-${environment}`;
  const recall = async () => Memory.parse(JSON.parse(await readFile(file, 'utf8').catch(() => '{}')));

  const memory = await recall();
  const known = memory.reports.find((one) => one.key === key);
  if (known !== undefined) return known.report;
  const attempt = randomUUID();
  await mkdir(dirname(file), { recursive: true });
  await writeWhole(file, JSON.stringify({ ...memory, attempt }));
  const mark = join(resolve(stateDir), name);
  await endProcess(stateDir, name); // of an attempt that was cut short
  await endMarked([`${MARK}=${mark}`]);
  const logFile = join(stateDir, 'logs', `${name}.log`);
  await rm(logFile, { force: true });

  const [command = '', ...args] = of.command;
  const env = { ...of.env, [MARK]: mark };
  const late = AbortSignal.timeout(msToNumber(timeout));
  const signal = AbortSignal.any([cancellationSignal(), late]);
  const ended = await runRegistered({ stateDir, name, command, args, cwd, env, signal }).catch((error: Error) => error);
  cancellationSignal().throwIfAborted();
  const { attempt: last, reports } = await recall();
  if (last !== attempt) throw failure('Unavailable', `${name}: another attempt has begun since`);
  if (ended instanceof Error)
    throw failure('NotConfigured', `deployment.verify.command: ${oneLine(ended.message, 300)}`);
  if (ended === null && !late.aborted) throw failure('Unavailable', `${name} was ended by a signal`);

  const said = (await lastLines(logFile, 50)).split('\n').findLast((line) => !TRAIL.test(line)) ?? '';
  const passed = ended === 0 && !late.aborted;
  const how = late.aborted ? `did not end within ${timeout}: ` : passed ? '' : `ended with ${ended}: `;
  const detail = oneLine(`${how}${said}`, 300);
  const report: SmokeReport = { passed, tests: [{ name: oneLine(of.command.join(' '), 200), passed, detail }] };
  await writeWhole(file, JSON.stringify({ attempt, reports: [{ key, report }, ...reports].slice(0, KEPT) }));
  return report;
}
