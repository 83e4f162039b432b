import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, type Client } from '@temporalio/client';
import type { WorkerOptions } from '@temporalio/worker';
import { DEPLOYMENT } from '../src/contracts/index.ts';
import type { Log } from '../src/log.ts';

const REGISTER_POLL_MS = 250;
const REGISTER_POLLS = 40;

/** Build id of a worker: what its workflows are made of. Workers of one bundle are of one build, wherever they run. */
export const buildIdOf = ({ code }: { code: string }): string =>
  createHash('sha256').update(code).digest('hex').slice(0, 12);

/**
 * A worker of a versioned deployment: every run stays on the build that it began on, so that a changed runbook never meets a
 * history it did not write; the entities go on with the current build when they continue as new.
 */
export const versioned = (bundle: { code: string }) =>
  ({
    workerDeploymentOptions: {
      version: { deploymentName: DEPLOYMENT, buildId: buildIdOf(bundle) },
      useWorkerVersioning: true,
      defaultVersioningBehavior: 'PINNED',
    },
  }) satisfies Partial<WorkerOptions>;

/**
 * Let new runs begin on this build if they begin on none yet; which build is current is never changed. Waits until Temporal
 * knows the build, which it does once a worker of it polls; a refusal is logged, for the worker serves all the same.
 * @returns whether it became the current one.
 */
export async function useFirstBuild(
  { workflowService, options }: Client,
  buildId: string,
  log: Log = () => undefined,
): Promise<boolean> {
  const deployment = { namespace: options.namespace, deploymentName: DEPLOYMENT };
  let refused: unknown = new Error('Temporal does not know it');
  for (let poll = 0; poll < REGISTER_POLLS; poll++) {
    try {
      const { workerDeploymentInfo: info, conflictToken } = await workflowService.describeWorkerDeployment(deployment);
      if (info?.routingConfig?.currentDeploymentVersion?.buildId) return false;
      if (info?.versionSummaries?.some(({ deploymentVersion }) => deploymentVersion?.buildId === buildId)) {
        await workflowService.setWorkerDeploymentCurrentVersion({
          ...deployment,
          buildId,
          conflictToken: conflictToken ?? null, // another worker may have been first
          identity: 'holdfast',
        });
        return true;
      }
    } catch (error) {
      if (!isGrpcServiceError(error)) throw error;
      refused = error;
    }
    await sleep(REGISTER_POLL_MS);
  }
  const why = refused instanceof Error ? refused.message : String(refused);
  log(`worker: build ${buildId} is not the current one ("holdfast worker use ${buildId}"): ${why}`);
  return false;
}
