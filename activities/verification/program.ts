import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import { SmokeReport, type Scope } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { endProcess, endStrays, lastLines, readIfThere, runRegistered, writeWhole } from '../../src/processes.ts';
import { oneLine } from './smoke.ts';

const KEPT = 50;
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
  const recall = async () => Memory.parse(JSON.parse((await readIfThere(file)) ?? '{}'));

  const memory = await recall();
  const known = memory.reports.find((one) => one.key === key);
  if (known !== undefined) return known.report;
  const attempt = randomUUID();
  await mkdir(dirname(file), { recursive: true });
  await writeWhole(file, JSON.stringify({ ...memory, attempt }));
  await endProcess(stateDir, name); // of an attempt that was cut short
  await endStrays(stateDir, [name]);
  const logFile = join(stateDir, 'logs', `${name}.log`);
  await rm(logFile, { force: true });

  const [command = '', ...args] = of.command;
  const late = AbortSignal.timeout(msToNumber(timeout));
  const signal = AbortSignal.any([cancellationSignal(), late]);
  const failed = await runRegistered({ stateDir, name, command, args, cwd, env: of.env, signal }).catch(
    (error: unknown) => {
      if (cancellationSignal().aborted || !late.aborted) throw error;
      return `did not end within ${timeout}`;
    },
  );
  const { attempt: last, reports } = await recall();
  if (last !== attempt) throw failure('Unavailable', `${name}: another attempt has begun since`);
  if (/ENOENT|EACCES/.test(failed ?? ''))
    throw failure('NotConfigured', `deployment.verify.command: ${oneLine(failed ?? '', 300)}`);
  if (failed?.includes('was killed with') && !late.aborted)
    throw failure('Unavailable', `${name} was ended by a signal`);

  const said = (await lastLines(logFile, 50)).split('\n').findLast((line) => !TRAIL.test(line)) ?? '';
  const passed = failed === undefined;
  const how = passed ? '' : `${failed.replace(/^Command failed with exit code (\d+).*$/s, 'ended with $1')}: `;
  const detail = oneLine(`${how}${said}`, 300);
  const report: SmokeReport = { passed, tests: [{ name: oneLine(of.command.join(' '), 200), passed, detail }] };
  await writeWhole(file, JSON.stringify({ attempt, reports: [{ key, report }, ...reports].slice(0, KEPT) }));
  return report;
}
