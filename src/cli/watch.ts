import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../contracts/index.ts';
import { readPages } from '../pages.ts';
import { uiLink } from '../operations/temporal.ts';
import { unanswered } from '../operations/unanswered.ts';
import { statusOf, type Context } from './context.ts';
import { decide, shortDigest } from './decide.ts';

const POLL_MS = 400;

/** Of one status after another of a run, the lines that were not there before; `leftOut` are those that the middle lost. */
export function newLines(): (status: Pick<Status, 'timeline' | 'leftOut'>) => Status['timeline'] {
  let shown = 0;
  return ({ timeline, leftOut = 0 }) => {
    const fresh = Math.min(timeline.length, timeline.length + leftOut - shown);
    shown = timeline.length + leftOut;
    return fresh === 0 ? [] : timeline.slice(-fresh);
  };
}

/** Show a run as its timeline grows, approve where asked to, until it has ended. Leaving it does not stop it. */
export async function watchRun(
  context: Context,
  of: { workflowId: string; runId: string; approveAs?: string | undefined; say: (line: string) => void },
): Promise<Status> {
  const { workflowId, runId, say } = of;
  const fresh = newLines();
  let asked: string | undefined;
  for (;;) {
    const status = await statusOf(context, workflowId, runId).catch(() => undefined);
    if (status === undefined) {
      await sleep(POLL_MS); // no worker answers at this moment
      continue;
    }
    for (const { at, what, who } of fresh(status))
      say(`  ${at.slice(11, 19)}  ${what}${who === undefined ? '' : `  (${who})`}`);
    if (status.outcome !== undefined) return status;
    if (
      status.phase === 'waiting' &&
      status.proposal !== undefined &&
      asked !== `${status.proposal.digest} ${status.waitingFor.join()}` &&
      status.waitingFor.length > 0
    ) {
      const { digest: proposal } = status.proposal;
      asked = `${proposal} ${status.waitingFor.join()}`;
      if (of.approveAs !== undefined)
        await decide(context, { id: workflowId, person: of.approveAs, verdict: 'approved', proposal });
      else if (!(await showHowToApprove(context, status, say))) asked = undefined; // the page is still on its way
    }
    await sleep(POLL_MS);
  }
}

async function showHowToApprove(context: Context, status: Status, say: (line: string) => void): Promise<boolean> {
  const page = readPages(context.config.HOLDFAST_STATE_DIR).find(
    (one) => one.digest === status.proposal?.digest && status.waitingFor.includes(one.person) && one.code !== null,
  );
  if (page === undefined) return false;
  const options = status.proposal?.options;
  const { unless, at, follows } = unanswered(status, context.settings);
  for (const line of [
    '',
    `It asks you: ${status.proposal?.summary}?`,
    `  In the Temporal UI:  ${uiLink(context, status)}`,
    '    More Actions, Send a Signal, name approve (or reject), and as input:',
    `    {"by":"${page.person}","code":"${page.code}"}`,
    `  Or in another terminal:  npm run -s holdfast -- approve ${status.workflowId} --as ${page.person} --proposal ${shortDigest(page.digest ?? '')}`,
    ...(options === undefined
      ? []
      : [`  It offers: ${options.join(', ')} (--option); rejecting takes back what was done.`]),
    `  ${unless}${at === undefined ? '' : ` until ${at}`}, ${follows}.`,
    '',
  ])
    say(line);
  return true;
}
