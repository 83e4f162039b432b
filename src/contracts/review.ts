import { z } from 'zod';
import { ActionKind } from './action.ts';
import { Outcome } from './incident.ts';
import { Instant, Scope, Severity, Slug } from './names.ts';
import { BundlePart } from './performance.ts';
import { Policy } from './settings.ts';
import { Attempt, Status } from './status.ts';

/** Something that may have brought it about: `suspected` until a person says what it was. */
export const Cause = z.object({
  /** What kind of thing it is, and which: `release:v2`, `flag:express-checkout`. */
  id: z.string().max(120),
  what: z.string().max(300),
  evidence: z.array(z.string().max(600)).max(8),
  state: z.enum(['suspected', 'confirmed', 'ruled-out']),
});
export type Cause = z.output<typeof Cause>;

/** A person's word on the cause, and what was suspected before it, most suspected first. */
export const CauseDecision = z.object({
  at: Instant,
  by: z.string(),
  cause: z.string().max(300),
  reason: z.string().max(500).optional(),
  before: z.array(z.string()),
});
export type CauseDecision = z.output<typeof CauseDecision>;

export const ActionItem = z.object({
  id: Slug,
  title: z.string().max(300),
  why: z.string().max(600),
  /** What of the configuration it is about: `ladder[0].wait`. */
  setting: z.string().max(200).optional(),
  owner: Slug,
  dueAt: Instant,
  state: z.enum(['open', 'done']),
  closedAt: Instant.optional(),
  closedBy: z.string().optional(),
  note: z.string().max(500).optional(),
  /** Its issue in the tracker. */
  issue: z.url().optional(),
  /** How many of its reminders were sent. */
  reminded: z.number().int(),
});
export type ActionItem = z.output<typeof ActionItem>;

/** What was lost. A figure that could not be measured is absent, and `unknown` says why. */
export const Impact = z.object({
  users: z.object({ count: z.number().int(), sampled: z.boolean() }).optional(),
  requests: z.number().optional(),
  failed: z.number().optional(),
  /** Share (0..1 and above) of the error budget of thirty days. */
  budgetSpent: z.number().optional(),
  /** When the first of the errors was seen that began with it. */
  firstErrorAt: Instant.optional(),
  unknown: z.array(z.string().max(300)),
});
export type Impact = z.output<typeof Impact>;

export const ReviewTimes = z.object({
  /** When it began, as far as its alerts tell. */
  beganAt: Instant,
  detectedAt: Instant,
  /** When the first person was heard of. */
  acknowledgedAt: Instant.optional(),
  /** When a person was asked first. */
  proposedAt: Instant.optional(),
  decidedAt: Instant.optional(),
  /** When what helped was done. */
  mitigatedAt: Instant.optional(),
  endedAt: Instant,
});
export type ReviewTimes = z.output<typeof ReviewTimes>;

/** Steps that were done without a person, and what people did themselves. */
export const Toil = z.object({ alone: z.number().int(), byPeople: z.number().int() });

/** The review of one ended run. `revision` rises with every change. */
export const Review = Scope.extend({
  id: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  runbook: z.string(),
  title: z.string(),
  severity: Severity,
  summary: z.string(),
  outcome: Outcome,
  note: z.string(),
  times: ReviewTimes,
  impact: Impact,
  toil: Toil.optional(),
  attempts: z.array(Attempt),
  causes: z.array(Cause).max(12),
  decisions: z.array(CauseDecision).max(20),
  factors: z.array(z.string()).max(20),
  gaps: z.array(z.string()).max(20),
  actionItems: z.array(ActionItem).max(30),
  /** What the release sent to browsers, by package, where that was looked at. */
  bundle: z.array(BundlePart).max(25).optional(),
  /** What it looked like: two incidents that share much of it resemble each other. */
  fingerprint: z.array(z.string()).max(40),
  state: z.enum(['open', 'closed', 'skipped']),
  /** Why it was skipped, and by whom. */
  skipped: z.object({ by: z.string(), at: Instant, reason: z.string() }).optional(),
  /** Of a drill that failed, not of an incident. */
  drill: z.literal(true).optional(),
  /** Where its document is. */
  document: z.object({ path: z.string(), commit: z.string() }).optional(),
  revision: z.number().int(),
});
export type Review = z.output<typeof Review>;

/** What starts a review: the last status of the run, and what it knew of the configuration. `review` and what was written of it are carried from run to run. */
export const ReviewOrder = z.object({
  status: Status,
  policy: Policy,
  review: Review.optional(),
  published: z.number().int().default(0),
  recorded: z.number().int().default(0),
});
export type ReviewOrder = z.output<typeof ReviewOrder>;

/** A document and its pictures on their way into the repository. */
export interface Publication {
  review: Review;
  markdown: string;
  message: string;
}

/** From a person: what the cause was, by the id of a suspected one or in words. */
export const CauseWord = z.object({
  by: z.string().min(1).max(40),
  cause: z.string().min(1).max(300),
  reason: z.string().max(500).optional(),
});
export type CauseWord = z.output<typeof CauseWord>;

/** From a person: a change of one action item. */
export const ItemWord = z.object({
  by: z.string().min(1).max(40),
  item: Slug,
  text: z.string().max(500).optional(),
  owner: Slug.optional(),
  dueAt: Instant.optional(),
});
export type ItemWord = z.output<typeof ItemWord>;

export const SkipWord = z.object({ by: z.string().min(1).max(40), text: z.string().min(1).max(500) });
export type SkipWord = z.output<typeof SkipWord>;

/** What a past run teaches the next one; the memo `learned` of its review. */
export const Learned = Scope.extend({
  review: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  runbook: z.string(),
  title: z.string(),
  severity: Severity,
  outcome: Outcome,
  summary: z.string().max(300),
  times: ReviewTimes,
  budgetSpent: z.number().optional(),
  toil: Toil.optional(),
  fingerprint: z.array(z.string()),
  attempts: z.array(
    z.object({
      kind: ActionKind,
      target: z.string(),
      result: Attempt.shape.result,
      tookMs: z.number().optional(),
    }),
  ),
  causes: z.array(Cause.pick({ what: true, state: true })),
  openItems: z.array(ActionItem.pick({ id: true, title: true, setting: true, owner: true, dueAt: true })),
  document: z.string().optional(),
  drill: Review.shape.drill,
  state: Review.shape.state,
});
export type Learned = z.output<typeof Learned>;

/** A past run that looked like this one. */
export const Resemblance = z.object({
  workflowId: z.string(),
  at: Instant,
  /** Share (0..1) of what either looked like that both have. */
  likeness: z.number(),
  outcome: Outcome,
  cause: Learned.shape.causes.element.optional(),
  attempts: Learned.shape.attempts,
});
export type Resemblance = z.output<typeof Resemblance>;
