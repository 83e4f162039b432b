/** Figures of deliveries and of incidents, over a number of days. */
import type { Command } from 'commander';
import { figuresOf, type Figures, type FiguresReport } from '../figures.ts';
import { pastReviews } from '../operations/reviews.ts';
import { recordOf } from '../record.ts';
import { spanOf } from '../runbook/review-causes.ts';
import { out, withContext } from './command.ts';
import { assertService, usageError } from './context.ts';
import { figuresLine, statsOf } from './deployments/stats.ts';

const DAY_MS = 86_400_000;

export function statsCommand(program: Command): void {
  program
    .command('stats [service]')
    .description("DORA's four keys, and of incidents: how long until what, repeats, error budget by cause, toil saved")
    .option('--days <number>', 'how many days back', '30')
    .option('--json')
    .action(
      withContext(async (context, service: string | undefined, { days, json }: { days: string; json?: boolean }) => {
        if (!(Number(days) > 0)) throw usageError('--days must be a number above 0');
        const names = service === undefined ? context.settings.services.map(({ name }) => name) : [service];
        for (const name of names) assertService(context.settings, name);
        const deliveries = await statsOf(context, names, Number(days));
        const { learned, unknown } = await pastReviews(context, recordOf(context.config.env));
        const own = learned.filter((one) => names.includes(one.service));
        const incidents = figuresOf(own, new Date(Date.now() - Number(days) * DAY_MS).toISOString());
        out(
          json,
          { deliveries, incidents: { ...incidents, ...(unknown !== undefined && { unknown }) } },
          [
            ...deliveries.map(figuresLine),
            ...incidentLines(incidents),
            ...(unknown === undefined ? [] : [unknown]),
          ].join('\n'),
        );
      }),
    );
}

const span = (ms: number | undefined): string => (ms === undefined ? '-' : spanOf(ms));
const share = (spent: number | undefined): string => (spent === undefined ? '-' : `${(spent * 100).toFixed(1)} %`);

const line = (name: string, of: Figures): string =>
  `  ${name}: ${of.incidents} (${of.repeats} repeats), detected after ${span(of.mttdMs)}, acknowledged after ${span(of.mttaMs)}, mitigated after ${span(of.mttrMs)}, waited for approval ${span(of.approvalWaitMs)}, budget spent ${share(of.budgetSpent)}, steps done alone ${of.toil?.alone ?? '-'}, by people ${of.toil?.byPeople ?? '-'}`;

function incidentLines({ total, runbooks, months, causes }: FiguresReport): string[] {
  if (total.incidents === 0) return ['no incidents'];
  return [
    'Incidents (means)',
    line('all', total),
    'By service and runbook',
    ...Object.entries(runbooks).map(([name, of]) => line(name, of)),
    'By month',
    ...Object.entries(months).map(([name, of]) => line(name, of)),
    'Error budget of thirty days by cause',
    ...causes.map(
      ({ cause, state, incidents, budgetSpent }) => `  ${share(budgetSpent)}  ${cause} (${state}; ${incidents})`,
    ),
  ];
}
