import { Result } from '../../contracts/index.ts';
import { doraOf, type Deployed, type Dora, type Restoration } from '../../dora.ts';
import { assertService, type Context } from '../context.ts';
import { runsOf } from './listing.ts';

const COUNTED = 500;
const DAY_MS = 86_400_000;

/** What did not take traffic changed nothing: it counts neither as a deployment nor as a failure. */
function outcomeOf(result: Result | undefined): Deployed['outcome'] {
  if (result?.outcome === 'released') return 'verified';
  if (result?.outcome === 'superseded') return 'superseded';
  if (result?.tookTraffic !== true) return 'refused';
  return result.outcome === 'rolled-back' ? 'rolled-back' : 'failed';
}

/** The four keys of each environment whose procedure is `production`. */
export async function statsOf(
  context: Context,
  names: string[],
  days: number,
): Promise<(Dora & { service: string; environment: string; days: number })[]> {
  const since = new Date(Date.now() - days * DAY_MS);
  const runs = (await runsOf(context, COUNTED, since)).filter(
    ({ workflowId, endedAt }) => workflowId.startsWith('deployment.') && endedAt !== undefined,
  );
  const ended = await Promise.all(
    runs.map(async (one) => {
      const result = await resultOf(context, one);
      return { ...one, outcome: outcomeOf(result), commitAt: result?.commitAt ?? [] };
    }),
  );
  const restorations = await restorationsOf(context, since);
  return names.flatMap((service) =>
    Object.entries(assertService(context.settings, service).environments)
      .filter(([, { deployment }]) => deployment.procedure === 'production')
      .map(([environment]) => {
        const own = ended.filter((one) => one.service === service && one.environment === environment);
        const deployments = own.map(({ startedAt, endedAt = startedAt, outcome, commitAt }) => ({
          environment,
          version: '',
          startedAt,
          endedAt,
          outcome,
          commitAt,
        }));
        const mine = restorations.filter((one) => one.service === service);
        const window = { from: since.toISOString(), until: new Date().toISOString() };
        return { service, environment, days, ...doraOf({ deployments, restorations: mine, ...window }) };
      }),
  );
}

/** How a run ended; undefined where it was terminated or its history is gone. */
async function resultOf({ client }: Context, of: { workflowId: string; runId: string }): Promise<Result | undefined> {
  const result: unknown = await client.workflow
    .getHandle(of.workflowId, of.runId)
    .result()
    .catch(() => undefined);
  return Result.safeParse(result).data;
}

/** Incidents that Holdfast has ended well. */
async function restorationsOf(context: Context, since: Date): Promise<(Restoration & { service: string })[]> {
  const found: (Restoration & { service: string })[] = [];
  const query = `WorkflowId STARTS_WITH 'incident.' AND ExecutionStatus = 'Completed' AND StartTime > '${since.toISOString()}'`;
  for await (const { workflowId, runId, startTime, closeTime } of context.client.workflow.list({ query })) {
    const outcome = (await resultOf(context, { workflowId, runId }))?.outcome;
    const span = { startedAt: startTime.toISOString(), endedAt: (closeTime ?? startTime).toISOString() };
    if (outcome === 'mitigated') found.push({ service: workflowId.split('.')[1] ?? '', ...span });
    if (found.length >= COUNTED) break;
  }
  return found;
}

export const figuresLine = ({
  service,
  environment,
  days,
  ...dora
}: Dora & { service: string; environment: string; days: number }): string =>
  `${service} ${environment}, ${days} days: ${dora.deployments} deployments (${dora.perDay?.toFixed(2) ?? '-'} a day), change failure rate ${dora.changeFailureRate === undefined ? '-' : `${(dora.changeFailureRate * 100).toFixed(0)} %`}, lead time ${hours(dora.leadTimeMs)}, time to restore ${hours(dora.timeToRestoreMs)}`;
const hours = (ms: number | undefined): string => (ms === undefined ? '-' : `${(ms / 3_600_000).toFixed(1)} h`);
