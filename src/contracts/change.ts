import { z } from 'zod';
import { ActionKind } from './action.ts';
import { Instant, Slug, type Scope } from './names.ts';
import type { Policy } from './settings.ts';

/** One wish to change an environment of a service, made of `serviceControl`. `key` makes it idempotent. */
export const ChangeRequest = z.object({
  service: Slug,
  environment: Slug,
  key: z.string(),
  /** Who holds the grant: `<workflow id>/<run id>`. Cool-downs do not hold one holder up against itself. */
  holder: z.string(),
  kind: ActionKind,
  summary: z.string().max(500),
  /** A second person has agreed to break a freeze. */
  override: z.boolean().optional(),
});
export type ChangeRequest = z.output<typeof ChangeRequest>;

export const Grant = z.discriminatedUnion('granted', [
  z.object({ granted: z.literal(true), fence: z.number().int() }),
  z.object({
    granted: z.literal(false),
    because: z.enum(['kill-switch', 'cool-down', 'busy', 'frozen', 'superseded', 'mode']),
    reason: z.string(),
    /** When asking again may help. */
    until: Instant.optional(),
  }),
]);
export type Grant = z.output<typeof Grant>;

/** Why nothing is changed in an environment that is not in mode `act`, whoever asks; undefined in one that is. */
export const heldByMode = (mode: Policy['mode'], { service, environment }: Scope): string | undefined =>
  mode === 'act'
    ? undefined
    : `${service} is in mode ${mode} in ${environment}: Holdfast changes nothing there; set mode: 'act' for it in the configuration`;

/** A release as the ledger keeps it: equal content has an equal digest; `schema` is the last migration it was verified with. */
export const LedgerRelease = z.object({
  version: z.string(),
  commit: z.string(),
  digest: z.string(),
  schema: z.string().optional(),
});
export type LedgerRelease = z.output<typeof LedgerRelease>;

/** No deployment widens its traffic while it lasts; rollbacks are never held. */
export const Freeze = z.object({ by: z.string(), reason: z.string().max(300), until: Instant.optional() });
export type Freeze = z.output<typeof Freeze>;

/** How a granted change ended; `running` is the release that serves now, where the change was about releases. */
export const ChangeReport = z.object({
  service: Slug,
  environment: Slug,
  key: z.string(),
  result: z.enum(['verified', 'undone', 'failed', 'unverified']),
  running: z.string().optional(),
  /** What was verified, in full, where a deployment tells. */
  release: LedgerRelease.optional(),
  /** A version that is not to be deployed again without an override, and why. */
  held: z.object({ version: z.string(), digest: z.string().optional(), reason: z.string().max(300) }).optional(),
});
export type ChangeReport = z.output<typeof ChangeReport>;

/** What `serviceControl` knows of one environment. */
export const Ledger = z.object({
  environment: Slug,
  running: z.string().optional(),
  lastVerifiedGood: z.string().optional(),
  /** Newest first, at most 20. */
  verified: z.array(LedgerRelease.extend({ at: Instant })).optional(),
  held: z
    .array(z.object({ version: z.string(), digest: z.string().optional(), reason: z.string(), at: Instant }))
    .optional(),
  freeze: Freeze.optional(),
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
  /** The commit that the ref named when it was approved. */
  commit: z.string().optional(),
  key: z.string(),
  fence: z.number().int(),
});
export type ReleaseOrder = z.output<typeof ReleaseOrder>;
