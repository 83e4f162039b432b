/** Timers of workflows are over four times sooner: for tests of many runs on a server whose time is the real one. */
import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

export const TIMES = 4;

export const interceptors: WorkflowInterceptorsFactory = () => ({
  outbound: [
    { startTimer: (input, next) => next({ ...input, durationMs: Math.max(1, Math.round(input.durationMs / TIMES)) }) },
  ],
});
