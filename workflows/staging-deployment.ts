/**
 * Procedure: staging deployment.
 * Steps     make the release branch; run the CI pipeline; migrate and deploy; smoke tests; verify functionality.
 * Undo      the release that ran before runs again; the branch stays.
 * Source    The user's operational runbook, "Staging Deployment".
 */
import { proxyActivities } from '@temporalio/workflow';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const git = proxyActivities<ports.Repository>(kit.mitigation);
const work = proxyActivities<ports.Verification & ports.Migrations>(kit.longWork);
const { recentReleases } = proxyActivities<ports.Deployments>(kit.delivery);

const [BRANCH, PIPELINE, MIGRATE] = [
  'Create the release branch',
  'Run the CI pipeline',
  'Migrate the database',
] as const;
const [WINDOW, SMOKE, VERIFY] = ['Wait for its turn', 'Run smoke tests', 'Verify functionality'] as const;

export const stagingDeployment = kit.defineProcedure(
  { title: 'Staging deployment', summary: ({ ref = 'main', environment }) => `Deploy ${ref} to ${environment}` },
  async function stagingDeployment(run) {
    const { service, environment, ref = 'main', version: wanted, override } = run.order;
    const scope = { service, environment };
    if (run.policy.deployment.procedure !== 'staging')
      return run.refuse(`${environment} is deployed to by the procedure ${run.policy.deployment.procedure}`);
    if (override !== undefined) return run.refuse('nobody is asked here who could agree to an override');
    const { running } = await recentReleases(scope);
    const { migrations } = run.policy.deployment;
    run.plan([
      { name: BRANCH, undo: 'the branch stays' },
      { name: PIPELINE },
      { name: WINDOW },
      ...(migrations ? [{ name: MIGRATE, undo: 'what was added stays' }] : []),
      ...kit.rolloutSteps(running, run.policy),
      { name: SMOKE },
      { name: VERIFY },
    ]);

    const candidate = await run.step(
      BRANCH,
      async () => {
        const found = await git.candidate({ ...scope, ref, version: wanted });
        await git.createReleaseBranch({ ...scope, version: found.version, commit: found.commit });
        return found;
      },
      { tell: (found) => `release/${found.version} is ${found.commit.slice(0, 12)}`, required: true },
    );
    if (candidate === undefined) return run.refuse(`${ref} names nothing to deploy`);
    const { version, commit, digest } = candidate;
    run.about({ version, commit });

    await run.step(
      PIPELINE,
      async () => {
        const built = await kit.pipelineEnded(run, { ...scope, commit, key: `${run.key}:pipeline` });
        const told = `${built.summary}; its log: ${built.log}`;
        return built.passed ? told : run.rollBack(`the pipeline failed: ${told}`);
      },
      { tell: (told) => told },
    );

    const asked = { kind: 'deploy', version, digest, running: running?.version, summary: `deploy ${version}` } as const;
    const fence = await run.step(WINDOW, () => run.mayAct(asked), { tell: () => 'granted', required: true });
    if (migrations)
      await run.step(
        MIGRATE,
        async () => work.migrate({ ...scope, commit, key: `${run.key}:migrate`, fence: await run.mayAct(asked) }),
        { tell: ({ summary }) => summary, required: true },
      );
    await kit.rollOut(run, { ...scope, version, commit, running }, asked, fence);
    await run.step(SMOKE, async () => kit.assertPassed(run, await work.smokeTests(scope)), { tell: (told) => told });
    await run.step(
      VERIFY,
      async () => kit.assertPassed(run, await work.verifyFunctionality({ ...scope, commit, key: `${run.key}:verify` })),
      { tell: (told) => told },
    );
    const verified = await run.verified({ version, commit, digest });
    return { outcome: 'released', note: `${version} runs in ${environment} and is ${verified}` };
  },
);
