import { z } from 'zod';
import { Instant } from './names.ts';

/** What the charts of a run show: failed requests (ratio, 0..1), 95th percentile of response times (ms), clients that wait for a connection of the pool. */
export const Quantity = z.enum(['error-ratio', 'p95-ms', 'pool-waiting']);
export type Quantity = z.output<typeof Quantity>;

/** One quantity as a run has read it, oldest first; `limit` is what it should stay under. */
export const Measurement = z.object({
  quantity: Quantity,
  limit: z.number().optional(),
  points: z.array(z.object({ at: Instant, value: z.number() })).max(48),
});
export type Measurement = z.output<typeof Measurement>;
