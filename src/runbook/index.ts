export { defineRunbook } from './define.ts';
export { remedy, type Checked, type Judgement, type Run } from './run.ts';
export { defineProcedure, type Procedure, type ProcedureRun } from './procedure.ts';
export { pipelineEnded } from './pipeline.ts';
export { assertPassed, backTo, rollOut, rolloutSteps, staysHealthy } from './rollout.ts';
export {
  comparedWith,
  forbidden,
  goodOf,
  judgeVerified,
  notBy,
  reasons,
  stagesOf,
  unmarked,
  verifiedThere,
  type Compared,
} from './release-evidence.ts';
export { continueOn, dueToContinue } from './entity.ts';
export { supersede } from './messages.ts';
export { climb } from './escalation.ts';
export { secondLook } from './second-look.ts';
export { withPeople } from './paging.ts';
export { shownOf } from './shown.ts';
export { say, typeOf } from './failures.ts';
export { makeIndex, rollBackTo, scaleOut } from './remedies.ts';
export { isServed, returnTo } from './return-to.ts';
export { delivery, diagnostic, inquiry, laboratory, longWork, mitigation, projection } from './activity-options.ts';
export * from './judgements.ts';
export * from './performance.ts';
export type { Limited } from './limits.ts';
export { watchPerformance } from './watch-performance.ts';
export { count, tell, type Told, type Tracked } from './alerting.ts';
export { tellDeployment, type ToldDeployment } from './failed-deployment.ts';
export { remembersMs } from './error-budget.ts';
export {
  daysToRecord,
  indicatorsOf,
  judgeBurn,
  keep,
  ownProbes,
  reportOf,
  secondsOf,
  type Kept,
} from './objectives.ts';
export { incidentId, kebab, ladderOf, runbookCatalogue, type CatalogueEntry } from './catalogue.ts';
export { bounded, reviewId, reviewOf, timesOf } from './review.ts';
export { impactOf, measured, releaseOf } from './review-impact.ts';
export { commitMessage, documentOf } from './review-document.ts';
export { openDesk } from './review-desk.ts';
export { changeItem, closeItem, confirmCause, reviewQuery, skipReview } from './review-words.ts';
export { digestOf, nextDigest } from './digest.ts';
export { failedDrill, isDue, isStale, known, nextCheck, withDrill, withRuns } from './freshness.ts';
