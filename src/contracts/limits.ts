import { z } from 'zod';

const Share = z.number().positive().max(1);

export const Limits = z.object({
  /** How long a client may wait for a connection of the pool: a fifth of the usual objective of 500 ms. */
  poolWaitMs: z.number().nonnegative().default(100),
  /** Share of the connections open to applications above which there is no head-room. */
  connectionsUsed: Share.default(0.9),
  /** Share of the disk above which the database soon stops to write; Supabase goes read-only at 95 %. */
  diskUsed: Share.default(0.9),
  /** Share of one core from which on an instance is saturated. Source: common autoscaling target of 80 % CPU. */
  coreUsed: z.number().positive().default(0.8),
  /** Memory leaks where it is foretold to be at its limit within so many hours: what is farther away is no incident. */
  leakHours: z.number().positive().default(24),
  /**
   * Memory is foretold for so many times as long as it was seen, and no longer. Source: kubernetes-mixin, `KubePersistentVolumeFillingUp`,
   * four days by the trend of six hours.
   */
  leakForetold: z.number().positive().default(16),
  /** A bundle is heavy that grew by more than this share, and by more than so many bytes. */
  bundleGrowth: z.number().nonnegative().default(0.2),
  bundleGrowthBytes: z.number().nonnegative().default(50_000),
  /** Web vitals pass up to this at p75. Source: web.dev/articles/vitals, "Core Web Vitals". */
  lcpMs: z.number().positive().default(2500),
  inpMs: z.number().positive().default(200),
  cls: z.number().positive().default(0.1),
});
export type Limits = z.output<typeof Limits>;
