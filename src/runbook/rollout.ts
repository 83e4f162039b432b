/** How the traffic comes to a release and goes back, and how it is watched meanwhile. Shared by the deployment procedures. */
import { patched, proxyActivities, proxyLocalActivities, sleep } from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Comparison, Effect, Policy, Release, Scope, SmokeReport, Verdict } from '../contracts/index.ts';
import type { Canary, CanaryMetrics, Deployments, Metrics } from '../contracts/ports.ts';
import { failure } from '../errors.ts';
import { diagnostic, mitigation } from './activity-options.ts';
import { judgeRecovery } from './judgements.ts';
import type { Change } from './grant.ts';
import type { ProcedureRun } from './procedure.ts';
import { judged, type Judgement } from './run.ts';
import type { StepPlan } from './steps.ts';

/** So few failed requests may be anything; three of the same few are the release. */
const FAILED_ENOUGH = 3;
const MOST_BAKES = 3;
const change = proxyActivities<Deployments & Canary>(mitigation);
const read = proxyLocalActivities<Metrics & CanaryMetrics>(diagnostic);
/** While people are asked: a local one that ends in the task in which a decision comes cannot be replayed. */
const readApart = proxyActivities<CanaryMetrics>(diagnostic);

const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;
export const canaryStep = (weight: number): string => `Canary with ${weight} % of the traffic`;
export const ALL_TRAFFIC = 'Give it all of the traffic';

/** A release to be rolled out, and the one that runs. */
export interface Rollout extends Scope {
  version: string;
  commit: string;
  running: Running | undefined;
}
export type Running = Pick<Release, 'version' | 'commit'>;

/** A canary against the running release: bad when it fails more often or is slower than the configuration allows, or fails a check. */
export const judgeCanary =
  ({ deployment: { canary: allowed }, measure, objectives }: Policy) =>
  ({ canary, running, checks = [] }: Comparison): Judgement => {
    const compared = `canary ${percent(canary.errorRatio)} of ${canary.requests} failed, p95 ${Math.round(canary.p95Ms)} ms; running ${percent(running.errorRatio)} of ${running.requests}, p95 ${Math.round(running.p95Ms)} ms`;
    const told = [compared, ...checks.map(tellCheck)].join('; ');
    const failed = canary.errorRatio * canary.requests;
    const worse = canary.errorRatio > running.errorRatio + allowed.moreErrors;
    if (worse && failed >= FAILED_ENOUGH) return ['bad', told];
    if (checks.some(({ value, atMost }) => value !== undefined && value > atMost)) return ['bad', told];
    if (worse || canary.requests < measure.minimumRequests) return ['unknown', `${told}: too few requests to say`];
    const slow = canary.p95Ms > objectives.p95Ms && canary.p95Ms > running.p95Ms * allowed.slower;
    if (slow) return ['bad', told];
    return [checks.some(({ value }) => value === undefined) ? 'unknown' : 'ok', told];
  };

type Check = NonNullable<Comparison['checks']>[number];
const tellCheck = ({ name, value, atMost, why = 'it has no value' }: Check): string =>
  value === undefined ? `${name} is not known: ${why}` : `${name} ${Number(value.toPrecision(3))} of ${atMost} at most`;

/** What taking the traffic back means. */
export const backTo = (running: Running | undefined): string =>
  running === undefined ? 'nothing ran before' : `${running.version} has all of the traffic again`;

/** The steps in which a release gets its traffic, for the plan. */
export const rolloutSteps = (running: Running | undefined, { deployment }: Policy): StepPlan[] => {
  const undo = backTo(running);
  const canaries = running === undefined ? [] : deployment.canary.weights;
  return [...canaries.map((weight) => ({ name: canaryStep(weight), undo })), { name: ALL_TRAFFIC, undo }];
};

/**
 * Give a release its traffic: percent by percent beside the running one, each step watched for its bake time, then all of it.
 * Before each step the window must be open and nothing frozen; while it waits for that, the canary is watched on.
 */
export async function rollOut(run: ProcedureRun, of: Rollout, asked: Change, granted = 0): Promise<Effect | undefined> {
  const { version, commit, running, ...scope } = of;
  const { canary } = run.policy.deployment;
  let fence = granted;
  let since: number | undefined;
  const shift = (weight: number, key: string): Promise<Effect> =>
    change.shiftTraffic({ ...scope, ref: version, commit, weight, key: `${run.key}:${key}`, fence });
  const compare = async (now: number, metrics: CanaryMetrics = read) => {
    const windowSeconds = Math.max(1, Math.round((now - (since ?? now)) / 1000)); // none of a canary before this one
    return await judged(() => metrics.compareReleases({ ...scope, windowSeconds }), judgeCanary(run.policy));
  };
  const worse = ({ verdict, summary }: { verdict: Verdict; summary: string }): string | undefined =>
    verdict === 'bad' ? `${version} is worse than ${running?.version}: ${summary}` : undefined;
  const look = async (now: number) => {
    const found = await compare(now);
    const why = worse(found);
    return why === undefined ? found : run.rollBack(why);
  };

  for (const weight of running === undefined ? [] : canary.weights)
    await run.step(
      canaryStep(weight),
      async () => {
        fence = await run.mayAct(asked);
        await shift(weight, `canary-${weight}`);
        since = Date.now();
        run.watch(async (now) => worse(await compare(now, patched('canaries-apart') ? readApart : read)));
        return await bake(run, canary.bake, look);
      },
      { tell: (told) => told, undo: () => shift(0, 'canary-away') },
    );
  return await run.step(
    ALL_TRAFFIC,
    async () => {
      fence = await run.mayAct(asked);
      const done = await change.release({ ...scope, ref: version, commit, key: `${run.key}:release`, fence });
      run.watch(undefined);
      run.serves(version);
      return done;
    },
    {
      tell: ({ summary }) => summary,
      required: true,
      undo: async () =>
        running === undefined
          ? { changed: false, summary: 'nothing ran before' }
          : await change.release({
              ...scope,
              ref: running.version,
              commit: running.commit,
              key: `${run.key}:undo`,
              fence,
            }),
    },
  );
}

/**
 * Look again and again for the bake time, and up to three times that while it cannot be told; then a person is asked. Time in
 * which nobody looked, because no worker was there, does not count. @throws Unavailable
 */
async function bake(
  run: ProcedureRun,
  lasting: string,
  look: (now: number) => Promise<{ verdict: Verdict; summary: string }>,
): Promise<string> {
  const { every } = run.policy.measure;
  for (let looks = 1; ; looks += 1) {
    await sleep(every);
    await run.checkpoint();
    const { verdict, summary } = await look(Date.now()); // before the reading: a replay sees another time after it
    const bakes = (looks * msToNumber(every)) / msToNumber(lasting);
    if (bakes < 1 || (verdict !== 'ok' && bakes < MOST_BAKES)) continue;
    if (verdict !== 'ok') throw failure('Unavailable', `whether it is as good as what runs is not known: ${summary}`);
    return summary;
  }
}

/** The service is within its objectives for as long as the configuration says. @throws Unavailable when that cannot be measured. */
export async function staysHealthy(run: ProcedureRun, version: string): Promise<string> {
  const { service, environment } = run.order;
  const window = { service, environment, windowSeconds: run.policy.measure.windowSeconds };
  const readings = async () => {
    const [ratio, times] = await Promise.all([read.errorRatio(window), read.responseTimes(window)]);
    return { ratio, times };
  };
  let seen = '';
  const verdict = await run.holds(readings, (measured: Awaited<ReturnType<typeof readings>>) => {
    const judgement = judgeRecovery(run.policy)(measured);
    seen = judgement[1];
    return judgement;
  });
  if (verdict === 'bad')
    return run.rollBack(`under ${version} errors or response times are beyond their objectives: ${seen}`);
  if (verdict === 'unknown') throw failure('Unavailable', `whether ${version} is healthy cannot be measured`);
  return 'errors and response times are within their objectives';
}

/** Go on only when all tests have passed. */
export function assertPassed(run: ProcedureRun, report: SmokeReport): string {
  const failed = report.tests.filter(({ passed }) => !passed);
  if (!report.passed)
    return run.rollBack(
      failed
        .map(({ name, detail }) => `${name}: ${detail}`)
        .join('; ')
        .slice(0, 1000),
    );
  const seen = report.tests.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
  return report.tests.length === 0 ? 'nothing is configured for this' : `${report.tests.length} passed: ${seen}`;
}
