import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import { z } from 'zod';
import { loadConfig, loadSettings, type Config } from '../config.ts';
import { Alert, Duration } from '../contracts/index.ts';
import { route, ruleFor } from '../gateway/routing.ts';
import * as sources from '../gateway/sources/index.ts';
import { runbookCatalogue } from '../runbook/catalogue.ts';
import { openSilences, Silence, silencedUntil } from '../silences.ts';
import * as workflows from '../../workflows/index.ts';
import { out } from './command.ts';
import { usageError } from './context.ts';
import { noting } from './noting.ts';
import { callAsPerson, keptSession } from './remote.ts';

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

const AS = 'in the state folder of this machine; without it at the gateway, as who has signed in';

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
    .option('--as <person>', AS)
    .option('--json')
    .action(async (words: string[], options: { for: string; reason: string; as?: string; json?: boolean }) => {
      const config = loadConfig();
      if (!options.reason.trim()) throw usageError('say why: --reason "<text>"');
      const duration = Duration.safeParse(options.for);
      if (!duration.success) throw usageError(`--for ${options.for}: ${duration.error.issues[0]?.message}`);
      const { as: by, reason, json } = options;
      const match = labelsFrom(words);
      const silence =
        by === undefined
          ? await callAsPerson(config, Silence, 'POST', '/silences', { match, for: duration.data, reason })
          : await noting(config, { who: by, what: 'silence', on: words.join(' '), detail: reason }, async () => {
              using silences = openSilences(config.HOLDFAST_STATE_DIR);
              return silences.add({ match, until: silencedUntil(duration.data), reason, by });
            });
      out(json, silence, shown(silence));
    });
  program
    .command('silences')
    .description('what is silenced now, at the gateway as who has signed in; of this machine where nobody has')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await silencesOf(loadConfig());
      out(json, found, found.map(shown).join('\n') || 'nothing is silenced');
    });
  program
    .command('unsilence <id>')
    .description('end a silence now')
    .option('--as <person>', AS)
    .option('--json')
    .action(async (id: string, { as: by, json }: { as?: string; json?: boolean }) => {
      const config = loadConfig();
      if (by === undefined) await callAsPerson(config, z.unknown(), 'DELETE', `/silences/${encodeURIComponent(id)}`);
      else
        await noting(config, { who: by, what: 'unsilence', on: id }, async () => {
          using silences = openSilences(config.HOLDFAST_STATE_DIR);
          if (!silences.remove(id)) throw usageError(`there is no silence "${id}"; "silences" lists them`, 4);
        });
      out(json, { ended: id }, `ended: ${id}`);
    });
}

async function silencesOf(config: Config): Promise<Silence[]> {
  if ((await keptSession(config)) !== undefined)
    return (await callAsPerson(config, z.object({ silences: z.array(Silence) }), 'GET', '/silences')).silences;
  using silences = openSilences(config.HOLDFAST_STATE_DIR);
  return silences.list();
}
