import { z } from 'zod';

/** Name of a service, environment, person or check. It goes into workflow ids unescaped. */
export const Slug = z.string().regex(/^[a-z0-9-]{1,40}$/, 'use 1 to 40 of a-z, 0-9 and "-"');
export type Slug = z.output<typeof Slug>;

/** A name that needs no quotes in SQL and on a console. */
export const Identifier = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/i, 'use letters, digits and "_"');

/** How Supabase names a project: the first label of its address. */
export const ProjectRef = z.string().regex(/^[a-z]{20}$/, 'use the 20 letters of <ref>.supabase.co');

/** ISO 8601, UTC. */
export const Instant = z.iso.datetime({ offset: true });

/** A Temporal duration: `'15 minutes'`, `'30 s'`. */
export const Duration = z
  .string()
  .regex(
    /^\d+(\.\d+)? ?(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)$/,
    'use a duration such as "15 minutes"',
  );

/** What a read is about. */
export const Scope = z.object({ service: Slug, environment: Slug });
export type Scope = z.output<typeof Scope>;

/** A read over the last `windowSeconds` seconds. */
export const Window = Scope.extend({ windowSeconds: z.number().positive() });
export type Window = z.output<typeof Window>;

export const Severity = z.enum(['critical', 'warning', 'info']);
export type Severity = z.output<typeof Severity>;
/** The worst of them; undefined where there is none. */
export const worst = (all: readonly Severity[]): Severity | undefined =>
  Severity.options.find((one) => all.includes(one));

/** `unknown` is never read as `ok` and never as `bad`: it goes to a person. */
export const Verdict = z.enum(['ok', 'bad', 'unknown']);
export type Verdict = z.output<typeof Verdict>;

/** A workflow id of an incident, deployment, rollback or second look, or of the ladder that it left behind, and not of what serves them. */
export const RUN_ID =
  /^(incident\.[a-z0-9-]{1,40}\.[a-z0-9-]{1,60}(\.[a-z0-9-]{1,40})?|(deployment|rollback|break-glass)\.[a-z0-9-]{1,40}\.[a-z0-9-]{1,40})(\.escalation\.0)?$/;
export const isRunId = (id: string): boolean => RUN_ID.test(id);

/** Address of a run's page in the console. */
export const runPath = ({ workflowId, runId }: { workflowId: string; runId: string }): string =>
  `/runs/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}`;
