/** Who is on call, and which ladders are being climbed: `oncall`, `escalations`, `hand-over`. */
import type { Command } from 'commander';
import { loadConfig, loadSettings } from '../config.ts';
import { localTime } from '../local-time.ts';
import { onCallReport, type OnCallReport } from '../operations/on-call.ts';
import { out, withContext } from './command.ts';
import { assertPerson, statusOf, usageError } from './context.ts';
import { noting } from './noting.ts';

const LISTED = 50;

function rotaLines(of: OnCallReport['schedules'][number]): string[] {
  const { schedule, timeZone, now, until, next, overrides, gaps } = of;
  const local = (at: string): string => localTime(Date.parse(at), timeZone);
  return [
    `${schedule}: ${now ?? 'NOBODY'} is on call${until === undefined ? '' : ` until ${local(until)}`}`,
    ...(next === undefined ? [] : [`  then ${next.person ?? 'NOBODY'}, from ${local(next.from)}`]),
    ...overrides.map(
      ({ person, from, until: end, reason }) =>
        `  override: ${person} from ${local(from)} until ${local(end)}${reason === undefined ? '' : `: ${reason}`}`,
    ),
    ...gaps.map(
      ({ from, until: end }) => `  GAP: nobody from ${local(from)} ${end === undefined ? 'on' : `until ${local(end)}`}`,
    ),
  ];
}

interface HandOver {
  to: string;
  as: string;
  json?: boolean;
}

export function onCallCommands(program: Command): void {
  program
    .command('oncall [schedule]')
    .description('who is on call now and next, overrides to come, and whom each level of the ladder would page')
    .option('--json')
    .action(async (name: string | undefined, { json }: { json?: boolean }) => {
      const settings = await loadSettings(loadConfig());
      const names = settings.schedules.map((one) => one.name);
      if (name !== undefined && !names.includes(name))
        throw usageError(`there is no schedule "${name}"; there are: ${names.join(', ') || 'none'}`);
      const report = onCallReport(settings, Date.now());
      const { ladder, delegations } = report;
      const rotas = report.schedules.filter(({ schedule }) => name === undefined || schedule === name);
      const levels = ladder.map(({ level, people, wait }) => `${level}: ${people.join(', ') || 'NOBODY'} (${wait})`);
      const instead = delegations.map(({ person, to, until }) => `${to} decides instead of ${person} until ${until}`);
      const lines = [...rotas.flatMap(rotaLines), ...levels, ...instead];
      out(json, { schedules: rotas, ladder, delegations }, lines.join('\n'));
    });
  program
    .command('escalations')
    .description('the ladders that are being climbed, and who is waited for')
    .option('--json')
    .action(
      withContext(async (context, { json }: { json?: boolean }) => {
        const found = [];
        const query = "WorkflowType = 'escalation' AND ExecutionStatus = 'Running'";
        for await (const { workflowId, runId, startTime, memo, typedSearchAttributes } of context.client.workflow.list({
          query,
        })) {
          const shown = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
          found.push({
            workflowId,
            runId,
            startedAt: startTime.toISOString(),
            of: memo?.['of'],
            subject: memo?.['subject'],
            severity: shown['HoldfastSeverity'],
            waitingFor: shown['HoldfastWaitingFor'] ?? [],
            until: memo?.['deadline'],
          });
          if (found.length >= LISTED) break;
        }
        const open = await Promise.all(
          found.map(async (one) => {
            const status = await statusOf(context, one.workflowId, one.runId).catch(() => undefined); // without a worker
            return { ...one, acknowledgedBy: status?.acknowledgedBy ?? null };
          }),
        );
        const lines = open.map(({ startedAt, subject, waitingFor, acknowledgedBy, until, workflowId }) => {
          const stands =
            acknowledgedBy === null ? `waits for ${[waitingFor].flat().join(', ')}` : `${acknowledgedBy} looks at it`;
          return `${startedAt.slice(0, 19)}Z  ${stands} until ${String(until)}  ${String(subject)}  ${workflowId}`;
        });
        out(json, open, lines.join('\n') || 'nobody is being paged');
      }),
    );
  program
    .command('hand-over <escalation>')
    .description('page this person next, by name: <workflow id>.escalation.<n>, as `escalations` lists it')
    .requiredOption('--to <person>')
    .requiredOption('--as <person>')
    .option('--json')
    .action(
      withContext(async ({ client, config, settings }, id: string, options: HandOver) => {
        const { to, as: by, json } = options;
        assertPerson(settings, to);
        await noting(config, { who: by, what: 'hand-over', on: id, detail: to }, () =>
          client.workflow.getHandle(id).signal('handOver', { by, to }),
        );
        out(json, { to, escalation: id }, `handed to ${to}: ${id}`);
      }),
    );
}
