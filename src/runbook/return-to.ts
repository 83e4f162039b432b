/** Where the rollback of an incident would go, and whether it may. */
import { proxyActivities } from '@temporalio/workflow';
import type { Release, Releases, Servable } from '../contracts/index.ts';
import type { ChangeControl, Migrations } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';
import { comparedWith, judgeVerified, type Compared } from './release-evidence.ts';
import type { Judgement, Run } from './run.ts';

/** Nobody waits longer for these than for any other reading. */
const read = proxyActivities<ChangeControl & Migrations>({ ...delivery, scheduleToCloseTimeout: '20 seconds' });

/** The last verified good release before the running one, as the ledger knows it; else the one that ran before, unless it is held. */
export async function returnTo(run: Run, releases: Releases | undefined): Promise<Compared> {
  const { service, environment } = run.incident;
  const { running, previous } = releases ?? {};
  if (!run.returnsToGood) return { running, previous, between: [] };
  const ledger = await run.check('last verified good', () => read.ledger({ service, environment }), judgeVerified);
  return comparedWith(releases ?? { recent: [], maxInstances: 1 }, ledger.value);
}

/**
 * Whether the schema can still serve the release that a rollback would go to, where it is changed with the releases; what cannot
 * be told holds nobody up. To be asked where a rollback is what would be proposed: it costs the database a connection.
 */
export async function isServed(run: Run, release: Release | undefined): Promise<boolean> {
  const { service, environment } = run.incident;
  if (release === undefined || !run.policy.deployment.migrations || !run.returnsToGood) return true;
  const { commit } = release;
  const ask = () => read.servable({ service, environment, commits: [commit] });
  const { value } = await run.check(`the schema can serve ${release.version}`, ask, judgeServable);
  return value?.every(({ servable }) => servable) !== false;
}

const judgeServable = (asked: Servable[]): Judgement => [
  asked.every(({ servable }) => servable) ? 'ok' : 'bad',
  asked.map(({ reason }) => reason).join('; '),
];
