import { z } from 'zod';
import { ActionKind, RemedyKind } from './action.ts';
import { DeploymentSettings } from './deployment.ts';
import { Level, Person } from './escalation.ts';
import { Escalation, Schedule, unknownNames } from './on-call.ts';
import { Limits } from './limits.ts';
import { MonitorSettings } from './monitoring.ts';
import { DrillSettings, Postmortems, ReviewSettings } from './review-settings.ts';
import { Duration, Identifier, ProjectRef, Severity, Slug } from './names.ts';
import { Runners } from './runners.ts';
import { PerformancePolicy, PerformanceSettings } from './performance.ts';

/** Who may approve alone, with a reason, what its rule asks more people for; a second person looks at it afterwards. */
export const BreakGlass = z.object({
  roles: z.array(Person.shape.roles.element).min(1),
  /** So long the second person has before the ladder is climbed. */
  secondPersonWithin: Duration.default('1 hour'),
});

/** Who may approve an action of one risk, how many of them, and how long each level of the ladder has to answer. */
export const ApprovalRule = z.object({
  roles: z.array(Person.shape.roles.element).min(1),
  quorum: z.number().int().min(1).default(1),
  /** Whoever asked for it does not count. */
  fourEyes: z.boolean().default(true),
  /** Approved without a person, where the configuration says so. */
  byPolicy: z.boolean().default(false),
  /** How long a question stays open; without it twice as long as the ladder waits. */
  expires: Duration.optional(),
  /** What it means that nobody has answered until then: a person must go on, which goes without saying, or the answer is no. */
  onExpiry: z.enum(['escalate', 'reject']).optional(),
  /** Nobody may, where this is left out. The safety authority holds all the same: kill switch, cool-down, freeze and fence. */
  breakGlass: BreakGlass.optional(),
});

/** What is of more than low risk is approved by people, whatever the configuration says. */
const AlwaysAPerson = ApprovalRule.extend({
  byPolicy: z
    .literal(false, 'what is of more than low risk is always approved by a person: leave byPolicy out')
    .default(false),
});

const Rules = z.object({ low: ApprovalRule, medium: ApprovalRule, high: ApprovalRule });
const Approval = Rules.extend({ medium: AlwaysAPerson, high: AlwaysAPerson });

export const Environment = z.object({
  /** `observe` diagnoses only, `propose` shows what it would do, `act` acts when approved. Only in `act` is anything deployed or rolled back. */
  mode: z.enum(['observe', 'propose', 'act']).default('propose'),
  /** What reaches into it (its metrics, releases, database) is done by workers of this task queue alone: its runner, in its network. */
  taskQueue: Slug.optional(),
  /** Rules of this environment, by risk, instead of the general ones. */
  approval: Approval.partial().optional(),
  /** Where its users reach it; probes read `<url><healthPath>`. */
  url: z.url(),
  healthPath: z.string().startsWith('/').default('/healthz'),
  objectives: z
    .object({
      errorRatio: z.number().positive().max(1).default(0.01),
      p95Ms: z.number().positive().default(500),
      /** Share of the probes that are answered. */
      uptime: z.number().positive().max(0.999999).default(0.999),
      /** Share of the time in which the web vitals of real users pass. */
      vitals: z.number().positive().max(0.999999).default(0.95),
    })
    .prefault({}),
  alertAt: z
    .object({ errorRatio: z.number().positive().max(1).default(0.05), p95Ms: z.number().positive().default(2000) })
    .prefault({}),
  /** From where on what is read for a diagnosis, or foretold, counts as bad. */
  limits: Limits.prefault({}),
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
  monitor: MonitorSettings.optional(),
  /**
   * Project of the error tracker. `openIssues`: its issues of high priority are alerts, by the webhook of the resource `issue`,
   * and Sentry is asked for those whose webhook was lost. `alertAt`: so many errors in one window of `measure` are an alert.
   */
  errors: z
    .object({ project: z.string(), openIssues: z.boolean().optional(), alertAt: z.number().int().min(1).optional() })
    .optional(),
  metrics: z
    .object({
      /** Prometheus text format that is read at `url`, or a Prometheus whose HTTP API is there. */
      source: z.enum(['scrape', 'prometheus']).default('scrape'),
      url: z.url(),
      /** A histogram of seconds with a status `code` label, without `_bucket` and `_count`. */
      requests: z.string(),
      match: z.record(z.string(), z.string()).default({}),
      codeLabel: z.string().default('code'),
      /** Labels of what a canary answers, where its requests are counted apart. */
      canaryMatch: z.record(z.string(), z.string()).optional(),
      /** Labels of the service's own instances in Prometheus, such as `job`. */
      instances: z.record(z.string(), z.string()).optional(),
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
  performance: PerformanceSettings.prefault({}),
  deployment: DeploymentSettings.prefault({}),
  releases: z
    .object({
      /** Path or URL of the git repository; a release is a tag or commit of it. */
      repository: z.string(),
      /** The same repository on GitHub, read and written through its API with `GITHUB_TOKEN`; deployments are shown there. */
      github: z
        .string()
        .regex(/^[\w-][\w.-]{0,38}\/[\w.-]{1,100}$/, 'use owner/name')
        .optional(),
      install: z.array(z.string()).min(1).default(['npm', 'ci', '--omit=dev']),
      /** Run in the installed files of a release, where it must be built. */
      build: z.array(z.string()).min(1).optional(),
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

/** A sign of life that is expected; its silence for `every` and `grace` is an alert. `watchdog` is Prometheus's. */
export const Heartbeat = z.object({
  name: Slug,
  every: Duration,
  grace: Duration.default('1 minute'),
  service: Slug.optional(),
  environment: Slug.optional(),
  severity: Severity.default('critical'),
});
export type Heartbeat = z.output<typeof Heartbeat>;

/** Break-glass of rules that leave nobody to be the second person, by where the rule stands. */
function withoutSecond(of: {
  people: Person[];
  approval: z.output<typeof Approval>;
  services: z.output<typeof Service>[];
}): { path: string[]; message: string }[] {
  const { people, approval, services } = of;
  const own = services.flatMap(({ name, environments }) =>
    Object.entries(environments).map(
      ([environment, rules]) =>
        [['services', name, 'environments', environment, 'approval'], rules.approval ?? {}] as const,
    ),
  );
  return [[['approval'], approval] as const, ...own].flatMap(([path, rules]) =>
    Object.entries(rules).flatMap(([risk, rule]) => {
      if (rule?.breakGlass === undefined) return [];
      const having = (roles: Person['roles']) => people.filter((one) => one.roles.some((role) => roles.includes(role)));
      const [seconds, firsts] = [having(rule.roles), having(rule.breakGlass.roles)];
      const left = firsts.every((first) => seconds.some((second) => second !== first));
      const message = `nobody is left to be the second person: give another one a role of ${rule.roles.join(', ')}`;
      return left ? [] : [{ path: [...path, risk, 'breakGlass'], message }];
    }),
  );
}

export const Settings = z
  .object({
    people: z.array(Person).min(1),
    ladder: z.array(Level).min(1),
    schedules: z.array(Schedule).default([]),
    escalation: Escalation.prefault({}),
    /** Channels on which everybody follows incidents and deployments. */
    announce: z.array(Slug).default([]),
    approval: Approval,
    services: z.array(Service).min(1),
    /** By runbook, the kinds of proposals in their order (`roll-back`, `scale`); those that are not named come after these. */
    proposals: z.record(Slug, z.array(RemedyKind).min(1)).default({}),
    routes: z.array(Route).default([]),
    heartbeats: z.array(Heartbeat).default([]),
    reviews: ReviewSettings.extend(Postmortems.shape).prefault({}),
    drills: DrillSettings.prefault({}),
  })
  .superRefine((settings, ctx) => {
    for (const issue of unknownNames(settings)) ctx.addIssue({ ...issue });
    for (const issue of withoutSecond(settings)) ctx.addIssue({ code: 'custom', ...issue });
    const schedules = settings.schedules.map(({ name }) => name);
    if (new Set(schedules).size !== schedules.length)
      ctx.addIssue({ code: 'custom', path: ['schedules'], message: 'two schedules have one name' });
    const emails = settings.people.flatMap(({ email }) => email ?? []);
    if (new Set(emails).size !== emails.length)
      ctx.addIssue({ code: 'custom', path: ['people'], message: 'two people have one e-mail address' });
    const beats = settings.heartbeats.map(({ name }) => name);
    if (new Set(beats).size !== beats.length)
      ctx.addIssue({ code: 'custom', path: ['heartbeats'], message: 'two heartbeats have one name' });
    const services = settings.services.map((service) => service.name);
    if (new Set(services).size !== services.length)
      ctx.addIssue({ code: 'custom', path: ['services'], message: 'two services have one name' });
  });
export type Settings = z.output<typeof Settings>;

/** What one run needs of the configuration: read by an activity at its start, and before each proposal. */
export const Policy = z.object({
  mode: Environment.shape.mode,
  /** How each is reached; where to is known to whoever delivers. */
  people: z.array(
    Person.pick({ name: true, roles: true, delegates: true }).extend({ channels: z.array(Slug).default([]) }),
  ),
  ladder: z.array(Level),
  /** How the ladder is climbed; `businessHours` are the severities that wait for them. */
  escalation: Escalation.pick({ entry: true, staleAfter: true, repeats: true })
    .extend({ businessHours: z.array(Severity) })
    .optional(),
  /** Channels on which everybody follows what happens. */
  announce: z.array(Slug).default([]),
  approval: Rules,
  objectives: z.object({
    errorRatio: z.number(),
    p95Ms: z.number(),
    uptime: z.number().optional(),
    vitals: z.number().optional(),
  }),
  /** `errors` where the error tracker is to count them. */
  alertAt: z.object({ errorRatio: z.number(), p95Ms: z.number(), errors: z.number().optional() }),
  limits: Limits.partial().optional(),
  measure: z.object({ windowSeconds: z.number(), lasting: Duration, every: Duration, minimumRequests: z.number() }),
  coolDown: Duration,
  /** Kinds of proposals in their order, by runbook. */
  proposals: z.record(Slug, z.array(ActionKind)).optional(),
  performance: PerformancePolicy.prefault({}),
  /** Where it is watched; `metrics` says whether its requests can be. */
  monitor: MonitorSettings.extend({ metrics: z.boolean() }).optional(),
  database: z.object({
    longSeconds: z.number(),
    maxEnded: z.number().int(),
    restartBy: z.enum(['reconnect', 'pause']),
    hosted: z.boolean(),
  }),
  deployment: DeploymentSettings.pick({ procedure: true, after: true, canary: true }).extend({
    backup: z.boolean(),
    migrations: z.boolean(),
    /** A code-hosting service shows them. */
    shown: z.boolean().optional(),
  }),
  runners: Runners.optional(),
  /** Game days and tests may give a release its traffic without an approval. */
  unapprovedReleases: z.boolean().optional(),
  /** Incidents are reviewed where this is set. */
  review: ReviewSettings.optional(),
  drills: DrillSettings.optional(),
  /** Ed25519 public keys by key id, hex of 32 bytes. */
  decisionKeys: z.record(z.string(), z.string()),
});
export type Policy = z.output<typeof Policy>;
