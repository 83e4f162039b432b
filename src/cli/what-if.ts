/** What past incidents would have been under another configuration, and that configuration as a proposed change. */
import type { Command } from 'commander';
import { loadSettings } from '../config.ts';
import type { Settings } from '../contracts/index.ts';
import { runDrill } from '../drill.ts';
import { route } from '../gateway/routing.ts';
import { runbookCatalogue } from '../runbook/catalogue.ts';
import * as workflows from '../../workflows/index.ts';
import { out, withContext } from './command.ts';
import { usageError, type Context } from './context.ts';
import { differencesOf } from './what-if/differences.ts';
import { pastIncidents, type PastIncident } from './what-if/past.ts';
import { assertProposable, propose, type ProposeOptions } from './what-if/propose.ts';

const DAY_MS = 86_400_000;

interface Answer {
  workflowId: string;
  runId: string;
  at: string;
  outcome: string;
  /** Empty where it would have gone the same way. */
  differences: string[];
  /** Why that is not sure: even under the configuration that counts, the simulation ends otherwise than it did. */
  unsure?: string;
}

interface WhatIfOptions extends ProposeOptions {
  days: string;
  most: string;
  json?: boolean;
}

export function whatIfCommand(program: Command): void {
  program
    .command('what-if')
    .description(
      'run past incidents again, as they were recorded, under another configuration: which would go differently',
    )
    .requiredOption('--config <file>', 'the other configuration')
    .option('--days <number>', 'how many days back', '90')
    .option('--most <number>', 'how many incidents', '20')
    .option('--propose <branch>', 'then propose it, with what would have gone differently, as this branch')
    .option('--repository <path or url>', 'commit it there; without it a pull request of --service is opened')
    .option('--service <name>', 'on whose repository on GitHub; the first that has one, unless it is named')
    .option('--environment <name>', 'by whose configuration, where its environments differ')
    .option('--document <path...>', 'documents that change with it, such as that of a runbook')
    .option('--as <person>', 'who proposes it')
    .option('--json')
    .action(
      withContext(async (context, of: WhatIfOptions) => {
        if (!(Number(of.days) > 0) || !(Number(of.most) > 0))
          throw usageError('--days and --most must be numbers above 0');
        assertProposable(context, of);
        const other = await loadSettings({ ...context.config, HOLDFAST_CONFIG: of.config });
        const since = new Date(Date.now() - Number(of.days) * DAY_MS);
        const types = runbookCatalogue(workflows).map(({ type }) => type);
        const answers: Answer[] = [];
        for (const past of await pastIncidents(context, { since, types, most: Number(of.most) }))
          answers.push(await answerOf(context, past, { file: of.config, settings: other }));
        const text = answers.length === 0 ? 'no past incident is known' : answers.map(lines).join('\n');
        const branch = of.propose === undefined ? undefined : await propose(context, of, text);
        out(
          of.json,
          { answers, ...(branch !== undefined && { branch }) },
          branch === undefined ? text : `${text}\nProposed: ${branch}`,
        );
      }),
    );
}

async function answerOf(
  context: Context,
  past: PastIncident,
  other: { file: string; settings: Settings },
): Promise<Answer> {
  const { workflowId, runId, type, incident, recorded, decisions, status } = past;
  const order = { type, incident, recorded, decisions, acts: false };
  const now = await runDrill({ ...order, config: context.config.HOLDFAST_CONFIG });
  const then = await runDrill({ ...order, config: other.file });
  const { outcome = 'failed' } = status;
  const at = status.timeline[0]?.at ?? incident.openedAt;
  return {
    workflowId,
    runId,
    at,
    outcome,
    differences: [...begins(past, context.settings, other.settings), ...differencesOf(now, then)],
    ...(now.status.outcome !== outcome && {
      unsure: `simulated under the present configuration it ends as ${now.status.outcome}, but it ended as ${outcome}`,
    }),
  };
}

/** Whether it would have been opened, and where its alerts would have gone. */
function begins({ incident, recorded, alerts, workflowId }: PastIncident, now: Settings, then: Settings): string[] {
  const [first] = recorded['errorRatio'] ?? [];
  const ratio = first !== undefined && 'value' in first ? (first.value as { ratio?: number }).ratio : undefined;
  const thresholdOf = ({ services }: Settings) =>
    services.find(({ name }) => name === incident.service)?.environments[incident.environment]?.alertAt.errorRatio;
  const [limit, other] = [thresholdOf(now), thresholdOf(then)];
  const raised = (threshold: number | undefined): boolean =>
    ratio !== undefined && threshold !== undefined && ratio >= threshold;
  const percent = (share = 0): string => `${(share * 100).toFixed(1)} %`;
  const monitor =
    incident.openedBy.includes('monitor') && raised(limit) !== raised(other)
      ? [
          `the monitor ${raised(other) ? 'raises' : 'does not raise'} it: ${percent(ratio)} failed, the threshold is ${percent(other)} instead of ${percent(limit)}`,
        ]
      : [];
  const catalogue = runbookCatalogue(workflows);
  const moved = alerts.flatMap((alert) => {
    const to = route(alert, then, catalogue).workflowId;
    return route(alert, now, catalogue).workflowId === to || to === workflowId
      ? []
      : [`its alert ${alert.name} goes to ${to}`];
  });
  return [...monitor, ...new Set(moved)];
}

const lines = ({ at, workflowId, outcome, differences, unsure }: Answer): string =>
  [
    `${at.slice(0, 16)}Z  ${workflowId}: ${outcome}${differences.length === 0 ? ': the same' : ''}`,
    ...differences.map((line) => `  ${line}`),
    ...(unsure === undefined ? [] : [`  not sure: ${unsure}`]),
  ].join('\n');
