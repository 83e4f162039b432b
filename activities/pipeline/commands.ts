import { createHash } from 'node:crypto';
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { PipelineRun, type Scope } from '../../src/contracts/index.ts';
import { checkoutFiles, knownCommit, mirrorOf } from '../../src/git.ts';
import { parsed } from '../../src/http.ts';
import { locked } from '../../src/locked.ts';
import { endProcess, endStrays, lastLines, readIfThere, runRegistered, writeWhole } from '../../src/processes.ts';
import { environmentOf } from '../../src/withheld.ts';

const SUMMARY = 500;
const GRACE_MS = 5000;
const REMOVE = { recursive: true, force: true, maxRetries: 5 };

export interface Order {
  stateDir: string;
  scope: Scope;
  repository: string;
  commit: string;
  key: string;
  commands: string[][];
  timeout: string;
  /** The worker's environment, of which the commands see nothing that is the control plane's. */
  inherited: Record<string, unknown>;
}

/**
 * Run commands one after another in a clean checkout, one pipeline of an environment at a time. How it ended is kept beside its
 * log, below `<stateDir>/pipelines/<service>/<environment>/`. What an attempt that was cut short has left is ended first.
 */
export async function runCommands(order: Order): Promise<PipelineRun> {
  const { stateDir, scope, commit, key } = order;
  const directory = resolve(stateDir, 'pipelines', scope.service, scope.environment);
  const run = `${commit.slice(0, 12)}-${createHash('sha256').update(`${commit} ${key}`).digest('hex').slice(0, 12)}`;
  const ended = join(directory, `${run}.json`);
  return await locked(join(directory, 'lock.sqlite'), cancellationSignal(), async () => {
    const before = await readIfThere(ended);
    if (before !== undefined) return parsed(PipelineRun, JSON.parse(before), ended);
    const result = await attempt(order, { directory, log: join(directory, `${run}.log`) });
    await writeWhole(ended, JSON.stringify(result));
    return result;
  });
}

async function attempt(order: Order, { directory, log }: { directory: string; log: string }): Promise<PipelineRun> {
  const { stateDir, scope, repository, commands, inherited } = order;
  const name = `pipeline-${scope.service}-${scope.environment}`;
  const cwd = join(directory, 'checkout');
  await endProcess(stateDir, name, GRACE_MS);
  await endStrays(stateDir, [name]);
  await rm(cwd, REMOVE);
  try {
    const mirror = mirrorOf(stateDir, scope, repository, cancellationSignal());
    const commit = await knownCommit(mirror, order.commit);
    await checkoutFiles(mirror, commit, cwd);
    await mkdir(directory, { recursive: true });
    await appendFile(log, `commit ${commit}, ${new Date().toISOString()}\n`, { mode: 0o600 });

    const env = environmentOf(inherited, { CI: 'true', GIT_CEILING_DIRECTORIES: directory });
    const startedAt = Date.now();
    const timeout = AbortSignal.timeout(msToNumber(order.timeout));
    const signal = AbortSignal.any([cancellationSignal(), timeout]);
    for (const [command = '', ...args] of commands) {
      await appendFile(log, `$ ${[command, ...args].join(' ')}\n`);
      const program = { stateDir, name, command, args, cwd, env, logFile: log, signal, graceMs: GRACE_MS };
      const failed = await runRegistered(program).catch((error: unknown) => {
        if (!timeout.aborted || cancellationSignal().aborted) throw error;
        return `took longer than ${order.timeout}: ${[command, ...args].join(' ')}`;
      });
      if (failed !== undefined) return { passed: false, summary: await summaryOf(failed, log), log };
    }
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    return { passed: true, summary: `${commands.length} commands passed in ${seconds} s`, log };
  } finally {
    await rm(cwd, REMOVE);
  }
}

/** How it failed and the end of what it wrote. */
async function summaryOf(failed: string, log: string): Promise<string> {
  const how = failed.slice(0, SUMMARY / 2);
  return `${how}\n${(await lastLines(log)).slice(how.length + 1 - SUMMARY)}`;
}
