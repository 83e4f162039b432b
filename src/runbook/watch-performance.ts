/** How a service performs, as the monitor reads it: that it does keeps what was before, for whoever asks later. */
import { proxyLocalActivities } from '@temporalio/workflow';
import type { Policy, Scope, Verdict } from '../contracts/index.ts';
import type { InstanceMetrics, WebVitals } from '../contracts/ports.ts';
import { diagnostic } from './activity-options.ts';
import { judgeMemory, judgeVitals } from './performance.ts';
import { judged } from './run.ts';

const read = proxyLocalActivities<InstanceMetrics & WebVitals>(diagnostic);

export interface WatchedPerformance {
  /** Name of the alert that it raises where it is bad. */
  name: 'MemoryLeak' | 'WebVitalsFailing';
  verdict: Verdict;
  summary: string;
}

export async function watchPerformance(scope: Scope, policy: Policy): Promise<WatchedPerformance[]> {
  const window = { ...scope, windowSeconds: policy.measure.windowSeconds };
  const { vitals: users } = policy.performance;
  const [memory, vitals] = await Promise.all([
    judged(() => read.memoryTrends({ ...window, gather: false }), judgeMemory(policy)),
    users &&
      judged(
        () => read.webVitals({ ...scope, windowSeconds: users.windowSeconds }),
        judgeVitals(users.minimumSamples, policy),
      ),
    read.routeTimes(window).catch(() => undefined),
  ]);
  return [
    { name: 'MemoryLeak', verdict: memory.verdict, summary: memory.summary },
    ...(vitals === undefined
      ? []
      : [{ name: 'WebVitalsFailing' as const, verdict: vitals.verdict, summary: vitals.summary }]),
  ];
}
