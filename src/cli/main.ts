/** `npm run holdfast -- <command>`. Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 Temporal away, 4 not found, 5 not allowed. */
import { ApplicationFailure } from '@temporalio/common';
import { Command } from 'commander';
import { loadConfig, loadSettings } from '../config.ts';
import { readPages } from '../pages.ts';
import { out, withContext } from './command.ts';
import { assertPerson, assertService, statusOf, uiLink, usageError } from './context.ts';
import { askControl } from './control.ts';
import { decide, shortDigest } from './decide.ts';
import { deploymentCommands } from './deployments.ts';
import { checkGameDay, prepareShop, runGameDay } from './gameday.ts';
import { ensurePlatform } from './platform.ts';
import { start } from './start.ts';
import type { KillSwitch } from '../../workflows/index.ts';

const program = new Command('holdfast').description('Durable runbooks and deployments on Temporal').exitOverride();

program.command('start').description('start the platform and run the game day, for you to approve').action(start);
program
  .command('up')
  .description('start the platform and keep it up until Ctrl-C')
  .action(async () => {
    const platform = await ensurePlatform(console.log);
    await prepareShop(loadConfig());
    for (const [name, link] of Object.entries(platform.links)) console.log(`  ${name.padEnd(12)} ${link}`);
    process.on('SIGINT', () => void platform.end());
    process.on('SIGTERM', () => void platform.end());
    await platform.ended;
  });
program
  .command('gameday <scenario>')
  .description('let something real go wrong under real traffic and follow the incident')
  .option('--approve-as <person>', 'decide as this person, unattended')
  .option('--fault <name>', 'what goes wrong, where the scenario has several')
  .option('--json', 'one JSON object on standard output, progress on standard error')
  .action(async (name: string, options: { approveAs?: string; fault?: string; json?: boolean }) => {
    const say = options.json === true ? (line: string) => console.error(line) : (line: string) => console.log(line);
    const gameDay = checkGameDay(name, options, await loadSettings(loadConfig()));
    const platform = await ensurePlatform(say);
    let report;
    try {
      report = await runGameDay(gameDay, say);
    } finally {
      await platform.end();
    }
    out(options.json, report, `Outcome: ${report.outcome}`);
    process.exitCode = report.outcome === gameDay.expects ? 0 : 1;
  });
program
  .command('incidents')
  .description('open incidents and the newest closed ones')
  .option('--json')
  .action(
    withContext(async ({ client }, { json }: { json?: boolean }) => {
      const found = [];
      for await (const { workflowId, runId, status, startTime, typedSearchAttributes } of client.workflow.list({
        query: "WorkflowId STARTS_WITH 'incident.'",
      })) {
        const shown = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
        found.push({
          workflowId,
          runId,
          status: status.name,
          startedAt: startTime.toISOString(),
          phase: shown['HoldfastPhase'],
          waitingFor: shown['HoldfastWaitingFor'],
        });
        if (found.length >= 50) break;
      }
      out(
        json,
        found,
        found.length === 0
          ? 'no incidents'
          : found
              .map(({ startedAt, phase, waitingFor, workflowId, runId }) => {
                const waits = Array.isArray(waitingFor) ? ` for ${waitingFor.join(', ')}` : '';
                return `${startedAt.slice(0, 19)}Z  ${`${String(phase)}${waits}`.padEnd(24)}  ${workflowId}  ${runId}`;
              })
              .join('\n'),
      );
    }),
  );
program
  .command('incident <id>')
  .description('what it is doing, what comes next, the whole timeline')
  .option('--run <runId>', 'an earlier run of the same incident, as `incidents` shows it')
  .option('--json')
  .action(
    withContext(async (context, id: string, { run, json }: { run?: string; json?: boolean }) => {
      const status = await statusOf(context, id, run);
      const lines = status.timeline.map(
        ({ at, what, who }) => `${at}  ${what}${who === undefined ? '' : `  (${who})`}`,
      );
      out(
        json,
        status,
        [
          `${status.title}: ${status.paused ? 'PAUSED. ' : ''}${status.doing}`,
          ...(status.outcome === undefined
            ? [
                status.paused ? `Next: nothing until it is resumed: resume ${id} --as <you>` : `Next: ${status.next}`,
                `To stop it: pause, stop or take-over ${id} --as <you>`,
              ]
            : [`Outcome: ${status.outcome}: ${status.note}`]),
          uiLink(context.config, status),
          '',
          ...lines,
        ].join('\n'),
      );
    }),
  );
interface DecideOptions {
  as: string;
  proposal?: string;
  option?: string;
  reason?: string;
  json?: boolean;
}
for (const [command, verdict] of [
  ['approve', 'approved'],
  ['reject', 'declined'],
] as const)
  program
    .command(`${command} <id>`)
    .description(`${command} the open proposal with a signed decision`)
    .requiredOption('--as <person>')
    .option('--proposal <digest>', 'the beginning of its digest, as page and inbox show it; without it you are asked')
    .option('--option <name>', 'which way, where the proposal offers several')
    .option('--reason <text>', 'why')
    .option('--json')
    .action(
      withContext(async (context, id: string, options: DecideOptions) => {
        const { as: person, json, ...chosen } = options;
        const { status, ballot } = await decide(context, { id, person, verdict, ...chosen });
        const standing = `${ballot.verdict}, ${ballot.approvedBy.length} of ${ballot.needed}`;
        out(json, ballot, `${verdict} by ${person}: ${status.proposal?.summary} (${standing})`);
      }),
    );
for (const [command, signal, description] of [
  ['ack', 'acknowledge', 'I am looking at it: the ladder waits once more'],
  ['note', 'note', 'add to the timeline'],
  ['pause', 'pause', 'begin nothing new until resumed'],
  ['resume', 'resume', 'go on after a pause'],
  ['stop', 'stop', 'end the automation: an incident leaves what is, a deployment takes back what it did'],
  ['take-over', 'takeOver', 'a person goes on by hand'],
] as const)
  program
    .command(`${command} <id> [text]`)
    .description(description)
    .requiredOption('--as <person>')
    .action(
      withContext(async ({ client, settings }, id: string, text: string | undefined, options: { as: string }) => {
        assertPerson(settings, options.as);
        if (command === 'note' && !text?.trim()) throw usageError('say what to note: note <id> "<text>"');
        await client.workflow.getHandle(id).signal(signal, { by: options.as, ...(text === undefined ? {} : { text }) });
        console.log(`${signal}: sent to ${id}`);
      }),
    );
program
  .command('kill-switch <state> <service>')
  .description('on: forbid every change by Holdfast to the service; off: allow them again')
  .requiredOption('--as <person>')
  .option('--reason <text>', 'why', '')
  .action(
    withContext(async (context, state: string, service: string, options: { as: string; reason: string }) => {
      const { client, config, settings } = context;
      if (state !== 'on' && state !== 'off') throw usageError('say on or off');
      assertPerson(settings, options.as);
      assertService(settings, service);
      await askControl<KillSwitch>(client, config.HOLDFAST_TASK_QUEUE, service, 'setKillSwitch', {
        on: state === 'on',
        by: options.as,
        reason: options.reason,
      });
      console.log(`kill switch of ${service}: ${state}`);
    }),
  );
deploymentCommands(program);
program
  .command('inbox')
  .description('pages that were delivered to the console inbox of this machine')
  .requiredOption('--as <person>')
  .option('--json')
  .action(async (options: { as: string; json?: boolean }) => {
    const config = loadConfig();
    assertPerson(await loadSettings(config), options.as);
    const pages = readPages(config.HOLDFAST_STATE_DIR, { person: options.as });
    out(
      options.json,
      pages,
      [
        'when  what  code  proposal  incident',
        ...pages.map(({ at, subject, code, digest, workflowId }) =>
          [at, subject, ...(digest === null ? ['-', '-'] : [code, shortDigest(digest)]), workflowId].join('  '),
        ),
      ].join('\n'),
    );
  });

try {
  await program.parseAsync();
} catch (error) {
  const code =
    error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : undefined;
  const helped = error instanceof Error && 'code' in error && String(error.code).startsWith('commander.');
  const notFound = error instanceof Error && error.name === 'WorkflowNotFoundError';
  const { cause } = error instanceof Error ? error : {};
  const refused = cause instanceof ApplicationFailure;
  const said =
    error instanceof Error
      ? [error.message, ...(cause instanceof Error ? [cause.message] : [])].join(': ')
      : String(error);
  if (notFound) console.error('there is no such incident; `incidents` lists them');
  else if (!helped) console.error(refused ? `refused: ${cause.message}` : said);
  process.exitCode = helped && code === 1 ? 2 : (code ?? (notFound ? 4 : refused ? 5 : 1));
}
