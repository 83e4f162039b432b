import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import type { PipelineRun, Scope } from '../contracts/index.ts';
import type { Pipeline } from '../contracts/ports.ts';
import { longWork, mitigation } from './activity-options.ts';
import type { ProcedureRun } from './procedure.ts';

const LOOK_AGAIN = '30 seconds';
const { runPipeline } = proxyActivities<Pipeline>(longWork);
const { cancelPipeline } = proxyActivities<Pipeline>(mitigation);

/**
 * Run a pipeline to its end. One that runs elsewhere is looked at when that says it has ended (`wake`), and every half minute,
 * for a webhook may be lost. It is cancelled there when the run is stopped meanwhile.
 */
export async function pipelineEnded(
  run: ProcedureRun,
  of: Scope & { commit: string; key: string },
): Promise<PipelineRun> {
  for (;;) {
    const told = await runPipeline(of);
    if (told.running !== true) return told;
    try {
      await run.woken(LOOK_AGAIN);
    } catch (error) {
      await CancellationScope.nonCancellable(() => cancelPipeline(of)).catch(() => undefined); // it ends by itself
      throw error;
    }
  }
}
