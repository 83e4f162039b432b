import type { Command } from 'commander';
import { loadSettings, readConfig, type Config } from '../config.ts';
import type { Settings } from '../contracts/index.ts';
import { out } from './command.ts';
import { checkChannels } from './doctor/channels.ts';
import { checkCredentials } from './doctor/credentials.ts';
import { checkDatabases } from './doctor/databases.ts';
import { checked, ok, type Finding } from './doctor/finding.ts';
import { checkMetrics } from './doctor/metrics.ts';
import { checkOwn, checkProduction } from './doctor/own.ts';
import { checkRunnerCredentials } from './doctor/runner-credentials.ts';
import { checkTemporal } from './doctor/temporal.ts';

const SIGN = { ok: 'ok     ', fixed: 'fixed  ', warning: 'WARNING', failed: 'FAILED ' };

interface Options {
  fix?: boolean;
  taskQueue?: string;
  beforeWorkers?: boolean;
}

/**
 * Everything that Holdfast needs, looked at from here: by the control plane, or by the runner of a task queue. Only Temporal is
 * changed, and only to `fix` what it lacks.
 */
async function examine({ fix = false, taskQueue, beforeWorkers = false }: Options): Promise<Finding[]> {
  const config = readConfig();
  const settings = loadSettings(config);
  const known = await settings.catch(() => undefined); // what is wrong with it is told below
  const runners = known === undefined ? [] : runnersOf(known);
  const runner = taskQueue === config.HOLDFAST_TASK_QUEUE ? undefined : taskQueue;
  const found = await Promise.all([
    checked('configuration', 'correct it', async () => {
      const { services } = await settings;
      if (runner !== undefined && !runners.includes(runner)) throw new Error(`no environment names "${runner}"`);
      return [ok('configuration', `${services.length} services in ${config.HOLDFAST_CONFIG}`)];
    }),
    Promise.resolve(checkProduction(config)),
    checkTemporal(config, fix, beforeWorkers ? 'later' : runners),
    checkCredentials(config.env),
    checkDatabases(config.env),
    ...(known === undefined ? [] : [checkMetrics(config.env, known, runner)]),
    ...(runner === undefined ? controlPlane(config, known) : []),
  ]);
  return found.flat();
}

/** What no runner has or does. */
const controlPlane = (config: Config, settings?: Settings): Promise<Finding[]>[] => [
  checkOwn(config),
  ...(settings === undefined
    ? []
    : [checkChannels(config.env, settings), checkRunnerCredentials(config.env, settings)]),
];

/** Task queues that environments name. */
const runnersOf = ({ services }: Settings): string[] => [
  ...new Set(services.flatMap(({ environments }) => Object.values(environments).flatMap((of) => of.taskQueue ?? []))),
];

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('look at everything that Holdfast needs, and say what is missing, what is too much and what to do')
    .option('--fix', 'register the namespace and the search attributes that are missing at Temporal')
    .option('--task-queue <name>', 'look as the runner that serves it, from its network and with its variables')
    .option('--before-workers', 'do not look who serves the task queues: they start after this')
    .option('--json')
    .action(async ({ json, ...options }: Options & { json?: boolean }) => {
      const found = await examine(options);
      const lines = found.map(({ check, state, says, remedy }) =>
        [
          `${SIGN[state]}  ${check.padEnd(18)}  ${says}`,
          ...(remedy === undefined ? [] : [`${' '.repeat(29)}-> ${remedy}`]),
        ].join('\n'),
      );
      out(json, found, lines.join('\n'));
      process.exitCode = found.some(({ state }) => state === 'failed') ? 1 : 0;
    });
}
