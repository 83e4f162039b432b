/** How a deployment is shown on a code-hosting service. It never holds one up; the last word is `recordIncident`'s. */
import { CancellationScope, condition, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { Outcome, ShownDeployment, Status } from '../contracts/index.ts';
import type { CodeHost } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';
import { say } from './failures.ts';
import type { Story } from './story.ts';

const { showDeployment } = proxyActivities<CodeHost>(delivery);
type State = ShownDeployment['state'];

const ENDED: Partial<Record<Outcome, State>> = {
  released: 'released',
  failed: 'failed',
  'rolled-back': 'failed',
  'handed-over': 'failed',
};

/** A deployment as it is shown, now or when it has ended; undefined where nothing shows it. */
export function shownOf(status: Status, state?: State): ShownDeployment | undefined {
  const { incident, release, workflowId, runId, outcome, doing, note = doing } = status;
  if (release === undefined) return undefined;
  const { service, environment } = incident;
  const { version, commit } = release;
  const ended = (outcome && ENDED[outcome]) ?? 'ended';
  return { service, environment, version, commit, workflowId, runId, state: state ?? ended, note: note.slice(0, 500) };
}

/** Shows one state after another, the newest where several came while it was away. */
export function createShowing(story: Story) {
  const scope = new CancellationScope();
  let wanted: State | undefined;
  let last: State | undefined;
  let showing = false;
  const show = async (): Promise<void> => {
    while (wanted !== undefined) {
      const shown = shownOf(story.status, wanted);
      wanted = undefined;
      if (shown !== undefined) await showDeployment(shown);
    }
  };
  return {
    show(state: State): void {
      if (story.status.release === undefined || state === last) return;
      wanted = last = state;
      if (showing) return;
      showing = true;
      void scope
        .run(show)
        .catch((error: unknown) => {
          if (!isCancellation(error)) story.tell('not-shown', `Not shown on the code host: ${say(error)}`);
        })
        .finally(() => (showing = false));
    },
    /** What is being sent gets ten seconds: it must not arrive after the last word. */
    async stop(): Promise<void> {
      wanted = undefined;
      if (!showing || (await condition(() => !showing, '10 seconds'))) return;
      scope.cancel();
      await condition(() => !showing);
    },
  };
}
