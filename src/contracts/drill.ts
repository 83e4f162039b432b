import { z } from 'zod';
import { Incident } from './incident.ts';
import { Duration, Instant, Slug } from './names.ts';
import { Status, TimelineEntry } from './status.ts';

/** What an activity answered, in order; after the last one it answers that again. */
export const Recorded = z.record(
  z.string(),
  z.array(z.union([z.object({ value: z.unknown() }), z.object({ failure: z.string() })])).min(1),
);
export type Recorded = z.output<typeof Recorded>;

/** A runbook to be run in skipped time, over simulated systems or what was recorded of real ones. */
export const DrillOrder = z.object({
  /** Workflow type. */
  type: z.string(),
  incident: Incident,
  /** The configuration whose policy counts. */
  config: z.string(),
  recorded: Recorded.default({}),
  /** What people say: to which proposal, counted from 0, and how long after it was made. Nobody answers what is left. */
  decisions: z.array(
    z.object({
      proposal: z.number().int(),
      verdict: z.enum(['approved', 'declined']),
      person: z.string(),
      afterMs: z.number().nonnegative(),
    }),
  ),
  /** It acts, whatever the configuration says: nothing real is touched. */
  acts: z.boolean(),
});
export type DrillOrder = z.output<typeof DrillOrder>;

/** How it went, and who was paged. */
export const Drilled = z.object({
  status: Status,
  pages: z.array(z.object({ person: z.string(), level: z.string() })),
});
export type Drilled = z.output<typeof Drilled>;

/** Who opens the incident of a drill. */
export const DRILL = 'drill';

/** One drill: whether the runbook still does what it is for, and what it did. */
export const DrillReport = z.object({
  passed: z.boolean(),
  note: z.string().max(1000),
  timeline: z.array(TimelineEntry).max(200),
});
export type DrillReport = z.output<typeof DrillReport>;

/** What is known of one runbook of a service: when it was last needed, and when it was last tried. */
export const Freshness = z.object({
  runbook: Slug,
  /** Workflow type. */
  type: z.string(),
  title: z.string(),
  ranAt: Instant.optional(),
  /** The last drill that passed. */
  drilledAt: Instant.optional(),
  /** The last drill, and the review that it was filed as where it failed. */
  last: z.object({ at: Instant, passed: z.boolean(), note: z.string(), review: z.string().optional() }).optional(),
});
export type Freshness = z.output<typeof Freshness>;

/** Answer of the query `freshness`. */
export const FreshnessReport = z.object({
  service: Slug,
  environment: Slug,
  staleAfter: Duration,
  nextCheckAt: Instant,
  runbooks: z.array(Freshness.extend({ stale: z.boolean() })),
});
export type FreshnessReport = z.output<typeof FreshnessReport>;
