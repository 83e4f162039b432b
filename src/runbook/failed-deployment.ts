/** The alert of a deployment that has failed: told once, and resolved by one that is released. */
import type { DeploymentRun, Scope } from '../contracts/index.ts';
import { send } from './alerting.ts';

const FAILED = { 'rolled-back': 'warning', failed: 'critical', 'handed-over': 'critical' } as const;

/** What was told of the deployments of an environment. */
export interface ToldDeployment {
  seen?: string;
  failed?: { runId: string; startsAt: string };
}

/** Tell what the newest deployment came to; null could not be read. What ended before the monitor began is not told. */
export async function tellDeployment(
  scope: Scope,
  state: ToldDeployment,
  run: DeploymentRun | undefined | null,
): Promise<void> {
  if (run === null) return;
  if (run === undefined) return void (state.seen ??= 'none');
  const { runId, endedAt, outcome, note } = run;
  if (endedAt === undefined || runId === state.seen) return;
  const severity = Object.entries(FAILED).find(([name]) => name === outcome)?.[1];
  const about = { scope, name: 'FailedDeployment', summary: `the deployment ended as ${outcome}: ${note}` };
  if (state.seen !== undefined && severity !== undefined) {
    if (!(await send({ ...about, severity }, { status: 'firing', startsAt: endedAt, of: runId }))) return;
    state.failed = { runId, startsAt: endedAt };
  } else if (outcome === 'released' && state.failed !== undefined) {
    const { runId: of, startsAt } = state.failed;
    if (!(await send(about, { status: 'resolved', startsAt, of }))) return;
    delete state.failed;
  }
  state.seen = runId;
}
