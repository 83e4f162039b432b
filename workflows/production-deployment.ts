/**
 * Procedure: production deployment.
 * Steps     approval; deployment window; backup, proved; migrations that add; canary, step by step, then all of the traffic;
 *           monitor; smoke tests, by paths and by a command; verify metrics; migrations that take away what nothing needs any more. Then, and only then,
 *           the release is verified good.
 * Undo      in reverse order: the traffic returns to what ran before, to which what was added (expand) does no harm.
 * Source    The user's operational runbook, "Production Deployment"; Google SRE Workbook, chapter 16, "Canarying Releases".
 */
import { patched, proxyActivities } from '@temporalio/workflow';
import type { Scope } from '../src/contracts/index.ts';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const git = proxyActivities<ports.Repository & ports.Migrations>(kit.mitigation);
const work = proxyActivities<ports.Backups & ports.Verification & ports.Migrations>(kit.longWork);
const read = proxyActivities<ports.ChangeControl & ports.Deployments & ports.Flags>(kit.delivery);

const [WINDOW, BACKUP] = ['Wait for the deployment window', 'Create a backup and prove it'] as const;
const [MIGRATE, MONITOR] = ['Migrate the database', 'Monitor for issues'] as const;
const [SMOKE, METRICS] = ['Run smoke tests', 'Verify metrics'] as const;
const CONTRACT = 'Take from the database what nothing needs any more';

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
    const there = after === undefined ? undefined : { service, environment: after };
    const look = async () => {
      const [here, before, { running }] = await Promise.all([
        read.ledger(scope),
        there && read.ledger(there),
        read.recentReleases(scope),
      ]);
      return { here, before, running };
    };
    const { here, before, running } = await look();

    const ref = order.ref ?? kit.goodOf(before)[0]?.commit;
    if (ref === undefined)
      return run.refuse(`nothing is verified in ${after ?? 'an environment before'}: name a --ref`);
    const candidate = await git.candidate({ ...scope, ref, since: running?.commit });
    const { commit, digest } = candidate;
    const plan = migrations ? await git.migrationPlan({ ...scope, commit }) : undefined;
    const verified = kit.verifiedThere(before, candidate);
    const version = order.version ?? verified?.version ?? candidate.version;
    const flags = await flagsOf(scope, there);
    const evidence = { order, policy, candidate, version, verified, ledger: here, migrations: plan, flags };
    if (commit === running?.commit) return run.refuse(`${running.version} is this commit, and runs already`);
    if (kit.unmarked(plan).length > 0)
      return run.refuse(`${kit.unmarked(plan).join('; ')}: expand first, or mark it "-- holdfast: contract"`);
    if (kit.forbidden(evidence).length > 0)
      return run.refuse(`${kit.forbidden(evidence).join('; ')}; an override needs a reason and a second person`);

    const { contract } = kit.stagesOf(plan);
    const rollout = { ...scope, version, commit, running };
    const steps = [
      { name: WINDOW },
      ...(backup ? [{ name: BACKUP, undo: 'the backup is kept' }] : []),
      ...(migrations ? [{ name: MIGRATE, undo: 'what was added stays; the release before does not mind' }] : []),
      ...kit.rolloutSteps(running, policy),
      { name: MONITOR },
      { name: SMOKE },
      { name: METRICS },
      ...(contract.length > 0 ? [{ name: CONTRACT, undo: 'cannot be taken back; the backup has it' }] : []),
    ];
    run.plan(steps);
    run.about({ version, commit, since: running?.commit });
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
    const now = await look(); // under the grant it stays so
    if (now.running?.version !== running?.version)
      return run.refuse(
        `${now.running?.version ?? 'nothing'} runs by now, not ${running?.version ?? 'nothing'} as when it was approved: deploy again`,
      );
    const forbidden = kit.forbidden({
      ...evidence,
      ledger: now.here,
      verified: kit.verifiedThere(now.before, candidate),
    });
    if (forbidden.length > 0) return run.refuse(`by now ${forbidden.join('; ')}`);
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
        async () => {
          const order = { ...scope, commit, key: `${run.key}:migrate`, stage: 'expand' } as const;
          return work.migrate({ ...order, fence: await run.mayAct(asked) });
        },
        { tell: ({ summary }) => summary, required: true },
      );
    await kit.rollOut(run, rollout, asked, fence);
    await run.step(MONITOR, () => kit.staysHealthy(run, version), { tell: (told) => told });
    await run.step(
      SMOKE,
      async () => {
        const paths = await work.smokeTests(scope);
        if (!paths.passed || !patched('smoke-commands')) return kit.assertPassed(run, paths);
        const command = await work.verifyFunctionality({ ...scope, commit, key: `${run.key}:verify` });
        return kit.assertPassed(run, { ...command, tests: [...paths.tests, ...command.tests] });
      },
      { tell: (told) => told },
    );
    await run.step(METRICS, () => kit.staysHealthy(run, version), { tell: (told) => told });
    const contracted =
      contract.length === 0 ||
      (await run.step(
        CONTRACT,
        async () => work.migrate({ ...scope, commit, key: `${run.key}:contract`, fence: await run.mayAct(asked) }),
        { tell: ({ summary }) => summary, last: true },
      ));
    const last = contracted ? plan?.pending.at(-1) : kit.stagesOf(plan).expand.at(-1);
    const schema = last?.name ?? plan?.schema;
    const good = await run.verified({ version, commit, digest, ...(schema !== undefined && { schema }) });
    const commitAt = candidate.commits.map(({ at }) => at);
    return { outcome: 'released', note: `${version} runs in ${environment} and is ${good}`, commitAt };
  },
);

/** Flags here and in the environment before; what cannot be read is said to those who approve, and holds nothing up. */
async function flagsOf(scope: Scope, there: Scope | undefined) {
  const states = (of: Scope) => read.flagStates(of).catch(() => undefined);
  const [here, before] = await Promise.all([states(scope), there && states(there)]);
  return { here, before };
}
