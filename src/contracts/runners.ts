import { z } from 'zod';
import { Scope, Slug } from './names.ts';
import type * as ports from './ports.ts';

/** What reaches into an environment: its network, its database, its credentials. The rest is the control plane's. */
type Reaching = ports.Metrics &
  ports.Health &
  ports.InstanceMetrics &
  ports.DatabaseHealth &
  ports.DatabaseCapacity &
  ports.DatabaseSessions &
  ports.DatabaseIndexes &
  ports.ConnectionPool &
  ports.HostedDatabase &
  ports.Deployments &
  ports.Instances &
  ports.Canary &
  ports.CanaryMetrics &
  ports.Flags &
  ports.Caching &
  ports.Bundles &
  ports.Migrations &
  ports.Backups &
  ports.Verification;

/** Their names; one that is missing here does not compile. */
const NAMES: Record<keyof Reaching, true> = {
  errorRatio: true,
  responseTimes: true,
  saturation: true,
  httpHealth: true,
  routeTimes: true,
  memoryTrends: true,
  supabaseHealth: true,
  connectionUse: true,
  diskUse: true,
  sessionsInTheWay: true,
  endSessions: true,
  slowStatements: true,
  createIndex: true,
  undoCreateIndex: true,
  poolUse: true,
  reconnectPool: true,
  resizePool: true,
  undoResizePool: true,
  hostedServices: true,
  hostedAdvice: true,
  hostedCapacity: true,
  resizeCompute: true,
  undoResizeCompute: true,
  recentReleases: true,
  release: true,
  rollBack: true,
  undoRollBack: true,
  scale: true,
  undoScale: true,
  restartInstances: true,
  shiftTraffic: true,
  compareReleases: true,
  flagStates: true,
  switchOff: true,
  undoSwitchOff: true,
  cachingStates: true,
  turnOnCaching: true,
  undoTurnOnCaching: true,
  bundleChange: true,
  migrationPlan: true,
  migrate: true,
  servable: true,
  backUp: true,
  proveBackup: true,
  smokeTests: true,
  verifyFunctionality: true,
};
/** Names of the activities that reach into an environment. */
export const REACHING = Object.keys(NAMES) as (keyof Reaching)[];

/** Task queues of the runners of one service, by environment. */
export const Runners = z.record(Slug, z.string());
export type Runners = z.output<typeof Runners>;

/** What an activity is about: its argument says so, or the action that was approved. */
const About = z.union([
  Scope,
  z.object({ proposal: z.object({ action: Scope }) }).transform((of) => of.proposal.action),
]);

/** The task queue of the runner that has to do this; undefined where the control plane does. */
export function runnerOf(runners: Runners, activity: string, argument: unknown): string | undefined {
  if (!Object.hasOwn(NAMES, activity)) return undefined;
  return runners[About.safeParse(argument).data?.environment ?? ''];
}
