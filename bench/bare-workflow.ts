import { condition, defineSignal, proxyActivities, proxyLocalActivities, setHandler } from '@temporalio/workflow';
import type { Incident } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';

const read = proxyLocalActivities<Ports>({ startToCloseTimeout: '10 seconds' });
const { page } = proxyActivities<Ports>({ startToCloseTimeout: '10 seconds' });

/** The same path as `highErrorRate` to the same wait, as one would write it once by hand, without contracts and kit. */
export async function bareIncident({ service, environment, severity }: Incident): Promise<unknown> {
  let approved = false;
  setHandler(defineSignal('addAlerts'), () => undefined);
  setHandler(defineSignal('approve'), () => void (approved = true));
  const scope = { service, environment };
  const { measure } = await read.policy(scope);
  const window = { ...scope, windowSeconds: measure.windowSeconds };
  const releases = await read.recentReleases(scope);
  const evidence = await Promise.all([
    read.errorPatterns({ ...window, ...(releases.running && { release: releases.running.version }) }),
    read.affectedUsers(window),
    read.topStackTrace(window),
    read.errorCorrelations(window),
    read.supabaseHealth(scope),
    read.httpHealth(scope),
    read.responseTimes(window),
    read.errorRatio(window),
    read.saturation(window),
    read.flagStates(scope),
  ]);
  const subject = `Roll ${service} back from ${releases.running?.version} to ${releases.previous?.version}`;
  const to = { person: 'responder', level: 'team', workflowId: '', runId: '', key: service };
  const text = evidence[0].map(({ title }) => title).join('\n');
  await page({ channel: 'console', page: { ...scope, ...to, severity, subject, text } });
  await condition(() => approved, '1 hour');
  return { releases, evidence };
}
