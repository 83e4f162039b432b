/**
 * Procedure: rollback.
 * Steps     identify the last verified good version that the schema can serve; revert the traffic; verify health; notify the team.
 *           What was done is kept as an attempt, of which the review and the figures of deliveries tell.
 * Undo      none: what it leaves is what was good before. No approval: a person asked for it by name.
 * Source    The user's operational runbook, "Rollback Procedure".
 */
import { patched, proxyActivities } from '@temporalio/workflow';
import type * as ports from '../src/contracts/ports.ts';
import * as kit from '../src/runbook/index.ts';

const look = proxyActivities<ports.Migrations & ports.Deployments>(kit.mitigation);
/** What is under way ends within a minute, or a person is asked. */
const settled = proxyActivities<ports.Migrations>({ ...kit.mitigation, scheduleToCloseTimeout: '2 minutes' });
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

    const found = await run.step(IDENTIFY, () => identify(run, ref ?? wanted), {
      tell: ({ target: { version, at }, unchecked }) => `${version}, verified good at ${at}${unchecked}`,
      required: true,
    });
    if (found === undefined) return run.refuse('no version to return to');
    const { bad, target, checked } = found;
    const { version, commit, digest, schema } = target;
    run.about({ version, commit });
    const summary = `roll back to ${version}`;
    const action = { kind: 'roll-back', ...scope, from: bad ?? 'what ran', to: version } as const;
    const came = patched('rollbacks-reviewed') ? run.attempt({ action, summary }) : undefined;

    await run.step(
      REVERT,
      async () => {
        const fence = await run.mayAct({ kind: 'roll-back', version, running: bad, summary });
        const still = checked && patched('servable-under-grant') ? await stillServed(run, target, fence) : '';
        const done = await look.release({ ...scope, ref: version, commit, key: `${run.key}:release`, fence });
        run.serves(version);
        came?.('not-measurable');
        return `${done.summary}${still}`;
      },
      { tell: (told) => told, required: true },
    );
    const healthy = await run.step(HEALTH, () => kit.staysHealthy(run, version), { tell: (told) => told });
    if (healthy !== undefined) came?.('helped');
    await run.verified({ version, commit, digest, ...(schema !== undefined && { schema }) }, bad);
    const told = `${service} is back on ${version} in ${environment}; ${bad ?? 'what ran'} is held`;
    await run.step(NOTIFY, () => run.notify(told), { tell: (who) => who });
    const instead = bad === undefined ? '' : ` instead of ${bad}`;
    return { outcome: 'released', note: `${version} runs in ${environment} again${instead}` };
  },
);

/**
 * What has or gets the traffic now is the bad one: a canary, where there is one, else what runs. The target is the version that was
 * asked for, or the newest that is good; of those, the first that the schema can serve. A database that cannot be asked does not
 * hold a rollback: it is said.
 */
async function identify(run: kit.ProcedureRun, named: string | undefined) {
  const { service, environment } = run.order;
  const scope = { service, environment };
  const [known, { running, canary }] = await Promise.all([ledger(scope), look.recentReleases(scope)]);
  const bad = canary?.version ?? running?.version;
  if (named !== undefined && named === bad) return run.refuse(`${named} is what runs now: name another`);
  const choice =
    named === undefined
      ? kit.goodOf(known).filter(({ version }) => version !== bad)
      : (known.verified ?? []).filter(({ version }) => version === named);
  if (choice.length === 0)
    return run.refuse(`no verified good version ${named ?? 'other than the running one'} is known`);
  const commits = choice.map(({ commit }) => commit);
  const served = run.policy.deployment.migrations ? await asked(() => look.servable({ ...scope, commits })) : [];
  const unserved = (commit: string) =>
    typeof served === 'string' ? undefined : served.find((one) => one.commit === commit && !one.servable);
  const target = choice.find(({ commit }) => unserved(commit) === undefined);
  if (target === undefined)
    return run.refuse(choice.map(({ version, commit }) => `${version}: ${unserved(commit)?.reason}`).join('; '));
  const checked = run.policy.deployment.migrations && typeof served !== 'string';
  const unchecked = typeof served === 'string' ? `; not checked against the schema: ${served}` : '';
  return { bad, target, checked, unchecked };
}

/**
 * A deployment that this has taken over from may be about to take from the schema what the target needs: it must not, and what
 * it has done is looked at again. Ends the run where the target is no longer served. What is to be added where nobody could look.
 */
async function stillServed(
  run: kit.ProcedureRun,
  { version, commit }: { version: string; commit: string },
  fence: number,
): Promise<string> {
  const { service, environment } = run.order;
  const under = { key: `${run.key}:settled`, fence };
  try {
    const [found] = await settled.servable({ service, environment, commits: [commit], under });
    return found?.servable === false ? run.refuse(`${version}: ${found.reason}`) : '';
  } catch (error) {
    if (kit.typeOf(error) !== 'Unavailable') throw error;
    return `; not checked against the schema again: ${kit.say(error)}`;
  }
}

/** The answer, or why there is none. */
const asked = <T>(ask: () => Promise<T>): Promise<T | string> => ask().catch((error: unknown) => kit.say(error));
