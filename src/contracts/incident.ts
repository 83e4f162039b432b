import { z } from 'zod';
import { AlertBatch } from './alert.ts';
import { Instant, Severity, Slug, Verdict } from './names.ts';

/** What starts a runbook. */
export const Incident = z.object({
  service: Slug,
  environment: Slug,
  severity: Severity,
  summary: z.string().max(1000),
  openedAt: Instant,
  /** `alert:<source>`, `cli:<person>`, `monitor`. */
  openedBy: z.string().max(100),
  /** Alerts that came while the run before this one was closing. */
  carried: z.array(AlertBatch).optional(),
});
export type Incident = z.output<typeof Incident>;

/** The answer of one check of a diagnosis. */
export const Finding = z.object({
  check: z.string(),
  verdict: Verdict,
  summary: z.string().max(2000),
  /** Link to evidence too large for the history. */
  link: z.string().optional(),
});
export type Finding = z.output<typeof Finding>;

/**
 * How a run ended. `mitigated`: verified good. `declined`: a person said no. `unanswered`: the whole ladder was paged and the
 * approval expired. `not-recovered`: everything proposed was tried and undone. `handed-over`: a person must go on, with what
 * was gathered. `stopped` and `taken-over`: by a person's order. `failed`: the automation itself broke.
 * Of procedures: `released` (verified good), `rolled-back` (undone after a failure), `refused` (a rule forbids it; nothing was done),
 * `superseded` (a later change took over). Of what one person has approved alone: `confirmed` or `objected` to by a second.
 */
export const Outcome = z.enum([
  'released',
  'rolled-back',
  'refused',
  'superseded',
  'mitigated',
  'declined',
  'unanswered',
  'not-recovered',
  'handed-over',
  'stopped',
  'taken-over',
  'resolved',
  'failed',
  'confirmed',
  'objected',
]);
export type Outcome = z.output<typeof Outcome>;

export const Result = z.object({
  outcome: Outcome,
  note: z.string(),
  /** Of a procedure: the release that it was about. */
  version: z.string().max(100).optional(),
  /** Of a deployment: when each of its commits was made, at most fifty. */
  commitAt: z.array(Instant).max(50).optional(),
  /** Of a deployment that was not released: whether it had any of the traffic. */
  tookTraffic: z.boolean().optional(),
});
export type Result = z.output<typeof Result>;
