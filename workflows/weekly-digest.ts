/**
 * Weekly digest of one service: every Monday at nine, UTC, the incidents of the week, what was learned from them, and the action
 * items that are open, to the channels on which everybody follows. Says nothing where there is nothing to say. Continues as new
 * each week.
 */
import { condition, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Configuration, Learnings, Notifier } from '../src/contracts/ports.ts';
import { continueOn, delivery, digestOf, dueToContinue, nextDigest, projection } from '../src/runbook/index.ts';

const { policy: readPolicy } = proxyActivities<Configuration>(projection);
const { learnedSince } = proxyActivities<Learnings>(projection);
const { announce } = proxyActivities<Notifier>(delivery);

export interface Digest {
  service: string;
  environment: string;
  /** Until when it was told. */
  since?: string;
}

export async function weeklyDigest(digest: Digest): Promise<void> {
  const { service, environment } = digest;
  const began = Date.now();
  const { since = new Date(began).toISOString() } = digest;
  if (await condition(dueToContinue(), nextDigest(began) - began))
    return await continueOn<typeof weeklyDigest>({ service, environment, since });
  const at = new Date().toISOString();
  const learned = await learnedSince({ service, since });
  const text = digestOf(learned, { since, now: at });
  const { announce: channels } = await readPolicy({ service, environment });
  const { workflowId, runId } = workflowInfo();
  const subject = `What ${service} has learned this week`;
  if (text !== undefined)
    for (const channel of channels) {
      const announcement = { service, environment, workflowId, runId, at, severity: 'info' as const, subject, text };
      await announce({ channel, announcement: { ...announcement, state: 'closed' } }).catch(() => undefined);
    }
  await continueOn<typeof weeklyDigest>({ service, environment, since: at });
}
