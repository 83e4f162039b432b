/**
 * Procedure: production deployment.
 * Steps     approval; deployment window; backup, proved; migrations; canary, step by step, then all of the traffic; monitor;
 *           smoke tests; verify metrics. Then, and only then, the release is verified good.
 * Undo      in reverse order: the traffic returns to what ran before. Migrations only add (expand), so they stay.
 * Source    The user's operational runbook, "Production Deployment"; Google SRE Workbook, chapter 16, "Canarying Releases".
 */
import { proxyActivities } from '@temporalio/workflow';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const git = proxyActivities<ports.Repository & ports.Migrations>(kit.mitigation);
const work = proxyActivities<ports.Backups & ports.Verification & ports.Migrations>(kit.longWork);
const { ledger, recentReleases } = proxyActivities<ports.ChangeControl & ports.Deployments>(kit.delivery);

const [WINDOW, BACKUP] = ['Wait for the deployment window', 'Create a backup and prove it'] as const;
const [MIGRATE, MONITOR] = ['Migrate the database', 'Monitor for issues'] as const;
const [SMOKE, METRICS] = ['Run smoke tests', 'Verify metrics'] as const;

export const productionDeployment = kit.defineProcedure(
  {
    title: 'Production deployment',
    summary: ({ ref = 'what was verified last', environment }) => `Deploy ${ref} to ${environment}`,
  },
  async function productionDeployment(run) {
    const { order, policy } = run;
    const { service, environment } = order;
    const scope = { service, environment };
    if (policy.deployment.procedure !== 'production')
      return run.refuse(`${environment} is deployed to by the procedure ${policy.deployment.procedure}`);
    const { after, backup, migrations } = policy.deployment;
    const here = await ledger(scope);
    const before = after === undefined ? undefined : await ledger({ service, environment: after });
    const { running } = await recentReleases(scope);

    const ref = order.ref ?? kit.goodOf(before)[0]?.commit;
    if (ref === undefined)
      return run.refuse(`nothing is verified in ${after ?? 'an environment before'}: name a --ref`);
    const candidate = await git.candidate({ ...scope, ref, since: running?.commit });
    const { commit, digest } = candidate;
    const plan = migrations ? await git.migrationPlan({ ...scope, commit }) : undefined;
    const verified = kit.verifiedThere(before, candidate);
    const version = order.version ?? verified?.version ?? candidate.version;
    const evidence = { order, policy, candidate, version, verified, ledger: here, migrations: plan };
    if (commit === running?.commit) return run.refuse(`${running.version} is this commit, and runs already`);
    if (kit.unmarked(plan).length > 0)
      return run.refuse(`${kit.unmarked(plan).join('; ')}: expand first, or mark it "-- holdfast: contract"`);
    if (kit.brokenRules(evidence).length > 0 && order.override === undefined)
      return run.refuse(`${kit.brokenRules(evidence).join('; ')}; an override needs a reason and a second person`);

    const rollout = { ...scope, version, commit, running };
    const steps = [
      { name: WINDOW },
      ...(backup ? [{ name: BACKUP, undo: 'the backup is kept' }] : []),
      ...(migrations ? [{ name: MIGRATE, undo: 'what was added stays; the release before does not mind' }] : []),
      ...kit.rolloutSteps(running, policy),
      { name: MONITOR },
      { name: SMOKE },
      { name: METRICS },
    ];
    run.plan(steps);
    await run.approve({
      summary: `Deploy ${version} of ${service} to ${environment}${running === undefined ? '' : `, where ${running.version} runs`}`,
      why: kit.reasons(evidence, steps),
      undo: kit.backTo(running),
      risk: 'high',
      action: {
        kind: 'deploy',
        ...scope,
        version,
        commit,
        digest,
        steps,
        ...(running !== undefined && { from: running.version }),
        ...(order.override !== undefined && { override: order.override }),
      },
      notBy: kit.notBy(evidence),
    });

    const asked = { kind: 'deploy', version, digest, running: running?.version, summary: `deploy ${version}` } as const;
    const fence = await run.step(WINDOW, () => run.mayAct(asked), { tell: () => 'open, and granted', required: true });
    const now = (await recentReleases(scope)).running?.version; // under the grant it stays so
    if (now !== running?.version)
      return run.refuse(
        `${now ?? 'nothing'} runs by now, not ${running?.version ?? 'nothing'} as when it was approved: deploy again`,
      );
    if (backup)
      await run.step(
        BACKUP,
        async () => {
          const made = await work.backUp({ ...scope, key: `${run.key}:backup` });
          const { summary } = await work.proveBackup(made);
          return `${made.file}, ${made.tables} tables, ${made.rows} rows: ${summary}`;
        },
        { tell: (told) => told, required: true },
      );
    if (migrations)
      await run.step(
        MIGRATE,
        async () => work.migrate({ ...scope, commit, key: `${run.key}:migrate`, fence: await run.mayAct(asked) }),
        { tell: ({ summary }) => summary, required: true },
      );
    await kit.rollOut(run, rollout, asked, fence);
    await run.step(MONITOR, () => kit.staysHealthy(run, version), { tell: (told) => told });
    await run.step(SMOKE, async () => kit.assertPassed(run, await work.smokeTests(scope)), { tell: (told) => told });
    await run.step(METRICS, () => kit.staysHealthy(run, version), { tell: (told) => told });
    const schema = plan?.pending.at(-1)?.name ?? plan?.schema;
    const good = await run.verified({ version, commit, digest, ...(schema !== undefined && { schema }) });
    const commitAt = candidate.commits.map(({ at }) => at);
    return { outcome: 'released', note: `${version} runs in ${environment} and is ${good}`, commitAt };
  },
);
