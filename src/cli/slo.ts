/** Objectives of the services, as their monitors know them. */
import type { Command } from 'commander';
import type { ObjectiveReport } from '../contracts/index.ts';
import { monitored, objectivesOf, percent, times, trendDays } from '../operations/objectives.ts';
import { recordOf } from '../record.ts';
import { out, withContext } from './command.ts';
import { answered, assertService, usageError } from './context.ts';

const BARS = '▁▂▃▄▅▆▇█';
const NOT_MEASURED = '·';

export function sloCommand(program: Command): void {
  program
    .command('slo [service]')
    .description('objectives: now, error budget left of 30 days, how fast it burns, trend over 28 days')
    .option('--json')
    .action(
      withContext(async (context, service: string | undefined, { json }: { json?: boolean }) => {
        if (service !== undefined) assertService(context.settings, service);
        const services = monitored(context.settings);
        if (service !== undefined && !services.includes(service))
          throw usageError(`${service} is not watched: give an environment of it "monitor: {}" in the configuration`);
        const record = recordOf(context.config.env);
        const found = [];
        const text = [];
        for (const name of service === undefined ? services : [service]) {
          const { reports, unknown } = await answered(context.client, () => objectivesOf(context.client, name, record));
          if (unknown !== undefined && json === true) console.error(unknown);
          const named = reports.map((report) => ({ service: name, ...report }));
          found.push(...named);
          text.push(
            ...(named.length === 0 ? [`${name}: nothing is measured yet`] : named.map(lines)),
            ...(unknown === undefined ? [] : [unknown]),
          );
        }
        out(json, found, text.join('\n'));
      }),
    );
}

function lines({ service, environment, ...of }: ObjectiveReport & { service: string }): string {
  const burns = of.burn.map(
    ({ name, long, short, factor, firing }) =>
      `${name} ${times(long)} and ${times(short)} (alert at ${factor}×)${firing ? ' FIRING' : ''}`,
  );
  const days = new Map(of.trend.map(({ day, badShare }) => [day, bar(badShare / of.allowed)]));
  const trend = trendDays().map((day) => days.get(day) ?? NOT_MEASURED);
  return [
    `${service} ${environment}: ${of.name} ${of.objective}: now ${of.now ?? 'unknown'}`,
    `  budget left ${percent(of.budgetLeft)} of 30 days, ${of.measuredDays.toFixed(1)} of them measured`,
    `  burns ${burns.join('; ')}`,
    `  trend ${trend.join('')} (${trend.length} days, ${days.size} measured; a full bar is all that may be bad, and more)`,
  ].join('\n');
}

const bar = (burn: number): string => BARS[Math.min(BARS.length - 1, Math.floor(burn * (BARS.length - 1)))] ?? '';
