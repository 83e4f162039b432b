import type { AffectedUsers, ErrorPattern, ErrorRatio, Impact, Status } from '../contracts/index.ts';
import { say } from './failures.ts';

/** Source: SRE Workbook, chapter 5: an objective is kept over thirty days. */
const BUDGET_SECONDS = 30 * 86_400;

/** The answer, or why there is none. */
export const measured = <T>(what: string, read: () => Promise<T>): Promise<T | string> =>
  read().catch((error: unknown) => `${what}: ${say(error)}`.slice(0, 300));

/** What was lost. The error budget spent is the burn rate times the share of thirty days that it burnt. */
export function impactOf(of: {
  ratio: ErrorRatio | string;
  users: AffectedUsers | string;
  patterns: ErrorPattern[] | string;
  /** Share of the requests that may fail. */
  objective: number;
}): Impact {
  const { ratio, users, patterns, objective } = of;
  const unknown = [ratio, users, patterns].filter((one) => typeof one === 'string');
  const fresh = typeof patterns === 'string' ? [] : patterns.filter(({ newInRelease }) => newInRelease);
  const firstErrorAt = fresh.map(({ firstSeen }) => firstSeen).toSorted()[0];
  return {
    ...(typeof users !== 'string' && { users }),
    ...(typeof ratio !== 'string' && {
      requests: ratio.requests,
      failed: ratio.requests * ratio.ratio,
      budgetSpent: (ratio.ratio / objective) * (ratio.windowSeconds / BUDGET_SECONDS),
    }),
    ...(firstErrorAt !== undefined && { firstErrorAt }),
    unknown,
  };
}

/** The release that what was done or proposed is about: errors that are new in it began with it. */
export function releaseOf({ attempts = [], proposal }: Status): { release?: string } {
  const { action } = proposal ?? {};
  const named = action?.kind === 'roll-back' ? action.from : action?.kind === 'deploy' ? action.version : undefined;
  const release = attempts.findLast(({ kind }) => kind === 'roll-back')?.target ?? named;
  return release === undefined ? {} : { release };
}
