import type { WorkerOptions } from '@temporalio/worker';

/**
 * How every worker of Holdfast is tuned: the death of one is noticed in seconds, shutdown lets what runs finish, and a storm
 * finds as many pollers as it needs while a quiet worker holds few connections open.
 */
export const TUNING = {
  /** Waiting incidents in memory: 2,000 of them took 435 MB with it, 679 MB with the default; another replays in 13 ms. */
  maxCachedWorkflows: 300,
  /** How long a task waits for the worker that has the run in memory, before any other may take it. */
  stickyQueueScheduleToStartTimeout: '3 seconds',
  workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 5, maximum: 40 },
  activityTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 5, maximum: 40 },
  /** Slots: activities wait for other systems most of their time, workflow tasks use the processor. */
  maxConcurrentWorkflowTaskExecutions: 40,
  maxConcurrentActivityTaskExecutions: 100,
  maxConcurrentLocalActivityExecutions: 100,
  shutdownGraceTime: '5 seconds',
  shutdownForceTime: '15 seconds',
} satisfies Partial<WorkerOptions>;
