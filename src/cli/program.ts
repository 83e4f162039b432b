import { Command } from 'commander';
import { loadConfig, loadSettings } from '../config.ts';
import { say } from '../operations/say.ts';
import { readPages } from '../pages.ts';
import { kebab } from '../runbook/catalogue.ts';
import { accessCommands } from './access.ts';
import { alertCommands } from './alerts.ts';
import { out, progress, withContext } from './command.ts';
import { completionCommand } from './completion.ts';
import { usageError } from './context.ts';
import { controlCommands } from './control.ts';
import { decide, decideRemotely, sayRemotely, shortDigest } from './decide.ts';
import { deploymentCommands } from './deployments.ts';
import { drillCommand } from './drill.ts';
import { checkGameDay, prepareShop, runGameDay } from './gameday.ts';
import { incidentCommands } from './incidents.ts';
import { noting } from './noting.ts';
import { assertRuled } from './rules.ts';
import { onCallCommands } from './oncall.ts';
import { sloCommand } from './slo.ts';
import { reviewCommands } from './reviews.ts';
import { doctorCommand } from './doctor.ts';
import { mcpCommand } from './mcp.ts';
import { endPlatform, ensurePlatform, howToSignIn } from './platform.ts';
import { start } from './start.ts';
import { statsCommand } from './stats.ts';
import { workerCommands } from './workers.ts';
import { whatIfCommand } from './what-if.ts';

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 Temporal, its worker or the gateway away, 4 not found, 5 not allowed`;

/** Every command, with its options and what it does. */
export const program = new Command('holdfast')
  .description('Durable runbooks and deployments on Temporal')
  .addHelpText('after', EXIT_CODES)
  .exitOverride()
  .hook('preAction', (_, command) => assertRuled(command));

program.command('start').description('start the platform and run the game day, for you to approve').action(start);
program
  .command('up')
  .description('start the platform and keep it up until Ctrl-C')
  .action(async () => {
    const platform = await ensurePlatform(console.log);
    await prepareShop(loadConfig());
    for (const [name, link] of Object.entries(platform.links)) console.log(`  ${name.padEnd(12)} ${link}`);
    console.log(howToSignIn());
    process.on('SIGINT', () => void platform.end());
    process.on('SIGTERM', () => void platform.end());
    await platform.ended;
  });
program
  .command('down')
  .description('end the platform of this state folder, with everything it started')
  .option('--json')
  .action(async ({ json }: { json?: boolean }) => {
    const ended = await endPlatform();
    out(json, { ended }, ended === 0 ? 'nothing runs' : `ended, ${ended} processes`);
  });
doctorCommand(program);
workerCommands(program);
program
  .command('gameday <scenario>')
  .description('let something real go wrong under real traffic and follow the incident')
  .option('--approve-as <person>', 'decide as this person, unattended')
  .option('--fault <name>', 'what goes wrong, where the scenario has several')
  .option('--release <name>', 'the same, where it is a release of the shop')
  .option('--json', 'one JSON object on standard output, progress on standard error')
  .action(async (name: string, options: { approveAs?: string; fault?: string; release?: string; json?: boolean }) => {
    const say = progress(options.json);
    const { release, ...asked } = options;
    const gameDay = checkGameDay(
      name,
      { ...(release && { fault: release }), ...asked },
      await loadSettings(loadConfig()),
    );
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
incidentCommands(program);
interface DecideOptions {
  as?: string;
  proposal?: string;
  option?: string;
  reason?: string;
  breakGlass?: true;
  json?: boolean;
}
for (const [command, verdict] of [
  ['approve', 'approved'],
  ['reject', 'declined'],
] as const) {
  const deciding = program
    .command(`${command} <id>`)
    .description(`${command} the open proposal with a signed decision`)
    .option('--as <person>', 'sign with the key of this machine; without it as who has signed in')
    .option('--proposal <digest>', 'the beginning of its digest, as page and inbox show it; without it you are asked')
    .option('--option <name>', 'which way, where the proposal offers several')
    .option('--reason <text>', 'why')
    .option('--json')
    .action(async (id: string, { as: person, json, ...chosen }: DecideOptions) => {
      const decided =
        person === undefined
          ? decideRemotely(loadConfig(), { id, verdict, ...chosen })
          : withContext(async (context) => await decide(context, { id, person, verdict, ...chosen }))();
      const { status, ballot } = await decided;
      const standing = `${ballot.verdict}, ${ballot.approvedBy.length} of ${ballot.needed}`;
      const { workflowId, until } = ballot.breakGlass ?? {};
      const look = workflowId && `\nA second person must look by ${until}: approve or reject ${workflowId}`;
      out(json, ballot, `${verdict}: ${status.proposal?.summary} (${standing})${look ?? ''}`);
    });
  if (command === 'approve')
    deciding.option(
      '--break-glass',
      'alone, where the rule asks for more and allows it: --reason says why; all are told',
    );
}
for (const [command, signal, description] of [
  ['ack', 'acknowledge', 'I am looking at it: the ladder waits until that is stale'],
  ['note', 'note', 'add to the timeline'],
  ['pause', 'pause', 'begin nothing new until resumed'],
  ['resume', 'resume', 'go on after a pause'],
  ['stop', 'stop', 'end the automation: an incident leaves what is, a deployment takes back what it did'],
  ['take-over', 'takeOver', 'a person goes on by hand'],
] as const)
  program
    .command(`${command} <id> [text]`)
    .description(description)
    .option('--as <person>', 'without it as who has signed in')
    .option('--json')
    .action(async (id: string, text: string | undefined, { as: person, json }: { as?: string; json?: boolean }) => {
      if (command === 'note' && !text?.trim()) throw usageError('say what to note: note <id> "<text>"');
      if (person === undefined) await sayRemotely(loadConfig(), id, kebab(signal), text);
      const to =
        person === undefined
          ? id
          : await withContext(async ({ client, config }) => {
              const said = { by: person, ...(text !== undefined && { text }) };
              return await noting(config, { who: person, what: signal, on: id, detail: text }, () =>
                say(client, { workflowId: id }, signal, said),
              );
            })();
      out(json, { signal, sentTo: to }, `${signal}: sent to ${to}`);
    });
controlCommands(program);
deploymentCommands(program);
statsCommand(program);
sloCommand(program);
alertCommands(program);
onCallCommands(program);
reviewCommands(program);
drillCommand(program);
whatIfCommand(program);
accessCommands(program);
mcpCommand(program);
completionCommand(program);
program
  .command('inbox')
  .description('pages that were delivered to the console inbox of this machine')
  .requiredOption('--as <person>')
  .option('--json')
  .action((options: { as: string; json?: boolean }) => {
    const pages = readPages(loadConfig().HOLDFAST_STATE_DIR, { person: options.as });
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
