/** Runs of runbooks in skipped time: drills, and what past incidents would have been under another configuration. */
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Command } from 'commander';
import { loadConfig, loadSettings } from '../config.ts';
import type { DrillOrder, DrillReport, FreshnessReport, Scope, Settings } from '../contracts/index.ts';
import { approverOf, drillOf, reportOf, runDrill } from '../drill.ts';
import { freshnessOf } from '../operations/drills.ts';
import { runbookCatalogue } from '../runbook/catalogue.ts';
import * as workflows from '../../workflows/index.ts';
import { drilledSignal } from '../../workflows/index.ts';
import { out, withContext } from './command.ts';
import { assertEnvironment, assertPerson, assertService, usageError } from './context.ts';

export function drillCommand(program: Command): void {
  program
    .command('drill <runbook>')
    .description('run a runbook in skipped time over simulated systems, and show its timeline; nothing real is touched')
    .option('--service <name>', 'as which service; the first, unless it is named')
    .option('--environment <name>', 'as which environment', 'production')
    .option('--approve-as <person>', 'decide as this person; the first who may, unless it is named')
    .option('--unanswered', 'nobody answers: climb the whole ladder')
    .option('--json')
    .action(async (runbook: string, of: DrillOptions) => {
      const config = loadConfig();
      const order = drillOrder(runbook, of, config.HOLDFAST_CONFIG, await loadSettings(config));
      const drilled = await runDrill(order);
      const counted =
        order.decisions.length === 0 ? 'no: nobody answered' : await count(order.incident, runbook, reportOf(drilled));
      const { timeline, outcome, note, title } = drilled.status;
      const lines = timeline.map(
        ({ at, what, who }) => `  ${at.slice(0, 19)}Z  ${what}${who === undefined ? '' : `  (${who})`}`,
      );
      const paged = drilled.pages.map(({ person, level }) => `${person} (${level})`).join(', ') || 'nobody';
      out(
        of.json,
        { ...drilled, counted },
        [
          `Drill: ${title}`,
          ...lines,
          `Paged: ${paged}`,
          `Outcome: ${outcome}: ${note}`,
          `Counted as its last drill: ${counted}`,
        ].join('\n'),
      );
      process.exitCode = outcome === 'failed' ? 1 : 0;
    });
  program
    .command('drills [service]')
    .description('how fresh each runbook is: when it was last needed, when it was last drilled, and what is due')
    .option('--json')
    .action(
      withContext(async (context, service: string | undefined, { json }: { json?: boolean }) => {
        if (service !== undefined) assertService(context.settings, service);
        const names = service === undefined ? context.settings.services.map(({ name }) => name) : [service];
        const found = [];
        for (const name of names) {
          const fresh = await freshnessOf(context, name);
          if (fresh !== undefined) found.push(fresh);
        }
        out(
          json,
          found,
          found.length === 0 ? 'nothing is known yet: start a worker' : found.map(freshLines).join('\n'),
        );
      }),
    );
}

/** Tell the drills of the service, which then know of this one; it is none the less a drill where they cannot be told. */
async function count({ service }: Scope, runbook: string, report: DrillReport): Promise<string> {
  const told = withContext(({ client }) =>
    client.workflow.getHandle(`drills.${service}`).signal(drilledSignal, { runbook, report }),
  );
  return await told().then(
    () => 'yes',
    (error: unknown) =>
      error instanceof WorkflowNotFoundError
        ? 'no: no worker has started the drills of this service yet'
        : `no: ${error instanceof Error ? error.message : String(error)}`,
  );
}

const day = (at: string | undefined): string => at?.slice(0, 10) ?? 'never';
const freshLines = ({ service, environment, staleAfter, nextCheckAt, runbooks }: FreshnessReport): string =>
  [
    `${service} ${environment}: stale after ${staleAfter}; looked at next ${nextCheckAt.slice(0, 16)}Z`,
    ...runbooks.flatMap(({ runbook, ranAt, drilledAt, stale, last }) => [
      `  ${(stale ? 'STALE' : 'fresh').padEnd(6)}${runbook}: last needed ${day(ranAt)}, last drilled ${day(drilledAt)}`,
      ...(last?.passed === false
        ? [
            `    its drill of ${day(last.at)} failed: ${last.note}`,
            ...(last.review === undefined ? [] : [`    filed: ${last.review}`]),
          ]
        : []),
    ]),
  ].join('\n');

interface DrillOptions {
  service?: string;
  environment: string;
  approveAs?: string;
  unanswered?: boolean;
  json?: boolean;
}

function drillOrder(runbook: string, of: DrillOptions, config: string, settings: Settings): DrillOrder {
  const known = runbookCatalogue(workflows);
  const found = known.find(({ name }) => name === runbook);
  if (found === undefined)
    throw usageError(`there is no runbook "${runbook}"; there are: ${known.map(({ name }) => name).join(', ')}`);
  const service = of.service ?? settings.services[0]?.name ?? '';
  assertEnvironment(settings, service, of.environment);
  const person = of.approveAs ?? approverOf(settings);
  if (person !== undefined) assertPerson(settings, person);
  return drillOf({
    scope: { service, environment: of.environment },
    type: found.type,
    runbook,
    config,
    person: of.unanswered === true ? undefined : person,
  });
}
