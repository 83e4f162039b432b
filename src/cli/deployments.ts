/** Commands about deployments: start, watch, list. The workflows do the work; leaving a command stops nothing. */
import { Option, type Command } from 'commander';
import { DeploymentOrder } from '../contracts/index.ts';
import { out, progress, withContext } from './command.ts';
import { assertEnvironment, assertService, statusOf, usageError, type Context } from './context.ts';
import { ledgerLine, runLine, runsOf, stepLine } from './deployments/listing.ts';
import { controlOf } from '../operations/control.ts';
import { startRun } from '../operations/deployments.ts';
import { uiLink } from '../operations/temporal.ts';
import { noting } from './noting.ts';
import { watchRun } from './watch.ts';

const LISTED = 50;
const NOT_ALLOWED = 5;

interface OrderOptions {
  as: string;
  ref?: string;
  to?: string;
  release?: string;
  override?: string;
  yesWindow?: string;
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
    .addOption(
      new Option(
        '--yes-window <reason>',
        'go outside of its window or in a freeze, no more: a second person must agree',
      ).conflicts('override'),
    )
    .option('--detach', 'start it and leave')
    .option('--json', 'one JSON object on standard output, progress on standard error')
    .action(
      withContext(async (context, service: string, environment: string, options: OrderOptions) => {
        assertEnvironment(context.settings, service, environment);
        const { ref, release: version, yesWindow } = options;
        const override = yesWindow ?? options.override;
        const overrides = yesWindow === undefined ? undefined : 'window';
        await run(context, 'deployment', { service, environment, ref, version, override, overrides }, options);
      }),
    );
  program
    .command('rollback <service> <environment>')
    .description(
      'return to the last verified good version, or to the one named; no approval, and no freeze, window or deployment holds it',
    )
    .requiredOption('--as <person>', 'who wants it')
    .option('--to <version>', 'which verified good version')
    .option('--detach', 'start it and leave')
    .option('--json', 'one JSON object on standard output, progress on standard error')
    .action(
      withContext(async (context, service: string, environment: string, options: OrderOptions) => {
        assertEnvironment(context.settings, service, environment);
        await run(context, 'rollback', { service, environment, ref: options.to }, options);
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
          const known = Object.values((await controlOf(context, name))?.ledgers ?? {});
          ledgers.push(...known.map((ledger) => ({ service: name, ...ledger })));
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
        out(json, status, [...head, uiLink(context, status), '', ...(status.steps ?? []).map(stepLine)].join('\n'));
      }),
    );
}

/** Start a procedure, or join the one that does the same, and watch it to its end. */
async function run(
  context: Context,
  kind: 'deployment' | 'rollback',
  asked: Record<string, string | undefined>,
  { as: person, detach, json }: OrderOptions,
): Promise<void> {
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  const order = DeploymentOrder.safeParse({ ...given, orderedBy: `cli:${person}` });
  if (!order.success)
    throw usageError(order.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  const { service, environment, ref = '' } = order.data;
  const noted = { who: person, what: `start ${kind}`, on: `${kind}.${service}.${environment}`, detail: ref };
  const { workflowId, runId, joined } = await noting(context.config, noted, () => startRun(context, kind, order.data));
  const say = progress(json);
  say(`${joined ? 'One runs already; watching it' : 'Started'}: ${uiLink(context, { workflowId, runId })}`);
  if (detach === true) return out(json, { workflowId, runId }, `See it with: deployment ${workflowId}`);
  const status = await watchRun(context, { workflowId, runId, say });
  const ended = `${status.outcome}: ${status.note}`;
  if (status.outcome === 'released' || json === true) out(json, status, ended);
  else console.error(ended);
  process.exitCode = status.outcome === 'released' ? 0 : status.outcome === 'refused' ? NOT_ALLOWED : 1;
}
