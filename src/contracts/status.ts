import { z } from 'zod';
import { Proposal } from './decision.ts';
import { Step } from './deployment.ts';
import { Finding, Incident, Outcome } from './incident.ts';
import { Instant } from './names.ts';

export const Phase = z.enum([
  'diagnosing',
  'proposing',
  'waiting',
  'mitigating',
  'verifying',
  'deploying',
  'undoing',
  'paused',
  'closed',
]);
export type Phase = z.output<typeof Phase>;

/** One line of the story: what happened, who did it, why. */
export const TimelineEntry = z.object({ at: Instant, what: z.string(), who: z.string().optional(), kind: z.string() });
export type TimelineEntry = z.output<typeof TimelineEntry>;

/** Answer of the query `status`, and the body of the record. `revision` rises with every change. */
export const Status = z.object({
  workflowId: z.string(),
  runId: z.string(),
  runbook: z.string(),
  title: z.string(),
  incident: Incident,
  phase: Phase,
  paused: z.boolean(),
  /** What it is doing, what it will do next, how to stop it. */
  doing: z.string(),
  next: z.string(),
  howToStop: z.string(),
  waitingFor: z.array(z.string()),
  waitingUntil: Instant.optional(),
  /** `since`: when the first alert of this incident began to fire, by its source. */
  alerts: z.object({
    distinct: z.number().int(),
    deliveries: z.number().int(),
    resolved: z.boolean(),
    since: Instant.optional(),
  }),
  findings: z.array(Finding),
  /** Of a procedure. */
  steps: z.array(Step).max(20).optional(),
  proposal: Proposal.optional(),
  decision: z.object({ verdict: z.string(), by: z.array(z.string()), via: z.string(), at: Instant }).optional(),
  outcome: Outcome.optional(),
  note: z.string().optional(),
  timeline: z.array(TimelineEntry),
  revision: z.number().int(),
});
export type Status = z.output<typeof Status>;
