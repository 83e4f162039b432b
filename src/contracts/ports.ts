/** What the product needs of the world. A port is a capability, never a vendor; a provider is one file in `activities/`. */
import type {
  CreateIndex,
  EndSessions,
  ReconnectPool,
  ResizeCompute,
  ResizePool,
  RestartInstances,
  RollBack,
  Scale,
  SwitchOffFlag,
  TurnOnCaching,
} from './action.ts';
import type { WindowState } from './deployment.ts';
import type { Approval } from './decision.ts';
import type { ChangeReport, ChangeRequest, Grant, Ledger, ReleaseOrder } from './change.ts';
import type { Scope, Window } from './names.ts';
import type * as readings from './readings.ts';
import type * as speed from './performance.ts';
import type { Announcement, Page } from './escalation.ts';
import type { OnCall } from './on-call.ts';
import type { Policy } from './settings.ts';
import type { DrillReport } from './drill.ts';
import type { ActionItem, Learned, Publication, Resemblance, Review } from './review.ts';
import type { ObjectiveDay } from './monitoring.ts';
import type { LastRun, Status } from './status.ts';
import type { Alert, OpenAtSources } from './alert.ts';
import type {
  Repository,
  CodeHost,
  Pipeline,
  DeploymentWindows,
  Backups,
  Migrations,
  Verification,
  Canary,
  CanaryMetrics,
  DeploymentRuns,
} from './deployment-ports.ts';

export type * from './deployment-ports.ts';

/** Reads an error tracker. `release` is the running one, for "new in it". */
export interface ErrorTracker {
  errorPatterns(of: Window & { release?: string }): Promise<readings.ErrorPattern[]>;
  affectedUsers(of: Window): Promise<readings.AffectedUsers>;
  topStackTrace(of: Window): Promise<readings.StackTrace>;
  errorCorrelations(of: Window): Promise<readings.ErrorCorrelations>;
}

/** An error tracker that counts. */
export interface ErrorCounts {
  errorCount(of: Window): Promise<readings.ErrorCount>;
}

export interface Metrics {
  errorRatio(of: Window): Promise<readings.ErrorRatio>;
  responseTimes(of: Window): Promise<readings.ResponseTimes>;
  saturation(of: Window): Promise<readings.Saturation>;
}

export interface Health {
  /** Ten probes, where nothing else is said. */
  httpHealth(of: Scope & { probes?: number }): Promise<readings.HttpHealth>;
}

export interface DatabaseHealth {
  supabaseHealth(of: Scope): Promise<readings.SupabaseHealth>;
}

/** Releases and their traffic. What changes is idempotent on its key and refuses a fence lower than one it has seen. */
export interface Deployments {
  recentReleases(of: Scope): Promise<readings.Releases>;
  release(order: ReleaseOrder): Promise<readings.Effect>;
  rollBack(approval: Approval<RollBack>): Promise<readings.Effect>;
  undoRollBack(approval: Approval<RollBack>): Promise<readings.Effect>;
  scale(approval: Approval<Scale>): Promise<readings.Effect>;
  undoScale(approval: Approval<Scale>): Promise<readings.Effect>;
}

export interface Flags {
  flagStates(of: Scope): Promise<readings.FlagState[]>;
  switchOff(approval: Approval<SwitchOffFlag>): Promise<readings.Effect>;
  undoSwitchOff(approval: Approval<SwitchOffFlag>): Promise<readings.Effect>;
}

/** Head-room of one database server. */
export interface DatabaseCapacity {
  connectionUse(of: Scope): Promise<readings.ConnectionUse>;
  diskUse(of: Scope): Promise<readings.DiskUse>;
}

/** Sessions of one database server. What changes is idempotent on its key. */
export interface DatabaseSessions {
  sessionsInTheWay(of: Scope): Promise<readings.SessionInTheWay[]>;
  endSessions(approval: Approval<EndSessions>): Promise<readings.Effect>;
}

/** Slow statements of one database server and the indexes they lack. What changes is idempotent on its key. */
export interface DatabaseIndexes {
  slowStatements(of: Scope): Promise<readings.SlowStatement[]>;
  createIndex(approval: Approval<CreateIndex>): Promise<readings.Effect>;
  undoCreateIndex(approval: Approval<CreateIndex>): Promise<readings.Effect>;
}

/** The pool of connections between an application and its database. */
export interface ConnectionPool {
  poolUse(of: Scope): Promise<readings.PoolUse>;
  reconnectPool(approval: Approval<ReconnectPool>): Promise<readings.Effect>;
  resizePool(approval: Approval<ResizePool>): Promise<readings.Effect>;
  undoResizePool(approval: Approval<ResizePool>): Promise<readings.Effect>;
}

/** A database that another operates: what its operator says of it, and the compute it runs on. Idempotent on its key. */
export interface HostedDatabase {
  hostedServices(of: Scope): Promise<readings.HostedService[]>;
  hostedAdvice(of: Scope): Promise<readings.Advice[]>;
  hostedCapacity(of: Scope): Promise<readings.HostedCapacity>;
  resizeCompute(approval: Approval<ResizeCompute>): Promise<readings.Effect>;
  undoResizeCompute(approval: Approval<ResizeCompute>): Promise<readings.Effect>;
}

/** What each instance of a service says of itself. */
export interface InstanceMetrics {
  /** The slowest first; `since` is when the running release took the traffic. */
  routeTimes(of: Window & { since?: string | undefined }): Promise<speed.RouteTimes[]>;
  /** Takes samples until there are enough for a trend, for a minute at most; just one where it is not to `gather`. */
  memoryTrends(of: Window & { gather?: boolean }): Promise<speed.MemoryTrend[]>;
}

/** Web vitals of real users: of one release, and since a moment within the window, where they are given. */
export interface WebVitals {
  webVitals(of: Window & { release?: string | undefined; since?: string | undefined }): Promise<speed.WebVital[]>;
}

/** Web vitals in the laboratory: takes minutes. */
export interface Laboratory {
  labVitals(of: Scope): Promise<speed.LabVitals[]>;
}

/** What releases, by their commits, send to browsers. */
export interface Bundles {
  bundleChange(of: Scope & { running: string; previous?: string | undefined }): Promise<speed.BundleChange>;
}

/** The commits that `to` has and `from` does not; those that have to do with these routes, or with files that fail, first. */
export interface CodeHistory {
  codeChanges(
    of: Scope & { from: string; to: string; routes: string[]; files?: string[] },
  ): Promise<speed.CodeChange[]>;
}

/** Whether caches may keep the answers of a service. What changes is idempotent on its key. */
export interface Caching {
  cachingStates(of: Scope): Promise<speed.CachingState[]>;
  turnOnCaching(approval: Approval<TurnOnCaching>): Promise<readings.Effect>;
  undoTurnOnCaching(approval: Approval<TurnOnCaching>): Promise<readings.Effect>;
}

/** Instances of the running release. Never fewer serve than before. Idempotent on its key. */
export interface Instances {
  restartInstances(approval: Approval<RestartInstances>): Promise<readings.Effect>;
}

/**
 * Reaches people over a channel. A page is idempotent on its key and channel; an announcement shows the newest state once.
 * A channel that is not set up is `NotConfigured`.
 */
export interface Notifier {
  page(of: { channel: string; page: Page }): Promise<void>;
  announce(of: { channel: string; announcement: Announcement }): Promise<void>;
}

/** Says whether a one-time code is this person's for this proposal. */
export interface Codes {
  checkCode(of: { workflowId: string; runId: string; digest: string; person: string; code: string }): Promise<boolean>;
}

export interface Configuration {
  policy(of: Scope): Promise<Policy>;
  /** By the schedule of this name. */
  onCall(of: { schedule: string; at: string }): Promise<OnCall>;
  businessHours(of: { at: string }): Promise<WindowState>;
}

/** The safety authority (`serviceControl`), asked through the Temporal client. Idempotent on `key`. */
export interface ChangeControl {
  requestChange(request: ChangeRequest): Promise<Grant>;
  reportChange(report: ChangeReport): Promise<void>;
  ledger(of: Scope): Promise<Ledger>;
}

/** Runs that are over, as Temporal lists them. */
export interface PastRuns {
  /** The newest run of this workflow id that has closed; nothing where this is the first. */
  lastRun(of: { workflowId: string }): Promise<LastRun | null>;
  /** When the newest run of each of these workflow ids began, open or closed; those without one are left out. */
  newestRuns(of: { workflowIds: string[] }): Promise<Record<string, string>>;
}

/** Runbooks in skipped time, over simulated systems. */
export interface Drills {
  /** Answered by the first person who may; nothing real is touched. */
  drillRunbook(of: Scope & { type: string; runbook: string }): Promise<DrillReport>;
}

/** Writes the record; idempotent: an older `revision` never replaces a newer. */
export interface RecordKeeper {
  record(status: Status): Promise<void>;
}

/** What is open at the sources of alerts. */
export interface OpenAlerts {
  /**
   * Tell the gateway, as the source itself would, of what was open before (`open`), still is, and was not told (`told`), and
   * that what is missing for the second time (`gone`) has resolved: its webhook may be lost. What the gateway knows already
   * opens nothing.
   */
  tellOpenAlerts(before: OpenAtSources): Promise<OpenAtSources>;
}

/** Keeps the documents of reviews. Idempotent: what is there as it is stays as it is. */
export interface ReviewDocuments {
  publishReview(of: Publication): Promise<{ path: string; commit: string }>;
}

/** Writes reviews into the record; an older `revision` never replaces a newer. */
export interface ReviewKeeper {
  recordReview(review: Review): Promise<void>;
}

export interface ObjectiveKeeper {
  /** Idempotent: of a day, what was measured for longest is kept. */
  recordObjectives(days: ObjectiveDay[]): Promise<void>;
}

/** What past reviews say. */
export interface Learnings {
  /** The newest of a service and runbook that look like this, at most five. */
  resembling(of: Scope & { runbook: string; fingerprint: string[] }): Promise<Resemblance[]>;
  /** Of one service, those that have ended since. */
  learnedSince(of: { service: string; since: string }): Promise<Learned[]>;
}

/** A tracker of issues. Idempotent on `key`. */
export interface IssueTracker {
  fileIssue(of: Scope & { key: string; item: ActionItem }): Promise<{ url: string }>;
  issueClosed(of: Scope & { url: string }): Promise<boolean>;
}

/** Sends an alert to Holdfast's own gateway, signed, as any other source would. Idempotent on `alert.key`. */
export interface AlertSender {
  sendAlert(alert: Alert): Promise<void>;
}

export type Ports = ErrorTracker &
  ErrorCounts &
  Metrics &
  Health &
  DatabaseHealth &
  DatabaseCapacity &
  DatabaseSessions &
  DatabaseIndexes &
  HostedDatabase &
  Repository &
  CodeHost &
  Pipeline &
  DeploymentWindows &
  Backups &
  Migrations &
  Verification &
  Canary &
  CanaryMetrics &
  ConnectionPool &
  Deployments &
  Flags &
  Notifier &
  Codes &
  Configuration &
  ChangeControl &
  PastRuns &
  Drills &
  DeploymentRuns &
  RecordKeeper &
  InstanceMetrics &
  WebVitals &
  Laboratory &
  Bundles &
  CodeHistory &
  Caching &
  Instances &
  OpenAlerts &
  ReviewDocuments &
  ReviewKeeper &
  ObjectiveKeeper &
  IssueTracker &
  Learnings &
  AlertSender;
