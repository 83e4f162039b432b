/** What deployments need of the world. */
import type { PullRequest, PullRequestDraft, ShownDeployment, ShownRelease } from './code-host.ts';
import type {
  Backup,
  Candidate,
  Comparison,
  DeploymentRun,
  MigrationPlan,
  PipelineRun,
  Servable,
  SmokeReport,
  TrafficOrder,
  WindowState,
} from './deployment.ts';
import type { Scope, Window } from './names.ts';
import type * as readings from './readings.ts';

/** The git repository of a service. */
export interface Repository {
  candidate(of: Scope & { ref: string; version?: string | undefined; since?: string | undefined }): Promise<Candidate>;
  /** Idempotent: the branch `release/<version>` at this commit. */
  createReleaseBranch(of: Scope & { version: string; commit: string }): Promise<readings.Effect>;
}

/** What is shown beside the commits of a repository. Idempotent: what is there already is not made again. */
export interface CodeHost {
  showDeployment(of: ShownDeployment): Promise<readings.Effect>;
  publishRelease(of: Scope & ShownRelease): Promise<readings.Effect>;
  openPullRequest(of: PullRequestDraft): Promise<PullRequest>;
}

/** Builds and tests a commit. Idempotent on `key`. */
export interface Pipeline {
  /** One that is `running` goes on elsewhere: the same call says later how it stands. */
  runPipeline(of: Scope & { commit: string; key: string }): Promise<PipelineRun>;
  cancelPipeline(of: Scope & { commit: string; key: string }): Promise<readings.Effect>;
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
  /** `under` a grant it stays so: no migration of an earlier one begins after it, and one that is under way is waited for. */
  servable(of: Scope & { commits: string[]; under?: { key: string; fence: number } }): Promise<Servable[]>;
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

/** Deployments as they end. */
export interface DeploymentRuns {
  /** The newest of an environment; undefined where there was none. */
  lastDeployment(of: Scope): Promise<DeploymentRun | undefined>;
}
