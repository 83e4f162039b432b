/** Reading of incidents: `incidents`, `incident`, `watch`. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Status, TimelineEntry } from '../contracts/index.ts';
import { isSecondLook, type ListedRun } from '../operations/runs.ts';
import { needsAPerson } from '../runbook/endings.ts';
import { out } from './command.ts';
import { usageError } from './context.ts';
import { endingOf } from './failing.ts';
import { withRuns, type Runs } from './runs.ts';
import { newLines } from './watch.ts';

const LISTED = 50;
const POLL_MS = 1000;
/** So long a worker or the gateway may be away before a watch gives up. */
const AWAY_MS = 120_000;
const AWAY = 3;

const listLine = ({ startedAt, phase, waitingFor, workflowId, runId }: ListedRun): string => {
  const waits = waitingFor.length > 0 ? ` for ${waitingFor.join(', ')}` : '';
  return `${startedAt.slice(0, 19)}Z  ${`${phase}${waits}`.padEnd(24)}  ${workflowId}  ${runId}`;
};

export function incidentCommands(program: Command): void {
  program
    .command('incidents')
    .description('open incidents and the newest closed ones')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await withRuns((runs) => runs.list({ limit: LISTED }));
      out(json, found, found.map(listLine).join('\n') || 'no incidents');
    });
  program
    .command('incident <id>')
    .description('what it is doing, what comes next, the whole timeline')
    .option('--run <runId>', 'an earlier run of the same incident, as `incidents` shows it')
    .option('--json')
    .action(async (id: string, { run, json }: { run?: string; json?: boolean }) => {
      const { status, link } = await withRuns(async (runs) => {
        const found = await runs.status(id, run);
        return { status: found, link: runs.link(found) };
      });
      const lines = status.timeline.map(
        ({ at, what, who }) => `${at}  ${what}${who === undefined ? '' : `  (${who})`}`,
      );
      const { paused, doing, outcome, note } = status;
      const head = [
        `${status.title}: ${paused ? 'PAUSED. ' : ''}${doing}`,
        ...(outcome === undefined
          ? [
              paused ? `Next: nothing until it is resumed: resume ${id} --as <you>` : `Next: ${status.next}`,
              isSecondLook(status)
                ? `To answer: approve ${id}, or reject ${id} --reason "…"`
                : `To stop it: pause, stop or take-over ${id} --as <you>`,
            ]
          : [`Outcome: ${outcome}: ${note}`]),
      ];
      out(json, status, [...head, ...(link === undefined ? [] : [link]), '', ...lines].join('\n'));
    });
  program
    .command('watch [id]')
    .description('follow a run until it has ended, the newest open incident without an id; 1 where a person must go on')
    .option('--run <runId>', 'an earlier run')
    .option('--json', 'one line of JSON for each event, the last with the outcome')
    .action(async (id: string | undefined, { run, json }: { run?: string; json?: boolean }) => {
      const say = json === true ? (line: Event) => console.log(JSON.stringify(line)) : sayPlainly;
      await withRuns(async (runs) => follow(runs, await chosen(runs, id, run), say));
    });
}

type Event = TimelineEntry & Partial<Pick<Status, 'outcome' | 'note'>>;

const sayPlainly = ({ at, what, who }: Event): void =>
  console.log(`${at.slice(11, 19)}  ${what}${who === undefined ? '' : `  (${who})`}`);

async function chosen(runs: Runs, id: string | undefined, runId: string | undefined): Promise<Status> {
  if (id !== undefined) return await runs.status(id, runId);
  const newest = (await runs.list({ state: 'open', limit: LISTED })).find((run) => !isSecondLook(run));
  if (newest === undefined) throw usageError('no incident is open: name one, as `incidents` lists them', 4);
  return await runs.status(newest.workflowId, newest.runId);
}

/** Tell each event once, until the run has ended; who is away for a while is waited for. */
async function follow(runs: Runs, first: Status, say: (event: Event) => void): Promise<void> {
  const { workflowId, runId } = first;
  const fresh = newLines();
  let status = first;
  let asked = '';
  let seenAt = Date.now();
  for (;;) {
    for (const line of fresh(status)) say(line);
    if (status.outcome !== undefined) break;
    const { proposal, phase, waitingFor, waitingUntil } = status;
    const asks = phase === 'waiting' && proposal !== undefined ? `${proposal.digest} ${waitingFor.join()}` : '';
    if (asks !== '' && asks !== asked)
      say({
        at: new Date().toISOString(),
        kind: 'asks',
        what: `Asked of ${waitingFor.join(', ')}: ${proposal?.summary}, until ${waitingUntil ?? proposal?.expiresAt}`,
      });
    asked = asks;
    await sleep(POLL_MS);
    const next = await runs.status(workflowId, runId).catch((error: unknown) => {
      if (endingOf(error).exitCode !== AWAY || Date.now() - seenAt > AWAY_MS) throw error;
      return undefined;
    });
    if (next === undefined) continue;
    seenAt = Date.now();
    status = next;
  }
  const { outcome, note } = status;
  say({ at: new Date().toISOString(), kind: 'outcome', what: `Outcome: ${outcome}: ${note}`, outcome, note });
  process.exitCode = needsAPerson(status) ? 1 : 0;
}
