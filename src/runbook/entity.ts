import { defineSignal, makeContinueAsNewFunc, setHandler, workflowInfo } from '@temporalio/workflow';
import type { Workflow } from '@temporalio/common';

const upgrade = defineSignal('upgrade');

/** Continue an entity, a run that never ends, as a new one on the current build of the workers. */
export const continueOn = <F extends Workflow>(...args: Parameters<F>): Promise<never> =>
  makeContinueAsNewFunc<F>({ initialVersioningBehavior: 'AUTO_UPGRADE' })(...args);

/** Whether an entity should continue: its history has grown long, or there is another build and somebody told it. */
export function dueToContinue(): () => boolean {
  let told = false;
  setHandler(upgrade, () => void (told = true), { description: 'Go on with the current build of the workers' });
  return () => told || workflowInfo().continueAsNewSuggested;
}
