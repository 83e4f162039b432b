import { z } from 'zod';
import { ActionKind } from './action.ts';
import { Instant, Slug } from './names.ts';

/** One wish to change an environment of a service, made of `serviceControl`. `key` makes it idempotent. */
export const ChangeRequest = z.object({
  service: Slug,
  environment: Slug,
  key: z.string(),
  /** Who holds the grant: `<workflow id>/<run id>`. Cool-downs do not hold one holder up against itself. */
  holder: z.string(),
  kind: ActionKind.or(z.literal('deploy')),
  summary: z.string().max(500),
});
export type ChangeRequest = z.output<typeof ChangeRequest>;

export const Grant = z.discriminatedUnion('granted', [
  z.object({ granted: z.literal(true), fence: z.number().int() }),
  z.object({
    granted: z.literal(false),
    because: z.enum(['kill-switch', 'cool-down', 'busy', 'frozen']),
    reason: z.string(),
    /** When asking again may help. */
    until: Instant.optional(),
  }),
]);
export type Grant = z.output<typeof Grant>;

/** How a granted change ended; `running` is the release that serves now, where the change was about releases. */
export const ChangeReport = z.object({
  service: Slug,
  environment: Slug,
  key: z.string(),
  result: z.enum(['verified', 'undone', 'failed', 'unverified']),
  running: z.string().optional(),
});
export type ChangeReport = z.output<typeof ChangeReport>;

/** What `serviceControl` knows of one environment. */
export const Ledger = z.object({
  environment: Slug,
  running: z.string().optional(),
  lastVerifiedGood: z.string().optional(),
  /** Newest first, at most 20. */
  changes: z.array(
    z.object({
      key: z.string(),
      kind: z.string(),
      summary: z.string(),
      holder: z.string(),
      fence: z.number().int(),
      at: Instant,
      leaseEndsAt: Instant.optional(),
      result: z.enum(['open', 'verified', 'undone', 'failed', 'unverified', 'expired']),
      endedAt: Instant.optional(),
    }),
  ),
});
export type Ledger = z.output<typeof Ledger>;

/** The order to deploy one release; `key` makes it idempotent, `fence` is the grant's. */
export const ReleaseOrder = z.object({
  service: Slug,
  environment: Slug,
  ref: z.string(),
  key: z.string(),
  fence: z.number().int(),
});
export type ReleaseOrder = z.output<typeof ReleaseOrder>;
