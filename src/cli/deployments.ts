/** Commands about deployments: start, watch, list, freeze, figures. The workflows do the work; leaving a command stops nothing. */
import type { Command } from 'commander';
import { DeploymentOrder, type Freeze } from '../contracts/index.ts';
import { out, withContext } from './command.ts';
import {
  assertEnvironment,
  assertPerson,
  assertService,
  statusOf,
  uiLink,
  usageError,
  type Context,
} from './context.ts';
import { askControl, ledgersOf } from './control.ts';
import { ledgerLine, runLine, runsOf, stepLine } from './deployments/listing.ts';
import { figuresLine, statsOf } from './deployments/stats.ts';
import { watchRun } from './watch.ts';

const LISTED = 50;
const NOT_ALLOWED = 5;

interface OrderOptions {
  as: string;
  ref?: string;
  to?: string;
  release?: string;
  override?: string;
  detach?: boolean;
  json?: boolean;
}

export function deploymentCommands(program: Command): void {
  program
    .command('deploy <service> <environment>')
    .description('deploy a release by the procedure of the environment, and watch it; leaving does not stop it')
    .requiredOption('--as <person>', 'who wants it')
    .option('--ref <ref>', 'branch, tag or commit; without it what was verified last in the environment before')
    .option('--release <version>', 'version of the release, such as 1.4.0; without it from the commits')
    .option(
      '--override <reason>',
      'break a rule (window, freeze, evidence, a held release): a second person must agree',
    )
    .option('--detach', 'start it and leave')
    .option('--json', 'one JSON object on standard output, progress on standard error')
    .action(
      withContext(async (context, service: string, environment: string, options: OrderOptions) => {
        const { procedure } = assertEnvironment(context.settings, service, environment).deployment;
        const { ref, release: version, override } = options;
        const type = procedure === 'staging' ? 'stagingDeployment' : 'productionDeployment';
        const order = { service, environment, ref, version, override };
        await run(context, { type, workflowId: `deployment.${service}.${environment}`, order }, options);
      }),
    );
  program
    .command('rollback <service> <environment>')
    .description('return to the last verified good version, or to the one named; no approval, never held')
    .requiredOption('--as <person>', 'who wants it')
    .option('--to <version>', 'which verified good version')
    .option('--detach', 'start it and leave')
    .option('--json', 'one JSON object on standard output, progress on standard error')
    .action(
      withContext(async (context, service: string, environment: string, options: OrderOptions) => {
        assertEnvironment(context.settings, service, environment);
        const order = { service, environment, ref: options.to };
        await run(context, { type: 'rollback', workflowId: `rollback.${service}.${environment}`, order }, options);
      }),
    );
  program
    .command('deployments [service]')
    .description('what runs and what is verified good in each environment, and the newest deployments and rollbacks')
    .option('--json')
    .action(
      withContext(async (context, service: string | undefined, { json }: { json?: boolean }) => {
        const names = service === undefined ? context.settings.services.map(({ name }) => name) : [service];
        const ledgers = [];
        for (const name of names) {
          assertService(context.settings, name);
          for (const ledger of await ledgersOf(context.client, name)) ledgers.push({ service: name, ...ledger });
        }
        const runs = (await runsOf(context, LISTED)).filter((one) => names.includes(one.service));
        out(
          json,
          { environments: ledgers, runs },
          [...ledgers.map(ledgerLine), '', ...runs.map(runLine)].join('\n').trim(),
        );
      }),
    );
  program
    .command('deployment <id>')
    .description('steps, times, who and why of one deployment or rollback: deployment.<service>.<environment>')
    .option('--run <runId>', 'an earlier run, as `deployments` shows it')
    .option('--json')
    .action(
      withContext(async (context, id: string, { run: runId, json }: { run?: string; json?: boolean }) => {
        const status = await statusOf(context, id, runId);
        const ended = status.outcome === undefined ? status.doing : `${status.outcome}: ${status.note}`;
        const head = [`${status.title}: ${status.incident.summary}, ordered by ${status.incident.openedBy}`, ended];
        out(
          json,
          status,
          [...head, uiLink(context.config, status), '', ...(status.steps ?? []).map(stepLine)].join('\n'),
        );
      }),
    );
  for (const command of ['freeze', 'unfreeze'] as const)
    program
      .command(`${command} <service> <environment>`)
      .description(command === 'freeze' ? 'hold deployments; rollbacks are never held' : 'let deployments go on')
      .requiredOption('--as <person>')
      .option('--reason <text>', 'why')
      .option('--until <time>', 'ISO 8601; without it until unfreeze')
      .action(
        withContext(async (context, service: string, environment: string, options: FreezeOptions) => {
          assertEnvironment(context.settings, service, environment);
          assertPerson(context.settings, options.as);
          const freeze = command === 'freeze' ? freezeOf(options) : undefined;
          const { client, config } = context;
          await askControl(client, config.HOLDFAST_TASK_QUEUE, service, 'setFreeze', { environment, freeze });
          console.log(
            `${service} ${environment}: ${command === 'freeze' ? `frozen until ${freeze?.until ?? 'unfreeze'}` : 'not frozen'}`,
          );
        }),
      );
  program
    .command('stats [service]')
    .description("DORA's four keys, from the histories that Temporal still has")
    .option('--days <number>', 'how many days back', '30')
    .option('--json')
    .action(
      withContext(async (context, service: string | undefined, { days, json }: { days: string; json?: boolean }) => {
        if (!(Number(days) > 0)) throw usageError('--days must be a number above 0');
        const names = service === undefined ? context.settings.services.map(({ name }) => name) : [service];
        for (const name of names) assertService(context.settings, name);
        const figures = await statsOf(context, names, Number(days));
        out(json, figures, figures.map(figuresLine).join('\n'));
      }),
    );
}

/** Whether two orders want the same, whoever wants it. */
const isSame = (one: unknown, { ref, version, override }: DeploymentOrder): boolean => {
  const running = DeploymentOrder.safeParse(one).data;
  return running?.ref === ref && running?.version === version && running?.override === override;
};

interface FreezeOptions {
  as: string;
  reason?: string;
  until?: string;
}
function freezeOf({ as: by, reason, until }: FreezeOptions): Freeze {
  if (reason === undefined) throw usageError('say why: --reason "<text>"');
  const ends = until === undefined ? undefined : new Date(until);
  if (ends !== undefined && !(ends.getTime() > Date.now()))
    throw usageError('--until must be a time that is to come, such as 2026-12-24T12:00:00Z');
  return { by, reason, ...(ends && { until: ends.toISOString() }) };
}

/** Start a procedure, or join the one that does the same, and watch it to its end. */
async function run(
  context: Context,
  of: { type: string; workflowId: string; order: Record<string, string | undefined> },
  { as: person, detach, json }: OrderOptions,
): Promise<void> {
  assertPerson(context.settings, person);
  const given = Object.fromEntries(Object.entries(of.order).filter(([, value]) => value !== undefined));
  const order = DeploymentOrder.safeParse({ ...given, orderedBy: `cli:${person}` });
  if (!order.success)
    throw usageError(order.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  const { workflowId, type } = of;
  const { client, config } = context;
  const before = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch(() => undefined);
  const joins = before?.status.name === 'RUNNING';
  if (joins && !isSame(before.memo?.['order'], order.data))
    throw usageError(`another ${type} of ${workflowId} runs: wait for it, or stop it`, NOT_ALLOWED);
  const handle = joins
    ? client.workflow.getHandle(workflowId, before.runId)
    : await client.workflow.start(type, {
        workflowId,
        taskQueue: config.HOLDFAST_TASK_QUEUE,
        args: [order.data],
        memo: { order: order.data },
      });
  const runId = joins ? before.runId : (await handle.describe()).runId;
  const say = json === true ? (line: string) => console.error(line) : (line: string) => console.log(line);
  say(`${joins ? 'One runs already; watching it' : 'Started'}: ${uiLink(config, { workflowId, runId })}`);
  if (detach === true) return out(json, { workflowId, runId }, `See it with: deployment ${workflowId}`);
  const status = await watchRun(context, { workflowId, runId, say });
  const ended = `${status.outcome}: ${status.note}`;
  if (status.outcome === 'released' || json === true) out(json, status, ended);
  else console.error(ended);
  process.exitCode = status.outcome === 'released' ? 0 : status.outcome === 'refused' ? NOT_ALLOWED : 1;
}
