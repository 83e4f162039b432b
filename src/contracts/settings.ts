import { z } from 'zod';
import { DeploymentSettings } from './deployment.ts';
import { Level, Person } from './escalation.ts';
import { Duration, Identifier, ProjectRef, Slug } from './names.ts';

/** Who may approve an action of one risk, how many of them, and how long each level of the ladder has to answer. */
export const ApprovalRule = z.object({
  roles: z.array(Person.shape.roles.element).min(1),
  quorum: z.number().int().min(1).default(1),
  /** Whoever asked for it does not count. */
  fourEyes: z.boolean().default(true),
  /** Approved without a person, where the configuration says so. */
  byPolicy: z.boolean().default(false),
});

/** What is of high risk is approved by people, whatever the configuration says. */
const AlwaysAPerson = ApprovalRule.extend({
  byPolicy: z.literal(false, 'what is of high risk is always approved by a person: leave byPolicy out').default(false),
});

export const Environment = z.object({
  /** `observe` diagnoses only, `propose` shows what it would do, `act` acts when approved. */
  mode: z.enum(['observe', 'propose', 'act']).default('propose'),
  /** Where its users reach it; probes read `<url><healthPath>`. */
  url: z.url(),
  healthPath: z.string().startsWith('/').default('/healthz'),
  objectives: z
    .object({ errorRatio: z.number().positive().max(1).default(0.01), p95Ms: z.number().positive().default(500) })
    .prefault({}),
  alertAt: z
    .object({ errorRatio: z.number().positive().max(1).default(0.05), p95Ms: z.number().positive().default(2000) })
    .prefault({}),
  /** The window of a measurement, how long a good one must last, and how often it is read. */
  measure: z
    .object({
      windowSeconds: z.number().positive().default(300),
      lasting: Duration.default('10 minutes'),
      every: Duration.default('15 seconds'),
      minimumRequests: z.number().int().nonnegative().default(20),
    })
    .prefault({}),
  /** No further change by another incident for this long after one. */
  coolDown: Duration.default('10 minutes'),
  monitor: z.object({ every: Duration.default('15 seconds') }).optional(),
  /** Project of the error tracker. */
  errors: z.object({ project: z.string() }).optional(),
  metrics: z
    .object({
      /** Prometheus text format; `requests` is a histogram of seconds with a status `code` label. */
      url: z.url(),
      requests: z.string(),
      match: z.record(z.string(), z.string()).default({}),
      codeLabel: z.string().default('code'),
      /** Labels of what a canary answers, where its requests are counted apart. */
      canaryMatch: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  flags: z.object({ file: z.string() }).optional(),
  /** The application's database, where Holdfast may mend it. */
  database: z
    .object({
      /** A transaction without a statement, or one statement, is in the way after this long. */
      longSeconds: z.number().positive().default(30),
      /** Sessions ended under one approval. */
      maxEnded: z.number().int().min(1).max(10).default(5),
      /** Role that owns the tables, which Holdfast's own may become; without it no statement is explained and no index made. */
      ownerRole: Identifier.optional(),
      /** Statements slower than this on average are looked at. */
      slowMs: z.number().positive().default(100),
      /** Name of the database in PgBouncer. */
      pool: Identifier.optional(),
      /** How the pool is restarted: `RECONNECT` keeps the clients going, `PAUSE` and `RESUME` has all of them wait for it. */
      restartBy: z.enum(['reconnect', 'pause']).default('reconnect'),
      /** PgBouncer's configuration file, where a new size of the pool is to outlive PgBouncer and the worker may write it. */
      poolFile: z.string().optional(),
      /** Size of its disk in GiB, which SQL cannot tell. */
      diskGiB: z.number().positive().optional(),
      /** The project, where Supabase hosts it. */
      project: ProjectRef.optional(),
    })
    .prefault({}),
  deployment: DeploymentSettings.prefault({}),
  releases: z
    .object({
      /** Path or URL of the git repository; a release is a tag or commit of it. */
      repository: z.string(),
      install: z.array(z.string()).min(1).default(['npm', 'ci', '--omit=dev']),
      start: z.array(z.string()).min(1).default(['npm', 'start']),
      instances: z.number().int().min(1).default(1),
      maxInstances: z.number().int().min(1).default(4),
      /** Name of the Caddy server block (`apps.http.servers.<name>`) and the address it listens on. */
      server: Slug,
      listen: z.string(),
      env: z.record(z.string(), z.string()).default({}),
    })
    .optional(),
});
export type Environment = z.output<typeof Environment>;

export const Service = z.object({ name: Slug, environments: z.record(Slug, Environment) });

/** From labels to service, environment and runbook; the first whose every label matches wins. */
export const Route = z.object({
  match: z.record(z.string(), z.string()),
  service: Slug.optional(),
  environment: Slug.optional(),
  runbook: Slug.optional(),
});

export const Settings = z
  .object({
    people: z.array(Person).min(1),
    ladder: z.array(Level).min(1),
    /** Channels on which everybody follows incidents and deployments. */
    announce: z.array(Slug).default([]),
    approval: z.object({ low: ApprovalRule, medium: ApprovalRule, high: AlwaysAPerson }),
    services: z.array(Service).min(1),
    routes: z.array(Route).default([]),
  })
  .superRefine((settings, ctx) => {
    const known = new Set(settings.people.map((person) => person.name));
    settings.ladder.forEach((level, i) =>
      level.people.forEach((name, j) => {
        if (!known.has(name))
          ctx.addIssue({
            code: 'custom',
            path: ['ladder', i, 'people', j],
            message: `"${name}" is not in people: add the person or correct the name`,
          });
      }),
    );
    const services = settings.services.map((service) => service.name);
    if (new Set(services).size !== services.length)
      ctx.addIssue({ code: 'custom', path: ['services'], message: 'two services have one name' });
  });
export type Settings = z.output<typeof Settings>;

/** What one run needs of the configuration: read by an activity at its start, and before each proposal. */
export const Policy = z.object({
  mode: Environment.shape.mode,
  /** How each is reached; where to is known to whoever delivers. */
  people: z.array(Person.pick({ name: true, roles: true }).extend({ channels: z.array(Slug).default([]) })),
  ladder: z.array(Level),
  /** Channels on which everybody follows what happens. */
  announce: z.array(Slug).default([]),
  approval: Settings.shape.approval,
  objectives: z.object({ errorRatio: z.number(), p95Ms: z.number() }),
  alertAt: z.object({ errorRatio: z.number(), p95Ms: z.number() }),
  measure: z.object({ windowSeconds: z.number(), lasting: Duration, every: Duration, minimumRequests: z.number() }),
  coolDown: Duration,
  database: z.object({
    longSeconds: z.number(),
    maxEnded: z.number().int(),
    restartBy: z.enum(['reconnect', 'pause']),
    hosted: z.boolean(),
  }),
  deployment: DeploymentSettings.pick({ procedure: true, after: true, canary: true }).extend({
    backup: z.boolean(),
    migrations: z.boolean(),
  }),
  /** Ed25519 public keys by key id, hex of 32 bytes. */
  decisionKeys: z.record(z.string(), z.string()),
});
export type Policy = z.output<typeof Policy>;
