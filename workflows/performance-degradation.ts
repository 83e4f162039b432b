/**
 * Runbook: performance degradation.
 * Trigger   alert `PerformanceDegradation`, `SlowResponses`, `WebVitalsFailing` or `MemoryLeak`: users wait, or soon will.
 * Diagnose  response times of each route, now, before the release and yesterday; web vitals of real users, and of the laboratory
 *           where those do not pass; what the release sends to browsers, by package; slow statements; memory of each instance;
 *           commits since then, those that have to do with the slow routes first. All of it against the last release that was
 *           verified good; where the ledger knows none, against the one that ran before.
 * Mitigate  a slow route that may be cached: turn its caching on. What began with the running release: roll it back. A slow
 *           statement that an index serves: make the index. Instances that leak: restart them one by one. Saturation: scale
 *           out. What no machine should do alone (a smaller bundle, the suspect commit) is an action item.
 * Verify    what was bad (response times, memory, web vitals) is good for as long as the configuration says; if not, undo.
 * Source    The user's operational runbook; web.dev/articles/vitals; Google SRE Workbook, chapter 5.
 */
import { patched, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

type Reads = ports.InstanceMetrics & ports.WebVitals & ports.Caching & ports.DatabaseIndexes;
const app = proxyLocalActivities<Reads & ports.Metrics & ports.Deployments>(kit.diagnostic);
const slowly = proxyActivities<ports.InstanceMetrics & ports.Bundles & ports.CodeHistory & ports.ChangeControl>(
  kit.inquiry,
);
const change = proxyActivities<ports.Deployments & ports.Caching & ports.Instances>(kit.mitigation);
const building = proxyActivities<ports.DatabaseIndexes>(kit.longWork);

export const performanceDegradation = kit.defineRunbook(
  {
    title: 'Performance degradation',
    alerts: [
      'PerformanceDegradation',
      'SlowResponses',
      'ResponseTimeBudgetBurn',
      'WebVitalsFailing',
      'WebVitalsBudgetBurn',
      'MemoryLeak',
    ],
  },
  async function performanceDegradation(run) {
    const { service, environment } = run.incident;
    const scope = { service, environment };
    const window = { ...scope, windowSeconds: run.policy.measure.windowSeconds };
    const { performance: measured } = run.policy;
    const { vitals: users } = measured;
    const vitalsWindow = { ...scope, windowSeconds: users?.windowSeconds ?? 0 };
    const { taskQueue, pages } = measured.laboratory ?? {};
    const { labVitals } = proxyActivities<ports.Laboratory>({
      ...kit.laboratory({ pages }),
      ...(taskQueue !== undefined && { taskQueue }),
    });
    const asksForVerified = run.returnsToGood || patched('compares-with-verified');
    let bad = kit.badOf({ routes: undefined, memory: undefined, vitals: undefined });

    const diagnose = async (): Promise<
      kit.PerformanceEvidence & { suspects: kit.Suspect[]; compared: kit.Compared; mayReturn: boolean }
    > => {
      const now = Date.now();
      const [releases, good] = await Promise.all([
        run.check('recent deployments', () => app.recentReleases(scope), kit.judgeReleases(now)),
        asksForVerified ? run.check('last verified good', () => slowly.ledger(scope), kit.judgeVerified) : undefined,
      ]);
      const compared = kit.comparedWith(releases.value ?? { recent: [], maxInstances: 1 }, good?.value);
      const { running, previous, since } = compared;
      const [routes, load, statements, memory, vitals, bundle, caching] = await Promise.all([
        run.check('API response times', () => app.routeTimes({ ...window, since }), kit.judgeRoutes(run.policy)),
        run.check('load', () => app.saturation(window), kit.judgeSaturation(run.policy)),
        run.check('slow statements', () => app.slowStatements(scope), kit.judgeStatements),
        run.check('memory of the instances', () => slowly.memoryTrends(window), kit.judgeMemory(run.policy)),
        users &&
          run.check(
            'web vitals of users',
            () => app.webVitals({ ...vitalsWindow, release: running?.version }),
            kit.judgeVitals(users.minimumSamples, run.policy),
          ),
        measured.bundle && running
          ? run.check(
              'bundle',
              () => slowly.bundleChange({ ...scope, running: running.commit, previous: previous?.commit }),
              kit.judgeBundle(run.policy),
            )
          : undefined,
        measured.caching ? run.check('caching', () => app.cachingStates(scope), kit.judgeCaching) : undefined,
      ]);
      bad = kit.badOf({ routes, memory, vitals });
      const slow = kit.slowRoutes(routes.value ?? [], run.policy).map(({ route }) => route);
      const heavy = bundle?.verdict === 'bad';
      const unexplained = slow.length === 0 && memory.verdict !== 'bad';
      const [changes, lab] = await Promise.all([
        running && previous
          ? run.check(
              'recent code changes',
              () => slowly.codeChanges({ ...scope, from: previous.commit, to: running.commit, routes: slow }),
              kit.judgeChanges,
            )
          : undefined,
        measured.laboratory &&
        (vitals?.verdict === 'bad' ? unexplained && !heavy : vitals?.verdict !== 'ok' && (unexplained || heavy))
          ? run.check('web vitals in the laboratory', () => labVitals(scope), kit.judgeLab(run.policy))
          : undefined,
      ]);
      bad.vitals ||= lab?.verdict === 'bad'; // users will tell whether it is better
      const found: kit.PerformanceEvidence = {
        releases: releases.value,
        routes: routes.value,
        memory: memory.value,
        statements: statements.value?.filter(({ ran }) => ran !== false),
        vitals: vitals?.value,
        bundle: bundle?.value,
        caching: caching?.value,
        changes: changes?.value,
        lab: lab?.value,
        saturated: load.verdict === 'bad',
      };
      const suspects = kit.suspectsOf(found, run.policy, now);
      await run.check('top suspect', async () => suspects, kit.judgeSuspects(compared));
      await run.check(
        'action items',
        async () => (suspects.length > 0 ? kit.actionItems(found, run.policy) : []),
        kit.judgeItems,
      );
      const mayReturn = suspects[0]?.began !== true || (await kit.isServed(run, previous));
      return { ...found, suspects, compared, mayReturn };
    };

    const propose = (found: Awaited<ReturnType<typeof diagnose>>) => {
      const [suspect] = found.suspects;
      if (suspect === undefined) return [];
      const { running, previous, between } = found.compared;
      const { maxInstances = 1 } = found.releases ?? {};
      const cache = kit.cacheable(kit.slowRoutes(found.routes ?? [], run.policy), found.caching);
      const index = found.statements?.find((one) => one.index !== undefined)?.index;
      const leaking = (found.memory ?? []).filter(kit.isLeaking(run.policy)).map(({ instance }) => instance);
      const why = suspect.evidence.map((line) => line.slice(0, 500));
      const more = Math.min((running?.instances ?? 0) * 2, maxInstances);
      return [
        suspect.kind === 'slow-route' &&
          cache !== undefined &&
          kit.remedy({
            summary: `Let caches keep the answers of ${cache.route}`,
            why: [...why, `${cache.route} only reads, and answers are never cached now (${cache.header})`],
            undo: `set ${cache.flag} to ${cache.variant} again`,
            risk: 'low',
            action: {
              kind: 'turn-on-caching',
              ...scope,
              route: cache.route,
              path: cache.path,
              flag: cache.flag,
              from: cache.variant,
              to: cache.on,
            },
            act: change.turnOnCaching,
            undoIt: change.undoTurnOnCaching,
          }),
        suspect.began &&
          running &&
          previous &&
          found.mayReturn &&
          kit.rollBackTo({ scope, running, previous, between, why, by: change }),
        suspect.kind === 'slow-query' && index !== undefined && kit.makeIndex({ scope, index, why, by: building }),
        suspect.kind === 'leak' &&
          running !== undefined &&
          kit.remedy({
            summary: `Restart ${leaking.length} ${leaking.length === 1 ? 'instance' : 'instances'} of ${service}, one after another`,
            why,
            undo: 'nothing to undo: each is replaced by a healthy one before it ends',
            risk: 'medium',
            action: { kind: 'restart-instances', ...scope, version: running.version, instances: leaking.slice(0, 20) },
            act: change.restartInstances,
          }),
        found.saturated &&
          running !== undefined &&
          running.instances < maxInstances &&
          kit.scaleOut({ scope, from: running.instances, to: more, why, by: change }),
      ].map((remedy) => remedy || undefined);
    };

    const verify = () => {
      const since = new Date().toISOString();
      const { minimumSamples = 0 } = users ?? {};
      const read = async () => {
        const [routes, memory, vitals] = await Promise.all([
          bad.routes ? app.routeTimes(window) : undefined,
          bad.memory ? slowly.memoryTrends(window) : undefined,
          bad.vitals ? app.webVitals({ ...vitalsWindow, since }) : undefined,
        ]);
        return { routes, memory, vitals };
      };
      const judge = ({ routes, memory, vitals }: Awaited<ReturnType<typeof read>>) =>
        kit.judgeAll([
          ...(routes === undefined ? [] : [kit.judgeRoutes(run.policy)(routes)]),
          ...(memory === undefined ? [] : [kit.judgeMemory(run.policy)(memory)]),
          ...(vitals === undefined ? [] : [kit.judgeVitals(minimumSamples, run.policy)(vitals)]),
        ]);
      return run.holds(read, judge, bad.vitals);
    };
    return run.mitigate({ diagnose, propose, verify });
  },
);
