/** What the product needs of the world. A port is a capability, never a vendor; a provider is one file in `activities/`. */
import type {
  CreateIndex,
  EndSessions,
  ReconnectPool,
  ResizeCompute,
  ResizePool,
  RollBack,
  Scale,
  SwitchOffFlag,
} from './action.ts';
import type {
  Backup,
  Candidate,
  Comparison,
  MigrationPlan,
  PipelineRun,
  Servable,
  SmokeReport,
  TrafficOrder,
  WindowState,
} from './deployment.ts';
import type { Approval } from './decision.ts';
import type { ChangeReport, ChangeRequest, Grant, Ledger, ReleaseOrder } from './change.ts';
import type { Scope, Window } from './names.ts';
import type * as readings from './readings.ts';
import type { Announcement, Page } from './escalation.ts';
import type { Policy } from './settings.ts';
import type { Status } from './status.ts';
import type { Alert } from './alert.ts';

/** Reads an error tracker. `release` is the running one, for "new in it". */
export interface ErrorTracker {
  errorPatterns(of: Window & { release?: string }): Promise<readings.ErrorPattern[]>;
  affectedUsers(of: Window): Promise<readings.AffectedUsers>;
  topStackTrace(of: Window): Promise<readings.StackTrace>;
  errorCorrelations(of: Window): Promise<readings.ErrorCorrelations>;
}

export interface Metrics {
  errorRatio(of: Window): Promise<readings.ErrorRatio>;
  responseTimes(of: Window): Promise<readings.ResponseTimes>;
  saturation(of: Window): Promise<readings.Saturation>;
}

export interface Health {
  httpHealth(of: Scope): Promise<readings.HttpHealth>;
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

/** The git repository of a service. */
export interface Repository {
  candidate(of: Scope & { ref: string; version?: string | undefined; since?: string | undefined }): Promise<Candidate>;
  /** Idempotent: the branch `release/<version>` at this commit. */
  createReleaseBranch(of: Scope & { version: string; commit: string }): Promise<readings.Effect>;
}

/** Builds and tests a commit. Idempotent on `key`. */
export interface Pipeline {
  runPipeline(of: Scope & { commit: string; key: string }): Promise<PipelineRun>;
}

/** When deployments may act. */
export interface DeploymentWindows {
  deploymentWindow(of: Scope & { at: string }): Promise<WindowState>;
}

/** Backups of the application's database. Idempotent on `key`. */
export interface Backups {
  backUp(of: Scope & { key: string }): Promise<Backup>;
  proveBackup(backup: Backup): Promise<readings.Effect>;
}

/** The schema of the application's database. */
export interface Migrations {
  migrationPlan(of: Scope & { commit: string }): Promise<MigrationPlan>;
  /** Without a stage all that is pending; `expand` what comes before the first that takes something away. */
  migrate(of: Scope & { commit: string; key: string; fence: number; stage?: 'expand' }): Promise<readings.Effect>;
  servable(of: Scope & { commits: string[] }): Promise<Servable[]>;
}

/** Whether a service does what it is for. */
export interface Verification {
  smokeTests(of: Scope): Promise<SmokeReport>;
  verifyFunctionality(of: Scope & { commit: string; key: string }): Promise<SmokeReport>;
}

/** A release beside the running one, with a share of the traffic. Idempotent on `key`; refuses a lower fence. */
export interface Canary {
  shiftTraffic(order: TrafficOrder): Promise<readings.Effect>;
}

/** Compares a canary with the running release. */
export interface CanaryMetrics {
  compareReleases(of: Window): Promise<Comparison>;
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
}

/** The safety authority (`serviceControl`), asked through the Temporal client. Idempotent on `key`. */
export interface ChangeControl {
  requestChange(request: ChangeRequest): Promise<Grant>;
  reportChange(report: ChangeReport): Promise<void>;
  ledger(of: Scope): Promise<Ledger>;
}

/** Writes the record; idempotent: an older `revision` never replaces a newer. */
export interface RecordKeeper {
  record(status: Status): Promise<void>;
}

/** Sends an alert to Holdfast's own gateway, signed, as any other source would. Idempotent on `alert.key`. */
export interface AlertSender {
  sendAlert(alert: Alert): Promise<void>;
}

export type Ports = ErrorTracker &
  Metrics &
  Health &
  DatabaseHealth &
  DatabaseCapacity &
  DatabaseSessions &
  DatabaseIndexes &
  HostedDatabase &
  Repository &
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
  RecordKeeper &
  AlertSender;
