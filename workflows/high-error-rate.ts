/**
 * Runbook: high error rate.
 * Trigger   alert `HighErrorRate`: share of failed requests (ratio, 0..1) over the alert threshold (5 % by default); or
 *           `ManyErrors`: the error tracker counts as many as the configuration says.
 * Diagnose  error tracker: patterns, affected users, stack traces, correlated releases and flags.
 *           Application: Supabase, response times, recent deployments, load; commits since the release before, those that change
 *           the failing frames first.
 * Mitigate  errors new in the running release: roll it back. Errors that correlate with a flag: switch it off.
 *           Saturation and no new error: scale out. Otherwise hand over with everything gathered.
 * Verify    the error ratio stays under the objective (1 %) for as long as the configuration says; if not, undo.
 * Source    The user's operational runbook; Google SRE Workbook, chapter 5, "Alerting on SLOs".
 */
import { patched, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { StackTrace } from '../src/contracts/index.ts';
import type {
  CodeHistory,
  DatabaseHealth,
  Deployments,
  ErrorTracker,
  Flags,
  Health,
  Metrics,
} from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const tracker = proxyLocalActivities<ErrorTracker>(kit.diagnostic);
const app = proxyLocalActivities<Deployments & DatabaseHealth & Health & Metrics & Flags>(kit.diagnostic);
/** Nobody waits for git longer than for any other reading. */
const history = proxyActivities<CodeHistory>({ ...kit.inquiry, scheduleToCloseTimeout: '20 seconds' });
const change = proxyActivities<Deployments & Flags>(kit.mitigation);

export const highErrorRate = kit.defineRunbook(
  { title: 'High error rate', alerts: ['HighErrorRate', 'ErrorRatioBudgetBurn', 'ManyErrors'] },
  async function highErrorRate(run) {
    const { service, environment } = run.incident;
    const scope = { service, environment };
    const window = { ...scope, windowSeconds: run.policy.measure.windowSeconds };

    const readsChanges = (): boolean => run.returnsToGood || patched('changes-of-failing-code');
    const diagnose = async () => {
      const releases = await run.check(
        'recent deployments',
        () => app.recentReleases(scope),
        kit.judgeReleases(Date.now()),
      );
      const compared = await kit.returnTo(run, releases.value);
      const { running, previous } = compared;
      const release = running?.version;
      const inRelease = release === undefined ? window : { ...window, release };
      const changesAt = async (trace: StackTrace | undefined) => {
        if (running === undefined || previous === undefined || !readsChanges()) return [];
        const files = trace === undefined ? [] : kit.failingFiles(trace);
        const between = { ...scope, from: previous.commit, to: running.commit, routes: [], files };
        const changes = await run.check('recent code changes', () => history.codeChanges(between), kit.judgeChanges);
        return kit.suspectCommits(changes.value ?? []);
      };
      const [patterns, , commits, correlations, , , , , load, flags] = await Promise.all([
        run.check('error patterns', () => tracker.errorPatterns(inRelease), kit.judgePatterns),
        run.check('affected users', () => tracker.affectedUsers(window), kit.judgeUsers),
        run
          .check('stack traces', () => tracker.topStackTrace(window), kit.judgeTrace)
          .then(({ value }) => changesAt(value)),
        run.check('correlated releases and flags', () => tracker.errorCorrelations(window), kit.judgeCorrelations),
        run.check('Supabase connectivity', () => app.supabaseHealth(scope), kit.judgeSupabase),
        run.check('application health', () => app.httpHealth(scope), kit.judgeHealth(run.policy.alertAt.p95Ms)),
        run.check('API response times', () => app.responseTimes(window), kit.judgeResponseTimes(run.policy)),
        run.check('error ratio', () => app.errorRatio(window), kit.judgeErrorRatio(run.policy)),
        run.check('load', () => app.saturation(window), kit.judgeSaturation(run.policy)),
        run.check('feature flags', () => app.flagStates(scope), kit.judgeFlags),
      ]);
      const fresh = (patterns.value ?? []).filter((pattern) => pattern.newInRelease);
      return {
        releases: releases.value,
        compared,
        fresh,
        mayReturn: fresh.length === 0 || (await kit.isServed(run, previous)),
        patterns: patterns.value,
        correlations: correlations.value,
        load,
        flags: flags.value,
        commits,
      };
    };

    const propose = ({ releases, compared, patterns, load, ...found }: Awaited<ReturnType<typeof diagnose>>) => {
      const { correlations, flags, commits, fresh, mayReturn } = found;
      const { running, previous, between } = compared;
      const { maxInstances = 1 } = releases ?? {};
      const suspect = correlations?.flags.find(
        ({ flag, share, value }) =>
          share >= kit.CORRELATED && isOn(value) && flags?.some((one) => one.flag === flag && one.enabled),
      );
      const flag = flags?.find((one) => one.flag === suspect?.flag);
      return [
        fresh.length > 0 && running && previous && mayReturn
          ? kit.rollBackTo({
              scope,
              running,
              previous,
              between,
              why: [
                ...fresh.map((pattern) => `new in ${running.version}: ${pattern.count} × ${pattern.title}`),
                ...commits.map(({ what }) => `commit ${what}`),
              ],
              by: change,
            })
          : undefined,
        suspect && flag
          ? kit.remedy({
              summary: `Switch off the flag ${flag.flag}`,
              why: [`${Math.round(suspect.share * 100)} % of the failing events carry ${flag.flag}=${suspect.value}`],
              undo: `set ${flag.flag} to ${flag.variant} again`,
              risk: 'low',
              action: { kind: 'switch-off-flag', ...scope, flag: flag.flag, from: flag.variant, to: flag.off },
              act: change.switchOff,
              undoIt: change.undoSwitchOff,
            })
          : undefined,
        fresh.length === 0 && patterns && load.verdict === 'bad' && running && running.instances < maxInstances
          ? kit.scaleOut({
              scope,
              from: running.instances,
              to: Math.min(running.instances * 2, maxInstances),
              why: [load.summary, `no error is new in ${running.version}`],
              by: change,
            })
          : undefined,
      ];
    };

    const verify = () => run.holds(() => app.errorRatio(window), kit.judgeErrorRatio(run.policy));
    return run.mitigate({ diagnose, propose, verify });
  },
);

/** Tags carry the variant's name or its value. */
const isOn = (value: string): boolean => ['on', 'true', 'enabled'].includes(value);
