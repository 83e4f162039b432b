/**
 * Give one release its traffic and see that it serves: for game days and tests, where no approval is asked. Elsewhere it is refused.
 * Granted by `serviceControl`; the provider moves traffic only to healthy instances. The release is `running` in the ledger at
 * once, `verified good` only when its health holds and it is not said to be bad.
 */
import { CancellationScope, proxyActivities, proxyLocalActivities, sleep } from '@temporalio/workflow';
import { ApplicationFailure, patched, workflowInfo } from '@temporalio/workflow';
import type { Scope } from '../src/contracts/index.ts';
import type { ChangeControl, Configuration, Deployments, Health } from '../src/contracts/ports.ts';
import { delivery, diagnostic, mitigation } from '../src/runbook/index.ts';

const BUSY_TRIES = 20;
const { release } = proxyActivities<Deployments>(mitigation);
const { requestChange, reportChange } = proxyActivities<ChangeControl>(delivery);
const { httpHealth, policy } = proxyLocalActivities<Health & Configuration>(diagnostic);

export interface Deployment extends Scope {
  ref: string;
  /** It is never `verified good`, however well it starts: something is wrong with it, to be found out. */
  bad?: boolean;
}

export async function deployRelease({
  service,
  environment,
  ref,
  bad = false,
}: Deployment): Promise<{ running: string; summary: string }> {
  const { workflowId, runId } = workflowInfo();
  const holder = `${workflowId}/${runId}`;
  const of = { service, environment, key: `${holder}:deploy` };
  const gameDaysOnly = patched('game-days-only'); // here: see `defineRunbook`
  const known = gameDaysOnly || patched('policy-names-runners') ? await policy(of) : undefined;
  if (known?.unapprovedReleases !== true && gameDaysOnly)
    throw ApplicationFailure.nonRetryable('only game days of the embedded platform do this: use "deploy"', 'Refused');

  let grant = await requestChange({ ...of, holder, kind: 'deploy', summary: `deploy ${ref}` });
  for (let tries = 1; !grant.granted && grant.because === 'busy' && tries < BUSY_TRIES; tries += 1) {
    await sleep('15 seconds');
    grant = await requestChange({ ...of, holder, kind: 'deploy', summary: `deploy ${ref}` });
  }
  if (!grant.granted) throw ApplicationFailure.nonRetryable(`not deployed: ${grant.reason}`, 'Refused');
  const { fence } = grant;

  try {
    const { summary } = await CancellationScope.nonCancellable(() => release({ ...of, ref, fence }));
    const health = await httpHealth({ service, environment });
    const verified = health.failed === 0 && !bad;
    await reportChange({ ...of, running: ref, result: verified ? 'verified' : 'unverified' });
    return { running: ref, summary };
  } catch (error) {
    await CancellationScope.nonCancellable(() => reportChange({ ...of, result: 'failed' }));
    throw error;
  }
}
