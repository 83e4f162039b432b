import { CancellationScope, condition, isCancellation, proxyLocalActivities, sleep } from '@temporalio/workflow';
import type { Result } from '../contracts/index.ts';
import type { PastRuns } from '../contracts/ports.ts';
import { diagnostic } from './activity-options.ts';
import type { Kit } from './conduct.ts';
import type { Story } from './story.ts';

/** Fired and resolved again this often within ten minutes, it flaps: that it has resolved is not believed. */
const FLAPPING = 3;
/** So long an alert must have been quiet to be over. */
const QUIET_MS = { steady: 30_000, flapping: 600_000 };
/** While it flaps the deadline moves on, now and then: each time is an event. */
const LOOK_AGAIN_MS = 6 * QUIET_MS.flapping;
const { lastRun } = proxyLocalActivities<PastRuns>(diagnostic);

const flaps = ({ status: { alerts } }: Story): boolean => (alerts.flaps ?? 0) >= FLAPPING;

/** When it will have been quiet for long enough, if nothing more comes; ms since the epoch. */
const quietAt = (story: Story): number =>
  Date.parse(story.status.alerts.newestAt ?? story.status.incident.openedAt) +
  (flaps(story) ? QUIET_MS.flapping : QUIET_MS.steady);

/** Watches until the alert has resolved and stayed so: half a minute, ten where it flaps. */
export function untilResolved(story: Story, then = (): void => undefined): { is: () => boolean; stop: () => void } {
  const scope = new CancellationScope();
  let resolved = false;
  const watch = async (): Promise<void> => {
    while (!resolved) {
      await condition(() => story.status.alerts.resolved);
      const left = quietAt(story) - Date.now(); // a timer for each quiet, not one for each alert
      if (left > 0) await sleep(left);
      else resolved = true;
    }
  };
  scope.run(watch).then(then, (error: unknown) => {
    if (!isCancellation(error)) throw error;
  });
  return { is: () => resolved, stop: () => scope.cancel() };
}

/** A run that reopens knows how the one before it ended, and what that tried. It can do without. */
export async function knowLast(story: Story): Promise<void> {
  const last = await lastRun({ workflowId: story.status.workflowId }).catch(() => null);
  if (last === null) return;
  const { outcome = 'ended from outside', closedAt, note, attempts } = last;
  const done = attempts.map(({ summary, result }) => `${summary} (${result.replaceAll('-', ' ')})`).join('; ');
  story.set({ last });
  story.tell(
    'last',
    `The run before ended at ${closedAt}: ${outcome}${note === undefined ? '' : `: ${note}`}${done && `; tried: ${done}`}`,
  );
}

/** What flaps on after a run has just done what could be done is not mitigated again. */
export function flapsOn(story: Story): Result | undefined {
  const { last, incident } = story.status;
  if (last === undefined || !flaps(story)) return undefined;
  if (Date.parse(incident.openedAt) - Date.parse(last.closedAt) > QUIET_MS.flapping) return undefined;
  const note = `it flaps on after the run before: ${last.note ?? last.outcome}`;
  if (last.outcome === 'taken-over') return { outcome: 'taken-over', note };
  return last.attempts.length > 0 || last.outcome === 'stopped' ? { outcome: 'handed-over', note } : undefined;
}

/** Did it go on firing and resolving after whatever was done? */
export function isFlapping(story: Story): boolean {
  const { alerts, attempts = [] } = story.status;
  return flaps(story) && (alerts.firedAt ?? '') > (attempts.at(-1)?.at ?? '') && quietAt(story) > Date.now();
}

/**
 * What flaps is one incident with one mitigation: when the steps are over and it flaps on, a person is needed, and the run takes
 * in all further alerts until it has been quiet for ten minutes.
 */
export async function untilQuiet({ story, board, callouts }: Kit, result: Result): Promise<Result> {
  if (!isFlapping(story)) return result;
  const outcome = result.outcome === 'taken-over' ? 'taken-over' : 'handed-over'; // who took it over need not be paged
  const { title, incident } = story.status;
  const note = `flapping, a person is needed: it fired and resolved ${story.status.alerts.flaps} times in ten minutes; ${result.outcome} before: ${result.note}`;
  story.tell('flapping', note);
  story.set({ proposal: undefined }); // what was decided, or not, is over
  if (outcome === 'handed-over')
    await callouts.handOver({
      subject: `${title} on ${incident.service}: flapping, a person is needed`,
      text: note.slice(0, 4000),
    });
  for (let shown = false; ; shown = true) {
    const left = quietAt(story) - Date.now();
    if (board.ending !== undefined) return board.ending;
    if (left <= 0) return { outcome, note };
    if (!shown || Date.parse(story.status.deadline ?? '') - Date.now() < left)
      story.set({
        phase: 'waiting',
        doing: `Flapping, a person is needed: ${incident.summary}.`,
        next: 'Close when it has been quiet for ten minutes.',
        deadline: new Date(Date.now() + LOOK_AGAIN_MS).toISOString(),
      });
    await condition(() => board.ending !== undefined, left);
  }
}
