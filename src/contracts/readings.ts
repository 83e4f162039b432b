import { z } from 'zod';
import { IndexPlan, SessionRef } from './action.ts';
import { Instant, ProjectRef } from './names.ts';

/** A group of equal errors. `newInRelease` is true when the group was first seen in the release asked about. */
export const ErrorPattern = z.object({
  id: z.string(),
  title: z.string().max(300),
  count: z.number().int(),
  firstSeen: Instant,
  lastSeen: Instant,
  firstRelease: z.string().optional(),
  newInRelease: z.boolean(),
  url: z.string().optional(),
});
export type ErrorPattern = z.output<typeof ErrorPattern>;

/** Distinct users with an error; `sampled` when only the newest events were read and the true count is at least this. */
export const AffectedUsers = z.object({ count: z.number().int(), sampled: z.boolean() });
export type AffectedUsers = z.output<typeof AffectedUsers>;

/** The innermost frames of the most frequent error, at most 10. */
export const StackTrace = z.object({
  pattern: z.string(),
  frames: z.array(z.string().max(300)).max(10),
  url: z.string().optional(),
});
export type StackTrace = z.output<typeof StackTrace>;

/** How the errors of the window divide over releases and flag values; `share` is 0..1 of the events that carry the value. */
export const ErrorCorrelations = z.object({
  events: z.number().int(),
  releases: z.array(z.object({ release: z.string(), share: z.number() })),
  flags: z.array(z.object({ flag: z.string(), value: z.string(), share: z.number() })),
});
export type ErrorCorrelations = z.output<typeof ErrorCorrelations>;

/** Errors that the tracker has of the window. */
export const ErrorCount = z.object({ count: z.number(), windowSeconds: z.number() });
export type ErrorCount = z.output<typeof ErrorCount>;

/**
 * `ratio` is 0..1; with no requests it is 0 and `requests` says so. `absent`: nothing counts requests, so that nobody knows whether
 * there were any.
 */
export const ErrorRatio = z.object({
  ratio: z.number(),
  requests: z.number(),
  windowSeconds: z.number(),
  absent: z.literal(true).optional(),
});
export type ErrorRatio = z.output<typeof ErrorRatio>;

/** `slowShare` is the share (0..1) of the requests that took longer than the objective of p95. */
export const ResponseTimes = z.object({
  p50Ms: z.number(),
  p95Ms: z.number(),
  requests: z.number(),
  slowShare: z.number().optional(),
});
export type ResponseTimes = z.output<typeof ResponseTimes>;

/** `busiest` is the share of one core (0..1 and above) that the busiest instance used over the window. */
export const Saturation = z.object({ busiest: z.number(), instances: z.number().int() });
export type Saturation = z.output<typeof Saturation>;

/** Probes of the health path: `p95Ms` over the answered ones, `status` of the last. */
export const HttpHealth = z.object({
  url: z.string(),
  probes: z.number().int(),
  failed: z.number().int(),
  status: z.number().int(),
  p50Ms: z.number(),
  p95Ms: z.number(),
});
export type HttpHealth = z.output<typeof HttpHealth>;

const Reach = z.object({ ok: z.boolean(), ms: z.number(), detail: z.string().max(300) });
/** The application's Supabase by REST and by SQL; `sql` is absent where no connection string is configured. */
export const SupabaseHealth = z.object({ rest: Reach, sql: Reach.optional() });
export type SupabaseHealth = z.output<typeof SupabaseHealth>;

/** A release that serves or has served. `verified` is not here: that is the ledger's word. */
export const Release = z.object({
  version: z.string(),
  commit: z.string(),
  deployedAt: Instant,
  weight: z.number(),
  instances: z.number().int(),
});
export type Release = z.output<typeof Release>;

/** `running` takes the traffic; `previous` is what ran before it and can be returned to. */
export const Releases = z.object({
  running: Release.optional(),
  previous: Release.optional(),
  /** Beside the running one, with its share (0..1) of the traffic. */
  canary: z.object({ version: z.string(), weight: z.number() }).optional(),
  recent: z.array(Release).max(20),
  maxInstances: z.number().int(),
});
export type Releases = z.output<typeof Releases>;

/**
 * What an effect found and left: `changed` is false when it was already so; `repeated` where that is because this very order
 * had changed it, at a try whose worker was killed before it could tell.
 */
export const Effect = z.object({ changed: z.boolean(), repeated: z.boolean().optional(), summary: z.string() });
export type Effect = z.output<typeof Effect>;

export const FlagState = z.object({ flag: z.string(), variant: z.string(), off: z.string(), enabled: z.boolean() });
export type FlagState = z.output<typeof FlagState>;

/** Sessions of the server by what they do, against its limit; `reserved` slots are not for the application. */
export const ConnectionUse = z.object({
  max: z.number().int(),
  reserved: z.number().int(),
  used: z.number().int(),
  groups: z
    .array(z.object({ user: z.string(), application: z.string(), state: z.string(), count: z.number().int() }))
    .max(10),
  /** Seen and left alone. */
  replication: z.number().int(),
  autovacuum: z.number().int(),
});
export type ConnectionUse = z.output<typeof ConnectionUse>;

/**
 * A session that others may wait for: idle in a transaction, long at one statement, or holding a lock that is waited for.
 * `blocks` counts those that wait for it, directly or behind each other, and `waitedSeconds` is for how long the statement runs of
 * whoever waits longest: no wait is longer. `spared` says why it may not be ended.
 */
export const SessionInTheWay = SessionRef.extend({
  seconds: z.number(),
  blocks: z.number().int(),
  waitedSeconds: z.number().optional(),
  waits: z.boolean(),
  spared: z.string().optional(),
});
export type SessionInTheWay = z.output<typeof SessionInTheWay>;

/** Of one database of the pool; `maxWaitMs` is how long the client that waits longest has waited. */
export const PoolUse = z.object({
  pool: z.string(),
  clientsActive: z.number().int(),
  clientsWaiting: z.number().int(),
  maxWaitMs: z.number(),
  serversActive: z.number().int(),
  serversIdle: z.number().int(),
  size: z.number().int(),
});
export type PoolUse = z.output<typeof PoolUse>;

/**
 * A statement that takes long, with the index that would serve it, where a sequential scan shows one. Costs are the planner's;
 * `costWith` is there where a hypothetical index proved it (hypopg).
 */
export const SlowStatement = z.object({
  query: z.string().max(300),
  calls: z.number().int(),
  meanMs: z.number(),
  totalMs: z.number(),
  /** Whether it ran while it was looked at; the counts may be of long ago. */
  ran: z.boolean().optional(),
  index: IndexPlan.extend({ costNow: z.number(), costWith: z.number().optional() }).optional(),
});
export type SlowStatement = z.output<typeof SlowStatement>;

/** Bytes in use on the disk of the database; `sizeBytes` is absent where nobody has said how large it is. */
export const DiskUse = z.object({ usedBytes: z.number(), sizeBytes: z.number().optional() });
export type DiskUse = z.output<typeof DiskUse>;

/** A service of a hosted project, by its operator's own word for its state. */
export const HostedService = z.object({
  name: z.string().max(40),
  healthy: z.boolean(),
  status: z.string().max(300),
});
export type HostedService = z.output<typeof HostedService>;

/** What the operator advises about the project. */
export const Advice = z.object({ level: z.enum(['ERROR', 'WARN', 'INFO']), title: z.string().max(300) });
export type Advice = z.output<typeof Advice>;

/** What a hosted project has: its compute and the next larger one with its price, its pooler, its disk. */
export const HostedCapacity = z.object({
  project: ProjectRef,
  compute: z.string(),
  larger: z.object({ compute: z.string(), price: z.string().max(100) }).optional(),
  poolSize: z.number().int().optional(),
  maxClients: z.number().int().optional(),
  disk: DiskUse,
});
export type HostedCapacity = z.output<typeof HostedCapacity>;
