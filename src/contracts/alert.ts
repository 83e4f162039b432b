import { z } from 'zod';
import { Instant, Severity, Slug } from './names.ts';

/** One alert, as every source is normalised to it. All text is from outside and is shown as text only. */
export const Alert = z.object({
  source: Slug,
  /** The source's own identity of this firing; a repeat has the same key. */
  key: z.string().min(1).max(512),
  name: z.string().max(200),
  status: z.enum(['firing', 'resolved']),
  severity: Severity,
  /** Absent where the source does not name one and no route supplies it. */
  service: Slug.optional(),
  environment: Slug.optional(),
  summary: z.string().max(1000),
  startsAt: Instant,
  labels: z.record(z.string(), z.string().max(500)),
  /** A link for people; never fetched. */
  url: z.string().max(2000).optional(),
  /** Why it tells nothing about the service itself: it goes to a person, whatever the routes say. */
  doubt: z.enum(['no-data', 'truncated']).optional(),
});
export type Alert = z.output<typeof Alert>;

/**
 * Alerts coalesced into one signal. `batchId` makes a repeated delivery harmless; `distinct` counts natural keys not seen
 * before, `deliveries` every arrival, repeats included. `samples` holds at most 10 alerts.
 */
export const AlertBatch = z.object({
  batchId: z.string(),
  distinct: z.number().int(),
  deliveries: z.number().int(),
  status: z.enum(['firing', 'resolved']),
  samples: z.array(Alert).max(10),
  /** How often alerts of this incident fired and resolved again within the last ten minutes. */
  flaps: z.number().int().optional(),
});
export type AlertBatch = z.output<typeof AlertBatch>;

const Names = z.array(z.string()).max(200);
/**
 * Names of alerts that are open at their sources, of those that the gateway was told of, and of those that were open and are
 * not listed any more.
 */
export const OpenAtSources = z.object({ open: Names, told: Names, gone: Names.optional() });
export type OpenAtSources = z.output<typeof OpenAtSources>;
