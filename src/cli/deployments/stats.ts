import { LastRun, Result, type Attempt } from '../../contracts/index.ts';
import { doraOf, type Deployed, type Dora, type Restoration } from '../../dora.ts';
import { ENVIRONMENT } from '../../runbook/story.ts';
import { assertService, type Context } from '../context.ts';
import { runsOf } from './listing.ts';

const COUNTED = 500;
const DAY_MS = 86_400_000;
/** What came of a rollback that was not taken back. */
const STANDS: readonly Attempt['result'][] = ['helped', 'not-measurable'];

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
      const { version = '', commitAt = [] } = result ?? {};
      return { ...one, outcome: outcomeOf(result), version, commitAt };
    }),
  );
  const restorations = await restorationsOf(context, since);
  return names.flatMap((service) =>
    Object.entries(assertService(context.settings, service).environments)
      .filter(([, { deployment }]) => deployment.procedure === 'production')
      .map(([environment]) => {
        const isOwn = (one: { service: string; environment: string }): boolean =>
          one.service === service && one.environment === environment;
        const deployments = ended
          .filter(isOwn)
          .map(({ startedAt, endedAt = startedAt, outcome, version, commitAt }) => ({
            environment,
            version,
            startedAt,
            endedAt,
            outcome,
            commitAt,
          }));
        const mine = restorations.filter(isOwn);
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

/** What a run leaves in its memo when it ends. */
const Left = LastRun.pick({ outcome: true, attempts: true }).partial();
type Restored = Restoration & { service: string; environment: string };

/** Incidents that were mitigated, and rollbacks; with the version that one of them took back, by its attempts. */
async function restorationsOf(context: Context, since: Date): Promise<Restored[]> {
  const found: Restored[] = [];
  const query = `(WorkflowId STARTS_WITH 'incident.' OR WorkflowId STARTS_WITH 'rollback.') AND WorkflowType != 'escalation' AND ExecutionStatus = 'Completed' AND StartTime > '${since.toISOString()}'`;
  for await (const run of context.client.workflow.list({ query })) {
    const { outcome, attempts = [] } = Left.safeParse(run.memo ?? {}).data ?? {};
    if (outcome !== 'mitigated' && outcome !== 'released') continue;
    const back = attempts.find(({ kind, result }) => kind === 'roll-back' && STANDS.includes(result));
    found.push({
      service: run.workflowId.split('.')[1] ?? '',
      environment: run.typedSearchAttributes.get(ENVIRONMENT) ?? '',
      startedAt: run.startTime.toISOString(),
      endedAt: (run.closeTime ?? run.startTime).toISOString(),
      ...(back !== undefined && { tookBack: back.target }),
    });
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
