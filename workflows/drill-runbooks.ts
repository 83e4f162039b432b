/**
 * Drills of one service's runbooks: every day at nine, UTC, each that was neither needed nor tried with success for too long
 * (`drills.staleAfter`) is run in skipped time over simulated systems. One that fails is filed as an action item, which the review
 * of it reminds of until it is done, and is tried again after a week. Continues as new each day.
 */
import {
  condition,
  defineQuery,
  defineSignal,
  ParentClosePolicy,
  proxyActivities,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import {
  DrillSettings,
  type DrillReport,
  type Freshness,
  type FreshnessReport,
  type Policy,
} from '../src/contracts/index.ts';
import type { Configuration, Drills, Learnings, PastRuns } from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const { policy: readPolicy } = proxyActivities<Configuration>(kit.projection);
const { newestRuns } = proxyActivities<PastRuns>(kit.projection);
const { learnedSince } = proxyActivities<Learnings>(kit.projection);
const { drillRunbook } = proxyActivities<Drills>(kit.longWork);

export interface DrillPlan {
  service: string;
  environment: string;
  runbooks: Freshness[];
  staleAfter?: string;
}

/** The runbooks that there are, told by each worker that starts. */
export const runbooksSignal = defineSignal<[Pick<kit.CatalogueEntry, 'name' | 'type' | 'title'>[]]>('runbooks');
/** A drill that a person has run. */
export const drilledSignal = defineSignal<[{ runbook: string; report: DrillReport }]>('drilled');
export const freshnessQuery = defineQuery<FreshnessReport>('freshness');

export async function drillRunbooks(plan: DrillPlan): Promise<void> {
  const { service, environment } = plan;
  const scope = { service, environment };
  let { runbooks, staleAfter = DrillSettings.parse({}).staleAfter } = plan;
  const nextAt = kit.nextCheck(Date.now());
  const change = (name: string, to: (one: Freshness) => Freshness): void => {
    runbooks = runbooks.map((one) => (one.runbook === name ? to(one) : one));
  };
  setHandler(runbooksSignal, (now) => void (runbooks = kit.known(runbooks, now)), {
    description: 'The runbooks that there are',
  });
  setHandler(
    drilledSignal,
    ({ runbook, report }) => change(runbook, (one) => kit.withDrill(one, report, new Date().toISOString())),
    { description: 'A drill that a person has run' },
  );
  setHandler(
    freshnessQuery,
    () => ({
      ...scope,
      staleAfter,
      nextCheckAt: new Date(nextAt).toISOString(),
      runbooks: runbooks.map((one) => ({ ...one, stale: kit.isStale(one, staleAfter, Date.now()) })),
    }),
    { description: 'When each runbook was last needed, and last tried' },
  );

  const renewed = async (): Promise<Policy> => {
    const policy = await readPolicy(scope);
    const idOf = (runbook: string): string => kit.incidentId(scope, runbook);
    const runs = await newestRuns({ workflowIds: runbooks.map(({ runbook }) => idOf(runbook)) });
    runbooks = kit.withRuns(runbooks, idOf, runs);
    staleAfter = policy.drills?.staleAfter ?? staleAfter;
    return policy;
  };
  const dueToContinue = kit.dueToContinue();
  await condition(() => runbooks.length > 0, nextAt - Date.now());
  await renewed();
  if (!(await condition(dueToContinue, Math.max(1, nextAt - Date.now())))) {
    const policy = await renewed();
    for (const { runbook } of runbooks.filter((one) => kit.isDue(one, staleAfter, Date.now())))
      await drill(runbook, policy);
  }
  await kit.continueOn<typeof drillRunbooks>({ ...scope, runbooks, staleAfter });

  async function drill(name: string, policy: Policy): Promise<void> {
    const one = runbooks.find(({ runbook }) => runbook === name);
    if (one === undefined) return;
    const report = await drillRunbook({ ...scope, type: one.type, runbook: name }).catch(
      (error: unknown): DrillReport => ({ passed: false, note: kit.say(error).slice(0, 1000), timeline: [] }),
    );
    const at = new Date().toISOString();
    change(name, (now) => kit.withDrill(now, report, at));
    if (report.passed || policy.review === undefined || (await isFiled(one.last?.review))) return;
    const status = kit.failedDrill(scope, one, report, { runId: `${workflowInfo().runId}-${name}`, at });
    const review = kit.reviewId(status);
    await startChild('postIncident', {
      workflowId: review,
      args: [{ status, policy }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    change(name, (now) => (now.last === undefined ? now : { ...now, last: { ...now.last, review } }));
  }

  /** Whether the action item of an earlier drill is still open. */
  async function isFiled(review: string | undefined): Promise<boolean> {
    if (review === undefined) return false;
    const learned = await learnedSince({ service, since: new Date().toISOString() });
    return learned.some((one) => one.review === review && one.openItems.length > 0);
  }
}
