import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, type Client } from '@temporalio/client';
import type { Command } from 'commander';
import { DEPLOYMENT } from '../contracts/index.ts';
import { out, progress, withContext } from './command.ts';
import { usageError } from './context.ts';

const DRAIN_POLL_MS = 1000;
const NOT_FOUND = 5;
/** Runs that never end by themselves, or not for weeks; they go on with the current build when they are told of it. */
const ENTITIES = ['serviceControl', 'monitorService', 'drillRunbooks', 'weeklyDigest', 'postIncident'];

export interface Build {
  buildId: string;
  current: boolean;
  /** Runs that are open on it. */
  open: number;
}

const versionOf = (buildId: string): string => `${DEPLOYMENT}:${buildId}`;
const openOn = (buildId: string): string =>
  `TemporalWorkerDeploymentVersion = '${versionOf(buildId)}' AND ExecutionStatus = 'Running'`;

/** The builds that workers have served with, the current one first. */
export async function builds({ workflow, workflowService, options: { namespace } }: Client): Promise<Build[]> {
  const answer = await workflowService
    .describeWorkerDeployment({ namespace, deploymentName: DEPLOYMENT })
    .catch((error: unknown) => {
      if (isGrpcServiceError(error) && Number(error.code) === NOT_FOUND) return undefined;
      throw error;
    });
  const current = answer?.workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId;
  const ids = (answer?.workerDeploymentInfo?.versionSummaries ?? []).flatMap(({ deploymentVersion }) =>
    deploymentVersion?.buildId ? [deploymentVersion.buildId] : [],
  );
  const found = await Promise.all(
    ids.map(async (buildId) => ({
      buildId,
      current: buildId === current,
      open: (await workflow.count(openOn(buildId))).count,
    })),
  );
  return found.sort((a, b) => Number(b.current) - Number(a.current));
}

/** From now on new runs begin on this build; those that are open stay on theirs. @throws usage error when no worker serves it. */
export async function useBuild(client: Client, buildId: string): Promise<void> {
  const { namespace } = client.options;
  const known = await builds(client);
  if (!known.some((one) => one.buildId === buildId))
    throw usageError(
      `no worker serves build "${buildId}"; there are: ${known.map((one) => one.buildId).join(', ')}`,
      4,
    );
  await client.workflowService.setWorkerDeploymentCurrentVersion({
    namespace,
    deploymentName: DEPLOYMENT,
    buildId,
    identity: 'holdfast',
  });
}

/** Move the entities off a build, and wait until nothing is open on it. @throws usage error when it is the current one. */
export async function drainBuild(client: Client, buildId: string, say: (open: number) => void): Promise<void> {
  const known = await builds(client);
  if (known.some((one) => one.buildId === buildId && one.current))
    throw usageError(`"${buildId}" is the current build: first "worker use" another`, 5);
  let told = -1;
  for (;;) {
    const types = ENTITIES.map((type) => `'${type}'`).join(', ');
    for await (const { workflowId, runId } of client.workflow.list({
      query: `${openOn(buildId)} AND WorkflowType IN (${types})`,
    }))
      await client.workflow.getHandle(workflowId, runId).signal('upgrade').catch(ifGone);
    const { count } = await client.workflow.count(openOn(buildId));
    if (count !== told) say(count);
    if (count === 0) return;
    told = count;
    await sleep(DRAIN_POLL_MS);
  }
}

/** It has continued as new meanwhile. */
function ifGone(error: unknown): void {
  if (!(error instanceof Error) || error.name !== 'WorkflowNotFoundError') throw error;
}

export function workerCommands(program: Command): void {
  const worker = program.command('worker').description('builds of the workers, where they are versioned');
  worker
    .command('list')
    .description('the builds, which one new runs begin on, and what is open on each')
    .option('--json')
    .action(
      withContext(async ({ client }, { json }: { json?: boolean }) => {
        const found = await builds(client);
        const lines = found.map(
          ({ buildId, current, open }) => `${buildId}  ${(current ? 'current' : '').padEnd(8)}  ${open} open`,
        );
        out(json, found, lines.join('\n') || 'no versioned worker has served here (HOLDFAST_VERSIONING=1)');
      }),
    );
  worker
    .command('use <build>')
    .description('new runs begin on this build; open ones stay on theirs')
    .option('--json')
    .action(
      withContext(async ({ client }, buildId: string, { json }: { json?: boolean }) => {
        await useBuild(client, buildId);
        out(json, { buildId, current: true }, `new runs begin on ${buildId}`);
      }),
    );
  worker
    .command('drain <build>')
    .description('wait until nothing is open on this build, so that its workers can end')
    .option('--json', 'one JSON object on standard output, progress on standard error')
    .action(
      withContext(async ({ client }, buildId: string, { json }: { json?: boolean }) => {
        const say = progress(json);
        await drainBuild(client, buildId, (open) => say(`${open} open on ${buildId}`));
        out(json, { buildId, open: 0 }, `the workers of ${buildId} can end`);
      }),
    );
}
