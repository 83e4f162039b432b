import { text as readAll } from 'node:stream/consumers';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Command } from 'commander';
import { z } from 'zod';
import { loadConfig, loadSettings } from '../config.ts';
import { Alert, Duration } from '../contracts/index.ts';
import { route, ruleFor } from '../gateway/routing.ts';
import { openSilences, type Silence } from '../gateway/silences.ts';
import * as sources from '../gateway/sources/index.ts';
import { runbookCatalogue } from '../runbook/catalogue.ts';
import * as workflows from '../../workflows/index.ts';
import { out } from './command.ts';
import { usageError } from './context.ts';
import { noting } from './noting.ts';

/** The alerts of a body as its source reads it. @throws usage error when it is none. */
function alertsOf(json: string, of: { source?: string; header: string[] }): Alert[] {
  const source = Object.values(sources).find(({ name }) => name === of.source);
  if (of.source !== undefined && source === undefined)
    throw usageError(`there is no source "${of.source}"; there are: ${Object.keys(sources).join(', ')}`);
  try {
    const body: unknown = JSON.parse(json);
    const headers = new Headers(of.header.map((line) => line.split(/: */, 2) as [string, string]));
    return z.array(Alert).parse(source === undefined ? [body] : source.normalise(body, headers));
  } catch (error) {
    const what = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw usageError(`this is no ${source === undefined ? 'alert' : `body of ${source.name}`}: ${what}`);
  }
}

/** Labels of `label=value` words. @throws usage error for another word. */
const labelsFrom = (words: string[]): Record<string, string> =>
  Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at < 1) throw usageError(`"${word}" is no label=value`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );

const shown = ({ id, match, until, by, reason }: Silence): string =>
  `${id}  until ${until}  ${Object.entries(match)
    .map((pair) => pair.join('='))
    .join(' ')}  ${by}: ${reason}`;

/** Where an alert goes, and what holds it: `route`, `silence`, `silences`, `unsilence`. */
export function alertCommands(program: Command): void {
  program
    .command('route')
    .description('where the alerts on standard input would go, without sending them')
    .option('--source <name>', 'a raw body of this source; without it an alert as the gateway keeps it')
    .option('--header <line...>', 'headers that the source reads, as "x-github-event: deployment_status"', [])
    .option('--json')
    .action(async (options: { source?: string; header: string[]; json?: boolean }) => {
      const config = loadConfig();
      const settings = await loadSettings(config);
      using silences = openSilences(config.HOLDFAST_STATE_DIR);
      const found = alertsOf(await readAll(process.stdin), options).map((alert) => {
        const rule = ruleFor(alert, settings);
        return {
          alert: alert.name,
          status: alert.status,
          ...route(alert, settings, runbookCatalogue(workflows)),
          route: rule < 0 ? null : rule,
          silence: silences.holding(alert) ?? null,
        };
      });
      const lines = found.map(
        ({ alert, status, workflowId, environment, route: rule, silence }) =>
          `${JSON.stringify(alert)} ${status} → ${workflowId} in ${environment}, by ${rule === null ? 'what it says itself' : `routes[${rule}]`}` +
          (silence === null ? '' : `, held by silence ${silence.id} until ${silence.until}`),
      );
      out(options.json, found, lines.join('\n') || 'nothing to do');
    });
  program
    .command('silence <labels...>')
    .description('alerts with all of these labels (label=value) open nothing for a while')
    .requiredOption('--for <duration>', 'how long, as "2 hours"')
    .requiredOption('--reason <text>')
    .requiredOption('--as <person>')
    .option('--json')
    .action(async (words: string[], options: { for: string; reason: string; as: string; json?: boolean }) => {
      const config = loadConfig();
      if (!options.reason.trim()) throw usageError('say why: --reason "<text>"');
      const duration = Duration.safeParse(options.for);
      if (!duration.success) throw usageError(`--for ${options.for}: ${duration.error.issues[0]?.message}`);
      const until = new Date(Date.now() + msToNumber(duration.data)).toISOString();
      const { as: by, reason } = options;
      using silences = openSilences(config.HOLDFAST_STATE_DIR);
      const silence = await noting(
        config,
        { who: by, what: 'silence', on: words.join(' '), detail: reason },
        async () => silences.add({ match: labelsFrom(words), until, reason, by }),
      );
      out(options.json, silence, shown(silence));
    });
  program
    .command('silences')
    .description('what is silenced now')
    .option('--json')
    .action((options: { json?: boolean }) => {
      using silences = openSilences(loadConfig().HOLDFAST_STATE_DIR);
      const found = silences.list();
      out(options.json, found, found.map(shown).join('\n') || 'nothing is silenced');
    });
  program
    .command('unsilence <id>')
    .description('end a silence now')
    .requiredOption('--as <person>')
    .action(async (id: string, { as: by }: { as: string }) => {
      const config = loadConfig();
      using silences = openSilences(config.HOLDFAST_STATE_DIR);
      await noting(config, { who: by, what: 'unsilence', on: id }, async () => {
        if (!silences.remove(id)) throw usageError(`there is no silence "${id}"; "silences" lists them`, 4);
      });
      console.log(`ended: ${id}`);
    });
}
