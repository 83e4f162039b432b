import { z } from 'zod';
import { ShownRelease } from './code-host.ts';
import { ActionKind } from './action.ts';
import { Proposal, SecondLook } from './decision.ts';
import { Step } from './deployment.ts';
import { Paged } from './escalation.ts';
import { Finding, Incident, Outcome } from './incident.ts';
import { Measurement } from './measurement.ts';
import { Instant } from './names.ts';
import { BundlePart } from './performance.ts';

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

/** Something that was done about an incident, and what came of it; `target` is what it was done to. */
export const Attempt = z.object({
  kind: ActionKind,
  target: z.string().max(120),
  summary: z.string().max(500),
  at: Instant,
  result: z.enum(['helped', 'not-helped', 'not-measurable', 'failed']),
  endedAt: Instant,
  /** Absent where nothing was to be taken back. */
  undo: z.enum(['done', 'failed', 'none']).optional(),
});
export type Attempt = z.output<typeof Attempt>;

/** How the run before ended, and what it tried. */
export const LastRun = z.object({
  runId: z.string(),
  closedAt: Instant,
  outcome: Outcome.optional(),
  note: z.string().max(1000).optional(),
  attempts: z.array(Attempt).max(8),
});
export type LastRun = z.output<typeof LastRun>;

/** A commit that has to do with what is wrong, in words; `touches` are the failing files and slow routes. */
export const SuspectCommit = z.object({
  id: z.string().max(64),
  what: z.string().max(300),
  touches: z.array(z.string().max(120)).max(5),
});
export type SuspectCommit = z.output<typeof SuspectCommit>;

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
  /** When what it does now must be over; what is open past it is stuck. The memo has it too. */
  deadline: Instant.optional(),
  /** Who looks at it, as long as that is not stale. */
  acknowledgedBy: z.string().optional(),
  paged: Paged.optional(),
  /** `since`: when the first alert of this incident began to fire, by its source. */
  alerts: z.object({
    distinct: z.number().int(),
    deliveries: z.number().int(),
    resolved: z.boolean(),
    since: Instant.optional(),
    /** How often it fired and resolved again within ten minutes, and when the newest batch of alerts came, and the newest that fires. */
    flaps: z.number().int().optional(),
    newestAt: Instant.optional(),
    firedAt: Instant.optional(),
  }),
  /** The run before this one. */
  last: LastRun.optional(),
  findings: z.array(Finding),
  /** What its checks have read, for charts. */
  measurements: z.array(Measurement).max(3).optional(),
  /** What the release sends to browsers, by package, for a picture. */
  bundle: z.array(BundlePart).max(25).optional(),
  /** The release that took the traffic when it last looked. */
  running: z.object({ version: z.string().max(200), deployedAt: Instant }).optional(),
  /** Of that release: commits that have to do with what is wrong. */
  commits: z.array(SuspectCommit).max(3).optional(),
  /** Of a procedure. */
  steps: z.array(Step).max(20).optional(),
  /** Of a deployment that a code-hosting service shows. */
  release: ShownRelease.optional(),
  /** Of an incident: what was done about it. */
  attempts: z.array(Attempt).max(8).optional(),
  proposal: Proposal.optional(),
  decision: z
    .object({
      verdict: z.string(),
      by: z.array(z.string()),
      via: z.string(),
      at: Instant,
      breakGlass: SecondLook.optional(),
    })
    .optional(),
  outcome: Outcome.optional(),
  note: z.string().optional(),
  timeline: z.array(TimelineEntry),
  /** How many lines were left out in the middle of the timeline. */
  leftOut: z.number().int().optional(),
  revision: z.number().int(),
});
export type Status = z.output<typeof Status>;
