import { z } from 'zod';
import { Identifier, ProjectRef, Slug } from './names.ts';

const on = { service: Slug, environment: Slug };

/** Return traffic from release `from` to release `to`; refused when `from` no longer runs. */
export const RollBack = z.object({ kind: z.literal('roll-back'), ...on, from: z.string(), to: z.string() });
export type RollBack = z.output<typeof RollBack>;

/** Set a boolean flag from its variant `from` to its off variant `to`; refused when it is no longer at `from`. */
export const SwitchOffFlag = z.object({
  kind: z.literal('switch-off-flag'),
  ...on,
  flag: z.string(),
  from: z.string(),
  to: z.string(),
});
export type SwitchOffFlag = z.output<typeof SwitchOffFlag>;

/** Run `to` instances of the running release instead of `from`. */
export const Scale = z.object({
  kind: z.literal('scale'),
  ...on,
  from: z.number().int().min(1),
  to: z.number().int().min(1).max(50),
});
export type Scale = z.output<typeof Scale>;

/** A session of a database, known again by its pid and both times: a pid is used anew, a session goes on to another transaction. */
export const SessionRef = z.object({
  pid: z.number().int(),
  backendStart: z.string(),
  xactStart: z.string().optional(),
  user: z.string(),
  application: z.string(),
  state: z.string(),
  query: z.string().max(200),
});
export type SessionRef = z.output<typeof SessionRef>;

/** End these sessions, `pg_terminate_backend`; refused when one of them is no longer what it was. */
export const EndSessions = z.object({
  kind: z.literal('end-sessions'),
  ...on,
  sessions: z.array(SessionRef).min(1).max(10),
});
export type EndSessions = z.output<typeof EndSessions>;

/**
 * Have the connection pool replace its connections to the server as they come free: PgBouncer's `RECONNECT`. With `pause` all at
 * once, while every client waits: `PAUSE` and `RESUME`.
 */
export const ReconnectPool = z.object({
  kind: z.literal('reconnect-pool'),
  ...on,
  pool: Identifier,
  pause: z.boolean().optional(),
});
export type ReconnectPool = z.output<typeof ReconnectPool>;

/** Let the pool hold `to` connections instead of `from`: PgBouncer's `SET default_pool_size`. */
export const ResizePool = z.object({
  kind: z.literal('resize-pool'),
  ...on,
  pool: Identifier,
  from: z.number().int().min(1),
  to: z.number().int().min(1).max(1000),
});
export type ResizePool = z.output<typeof ResizePool>;

/** An index and the statement that makes it, which follows from the rest and is shown to those who approve. */
export const IndexPlan = z.object({
  schema: z.string(),
  table: z.string(),
  columns: z.array(z.string()).min(1).max(4),
  name: z.string().max(63),
  statement: z.string().max(600),
});
export type IndexPlan = z.output<typeof IndexPlan>;

/** Make an index `CONCURRENTLY`. */
export const CreateIndex = z.object({ kind: z.literal('create-index'), ...on, ...IndexPlan.shape });
export type CreateIndex = z.output<typeof CreateIndex>;

/** Let a hosted project run on compute of the size `to` instead of `from`, such as `ci_small`; the database restarts. */
export const ResizeCompute = z.object({
  kind: z.literal('resize-compute'),
  ...on,
  project: ProjectRef,
  from: z.string().max(60),
  to: z.string().max(60),
});
export type ResizeCompute = z.output<typeof ResizeCompute>;

/** Let caches keep the answers of a route: set the boolean flag that says so from `from` to its on variant `to`. */
export const TurnOnCaching = z.object({
  kind: z.literal('turn-on-caching'),
  ...on,
  route: z.string().max(120),
  path: z.string().max(200),
  flag: z.string(),
  from: z.string(),
  to: z.string(),
});
export type TurnOnCaching = z.output<typeof TurnOnCaching>;

/** Replace these instances of a release by new ones of it, one after another; refused when it no longer runs. */
export const RestartInstances = z.object({
  kind: z.literal('restart-instances'),
  ...on,
  version: z.string(),
  instances: z.array(z.string().max(120)).min(1).max(20),
});
export type RestartInstances = z.output<typeof RestartInstances>;

/** Deploy one release by these steps. `digest` names its content. */
export const Deploy = z.object({
  kind: z.literal('deploy'),
  ...on,
  version: z.string(),
  commit: z.string(),
  digest: z.string(),
  from: z.string().optional(),
  steps: z.array(z.object({ name: z.string(), undo: z.string().optional() })).max(20),
  override: z.string().max(500).optional(),
});
export type Deploy = z.output<typeof Deploy>;

/** Go on with a procedure whose step has failed, in one of the ways that the proposal offers. */
export const GoOn = z.object({ kind: z.literal('go-on'), ...on, step: z.string(), failed: z.string().max(500) });
export type GoOn = z.output<typeof GoOn>;

/** Look at what one person has approved alone, in the run `of`, because of `reason`; `digest` is that of its proposal. */
export const ConfirmBreakGlass = z.object({
  kind: z.literal('confirm-break-glass'),
  ...on,
  of: z.object({ workflowId: z.string(), runId: z.string() }),
  digest: z.string().length(64),
  by: Slug,
  reason: z.string().max(500),
});
export type ConfirmBreakGlass = z.output<typeof ConfirmBreakGlass>;

/** Everything Holdfast may do to a service, or ask of people about it. A typed value, never a command line. */
export const Action = z.discriminatedUnion('kind', [
  RollBack,
  SwitchOffFlag,
  Scale,
  EndSessions,
  ReconnectPool,
  ResizePool,
  CreateIndex,
  ResizeCompute,
  TurnOnCaching,
  RestartInstances,
  Deploy,
  GoOn,
  ConfirmBreakGlass,
]);
export type Action = z.output<typeof Action>;

export const ActionKind = z.enum(Action.options.map(({ shape }) => shape.kind.value));
export type ActionKind = z.output<typeof ActionKind>;
/** What a runbook may propose. */
export const RemedyKind = ActionKind.exclude(['deploy', 'go-on', 'confirm-break-glass'], {
  error: ({ input, values }) => `no runbook proposes ${JSON.stringify(input)}: name one of ${values.join(', ')}`,
});

export const Risk = z.enum(['low', 'medium', 'high']);
export type Risk = z.output<typeof Risk>;
