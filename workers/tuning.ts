import type { WorkerOptions } from '@temporalio/worker';

/** How every worker of Holdfast is tuned: the death of one is noticed in seconds, and shutdown lets what runs finish. */
export const TUNING = {
  maxCachedWorkflows: 300,
  stickyQueueScheduleToStartTimeout: '3 seconds',
  shutdownGraceTime: '5 seconds',
  shutdownForceTime: '15 seconds',
} satisfies Partial<WorkerOptions>;
