import { z } from 'zod';
import { Outcome } from './incident.ts';
import { Duration, Instant, Scope, Slug } from './names.ts';

/** A branch, tag or commit as git takes it, without options or ranges in it. */
export const GitRef = z
  .string()
  .regex(/^[A-Za-z0-9][\w./-]{0,99}$/, 'use a branch, tag or commit')
  .refine((ref) => !ref.includes('..'), 'a range is no ref');
/** `1.4.0`. Source: semver.org, version 2.0.0. */
export const Version = z
  .string()
  .regex(/^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9A-Za-z.-]{1,40})?$/, 'use a version such as 1.4.0');

/** What starts a deployment. The same order again joins the one that runs. */
export const DeploymentOrder = Scope.extend({
  /** Without it what was verified last in the environment before this one; in the first one the branch `main`. */
  ref: GitRef.optional(),
  /** Given, or what follows from the commits since the last version. */
  version: Version.optional(),
  /** Who wants it: `cli:<person>`, `console:<person>`, `api:<person>`, `token:<name>`, `incident:<id>`. The person who orders does not count among those who approve. */
  orderedBy: z.string().max(100),
  /** Who made the token that orders it; this person does not count either. */
  onBehalfOf: Slug.optional(),
  /** Why a rule may be broken: outside a window, without evidence from staging, a release that is held. A second person must agree. */
  override: z.string().min(1).max(500).optional(),
  /** Only windows and freezes may be broken; every rule, where it is not said. */
  overrides: z.literal('window').optional(),
});
export type DeploymentOrder = z.output<typeof DeploymentOrder>;

/** What is to be released, and what it changes since the release that runs. */
export const Candidate = z.object({
  version: Version,
  commit: z.string(),
  /** Names the content: equal content has an equal digest, whatever its commit is. `tree:<git tree id>`. */
  digest: z.string(),
  commits: z
    .array(z.object({ id: z.string(), author: z.string().max(100), subject: z.string().max(200), at: Instant }))
    .max(50),
  /** Of all, where more than fifty came. */
  commitCount: z.number().int(),
  /** The files that changed since, those with the most changed lines first; not where nothing was released before. */
  files: z
    .array(z.object({ path: z.string().max(200), added: z.number().int(), removed: z.number().int() }))
    .max(30)
    .optional(),
  /** Of all, where more than thirty changed; at most 300 are counted on GitHub. */
  fileCount: z.number().int().optional(),
});
export type Candidate = z.output<typeof Candidate>;

/** How a pipeline ended, or that it runs elsewhere; its log is a file or a link. */
export const PipelineRun = z.object({
  passed: z.boolean(),
  running: z.boolean().optional(),
  summary: z.string().max(500),
  log: z.string(),
});
export type PipelineRun = z.output<typeof PipelineRun>;

/** Whether a change may be made at a moment; `until` is when that changes next, where it is known. */
export const WindowState = z.object({ open: z.boolean(), reason: z.string().max(500), until: Instant.optional() });
export type WindowState = z.output<typeof WindowState>;

/** A dump of the application's database, with what it must hold, taken in the same snapshot. */
export const Backup = Scope.extend({
  file: z.string(),
  sha256: z.string().length(64),
  sizeBytes: z.number().int(),
  takenAt: Instant,
  /** Where the rows and checksum of each table are noted. */
  manifest: z.string(),
  tables: z.number().int(),
  rows: z.number().int(),
});
export type Backup = z.output<typeof Backup>;

/** Migrations that a commit brings and the database does not have, in order; `destroys` says what of the schema they take away. */
export const MigrationPlan = z.object({
  pending: z
    .array(z.object({ name: z.string(), destroys: z.array(z.string().max(200)), marked: z.boolean() }))
    .max(100),
  /** Name of the last one that the database has. */
  schema: z.string().optional(),
});
export type MigrationPlan = z.output<typeof MigrationPlan>;

/** Whether a release can be served by the schema as it is now, or why not. */
export const Servable = z.object({ commit: z.string(), servable: z.boolean(), reason: z.string().max(300) });
export type Servable = z.output<typeof Servable>;

export const SmokeReport = z.object({
  passed: z.boolean(),
  tests: z.array(z.object({ name: z.string(), passed: z.boolean(), detail: z.string().max(300) })).max(50),
});
export type SmokeReport = z.output<typeof SmokeReport>;

/** The share of the traffic, in percent, that goes to a release beside the running one; 0 takes it away again. */
export const TrafficOrder = Scope.extend({
  ref: GitRef,
  /** The commit that the ref named when it was approved. */
  commit: z.string().optional(),
  weight: z.number().min(0).max(50),
  key: z.string(),
  fence: z.number().int(),
});
export type TrafficOrder = z.output<typeof TrafficOrder>;

/** How a deployment stands; without an outcome it runs, or does not say how it ended. */
export const DeploymentRun = z.object({
  runId: z.string(),
  startedAt: Instant,
  endedAt: Instant.optional(),
  outcome: Outcome.optional(),
  note: z.string().max(500),
});
export type DeploymentRun = z.output<typeof DeploymentRun>;

const Measured = z.object({ requests: z.number(), errorRatio: z.number(), p95Ms: z.number() });
/** The release beside the running one, and the running one, over the same window. */
export const Comparison = z.object({
  canary: Measured,
  running: Measured,
  windowSeconds: z.number(),
  /** The checks that are configured for canaries; `why` says why one has no value. */
  checks: z
    .array(
      z.object({
        name: z.string(),
        atMost: z.number(),
        value: z.number().optional(),
        why: z.string().max(300).optional(),
      }),
    )
    .optional(),
});
export type Comparison = z.output<typeof Comparison>;

const Command = z.array(z.string()).min(1);

/** What a service answers when it is well. `json` is a JSON Schema (draft 2020-12). */
export const SmokeTest = z.object({
  name: z.string().max(80),
  path: z.string().startsWith('/'),
  status: z.number().int().default(200),
  contains: z.string().optional(),
  json: z.record(z.string(), z.unknown()).optional(),
  headers: z.record(z.string(), z.string()).default({}),
  maxMs: z.number().positive().default(2000),
});
export type SmokeTest = z.output<typeof SmokeTest>;

/** One step of a procedure. `undo` says beforehand what taking it back means. */
export const Step = z.object({
  name: z.string().max(80),
  undo: z.string().max(300).optional(),
  state: z.enum(['planned', 'running', 'done', 'failed', 'skipped', 'undone', 'not-undone']),
  at: Instant.optional(),
  endedAt: Instant.optional(),
  detail: z.string().max(500).optional(),
});
export type Step = z.output<typeof Step>;

/** When: from `from` to `until`, or again and again by a rule of RFC 5545 from each occurrence on for `lasting`. */
const Span = z.union([
  z.object({ from: Instant, until: Instant }),
  /** `DTSTART` is local to the time zone of the windows, such as `20260105T090000`. */
  z.object({ start: z.string().regex(/^\d{8}T\d{6}$/), rule: z.string().startsWith('FREQ='), lasting: Duration }),
]);

export const Windows = z.object({
  timeZone: z.string().default('UTC'),
  /** When deployments may act; always, where none is given. */
  allow: z.array(Span).default([]),
  freezes: z.array(z.object({ reason: z.string().max(200), when: Span })).default([]),
});
export type Windows = z.output<typeof Windows>;

/** How a commit is built and tested: by commands, one after another in a clean checkout, or by a workflow of GitHub Actions. */
const Pipeline = z
  .object({
    commands: z.array(Command).min(1).optional(),
    /** Name of its file in `.github/workflows`, such as `ci.yml`. */
    workflow: z
      .string()
      .regex(/^[\w.-]{1,80}\.ya?ml$/, 'use the name of the file, such as ci.yml')
      .optional(),
    timeout: Duration.default('30 minutes'),
  })
  .refine(({ commands, workflow }) => (commands === undefined) !== (workflow === undefined), {
    error: 'a pipeline has either commands or a workflow',
  });

/** How releases come into an environment. */
export const DeploymentSettings = z.object({
  /** `staging`: branch, pipeline, deploy, tests. `production`: approval, window, backup, canary, and all of it watched. */
  procedure: z.enum(['staging', 'production']).default('production'),
  /** Environment in which the same content must have been verified before. */
  after: Slug.optional(),
  pipeline: Pipeline.optional(),
  windows: Windows.prefault({}),
  backup: z.object({ schemas: z.array(z.string()).min(1).default(['public']) }).optional(),
  /** Folder of the repository with SQL files that sort by name. */
  migrations: z.string().optional(),
  canary: z
    .object({
      /** Percent of the traffic, step by step, before all of it. */
      weights: z.array(z.number().min(1).max(50)).default([5, 25]),
      /** How long each step is watched. */
      bake: Duration.default('10 minutes'),
      /** The canary may fail this much more often than the running release, as a share of its requests. */
      moreErrors: z.number().min(0).max(1).default(0.01),
      /** And be this many times slower at p95. */
      slower: z.number().min(1).default(1.5),
      /** What else of it is looked at, in Prometheus: the largest value of the query's vector may be so much at most. */
      checks: z
        .array(z.object({ name: z.string().max(80), query: z.string().min(1).max(1000), atMost: z.number() }))
        .max(10)
        .default([]),
    })
    .prefault({}),
  smoke: z.array(SmokeTest).max(50).default([]),
  /**
   * A program of the service that uses it as its users do, after the smoke tests or instead of them, in staging and in production
   * alike; it finds its address in `BASE_URL` and ends with 0 when all is well.
   */
  verify: z.object({ command: Command, timeout: Duration.default('10 minutes') }).optional(),
});
export type DeploymentSettings = z.output<typeof DeploymentSettings>;
