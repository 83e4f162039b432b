/**
 * Procedure: rollback.
 * Steps     identify the last verified good version that the schema can serve; revert the traffic; verify health; notify the team.
 * Undo      none: what it leaves is what was good before. No approval: a person asked for it by name.
 * Source    The user's operational runbook, "Rollback Procedure".
 */
import { getExternalWorkflowHandle, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const look = proxyActivities<ports.Migrations & ports.Deployments>(kit.mitigation);
const { ledger } = proxyActivities<ports.ChangeControl>(kit.delivery);

const [IDENTIFY, REVERT] = ['Identify the last known good version', 'Revert the deployment'] as const;
const [HEALTH, NOTIFY] = ['Verify application health', 'Notify the team'] as const;

export const rollback = kit.defineProcedure(
  {
    title: 'Rollback',
    summary: ({ environment, version }) => `Roll ${environment} back${version === undefined ? '' : ` to ${version}`}`,
  },
  async function rollback(run) {
    const { service, environment, version: wanted, ref } = run.order;
    const scope = { service, environment };
    run.plan([{ name: IDENTIFY }, { name: REVERT }, { name: HEALTH }, { name: NOTIFY }]);

    const target = await run.step(
      IDENTIFY,
      async () => {
        const { verified = [], running, held = [] } = await ledger(scope);
        const named = ref ?? wanted;
        const good = verified.filter(
          (one) => one.version !== running && !held.some((bad) => bad.version === one.version),
        );
        const choice = named === undefined ? good : verified.filter((one) => one.version === named);
        const served = run.policy.deployment.migrations
          ? await look.servable({ ...scope, commits: choice.map(({ commit }) => commit) })
          : choice.map(({ commit }) => ({ commit, servable: true, reason: '' }));
        const found = choice.find(({ commit }) => served.some((one) => one.commit === commit && one.servable));
        if (found !== undefined) return { ...found, running };
        const reasons = choice.map(
          ({ version, commit }) => `${version}: ${served.find((one) => one.commit === commit)?.reason}`,
        );
        return run.refuse(
          choice.length === 0
            ? `no verified good version ${named ?? 'other than the running one'} is known`
            : reasons.join('; '),
        );
      },
      { tell: ({ version, at }) => `${version}, verified good at ${at}`, required: true },
    );
    if (target === undefined) return run.refuse('no version to return to');
    const { version, commit, running } = target;

    await run.step(
      REVERT,
      async () => {
        const fence = await run.mayAct({ kind: 'roll-back', version, running, summary: `roll back to ${version}` });
        await getExternalWorkflowHandle(`deployment.${service}.${environment}`)
          .signal(kit.supersede, { by: workflowInfo().workflowId })
          .catch(() => undefined); // none runs
        return await look.release({ ...scope, ref: version, commit, key: `${run.key}:release`, fence });
      },
      { tell: ({ summary }) => summary, required: true },
    );
    await run.step(HEALTH, () => kit.staysHealthy(run, version), { tell: (told) => told });
    await run.verified(
      { version, commit, digest: target.digest, ...(target.schema !== undefined && { schema: target.schema }) },
      running,
    );
    await run.step(
      NOTIFY,
      () => run.notify(`${service} is back on ${version} in ${environment}; ${running ?? 'what ran'} is held`),
      {
        tell: (told) => told,
      },
    );
    return {
      outcome: 'released',
      note: `${version} runs in ${environment} again${running === undefined ? '' : ` instead of ${running}`}`,
    };
  },
);
