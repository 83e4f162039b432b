import { z } from 'zod';
import { Approval } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';

/** What deployments do to the world, by kind; what mitigates is known by its approval. */
export const DEPLOYING: Record<string, string> = {
  createReleaseBranch: 'create-release-branch',
  backUp: 'back-up',
  migrate: 'migrate',
  release: 'release',
  shiftTraffic: 'shift-traffic',
  publishRelease: 'publish-release',
} satisfies Partial<Record<keyof Ports, string>>;

/** What an activity changes in the world, and by whose decision where it has one; undefined for most, which only read. */
export function effectOf(activity: string, [argument]: unknown[]): { kind: string; by?: string[] } | undefined {
  const deploying = DEPLOYING[activity];
  if (deploying !== undefined) return { kind: deploying };
  const { data: approval } = Approval.safeParse(argument);
  return approval && { kind: approval.proposal.action.kind, by: approval.by };
}

/** How the audit trail calls an effect: what takes one back is not the same. */
export const calledAs = (activity: string, kind: string): string =>
  activity.startsWith('undo') ? `undo ${kind}` : kind;

const Done = z.object({ changed: z.boolean(), summary: z.string().catch('') });
/** What an effect that was done says of itself. */
export const summaryOf = (answer: unknown): string | undefined => Done.safeParse(answer).data?.summary;
