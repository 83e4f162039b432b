import { z } from 'zod';
import { GitRef, Version } from './deployment.ts';
import { Scope } from './names.ts';

/** The release that a deployment is about, where a code-hosting service shows it. */
export const ShownRelease = z.object({
  version: Version,
  commit: z.string(),
  /** The commit that ran before. */
  since: z.string().optional(),
  /** Verified good, where releases are published for it. */
  publish: z.boolean().optional(),
});
export type ShownRelease = z.output<typeof ShownRelease>;

/** How a deployment stands. `ended`: it neither deployed nor failed; a rule or a person ended it. */
export const ShownDeployment = Scope.extend({
  version: Version,
  commit: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  state: z.enum(['waiting', 'in-progress', 'released', 'failed', 'ended']),
  note: z.string(),
});
export type ShownDeployment = z.output<typeof ShownDeployment>;

/** A change of files for people to review. */
export const PullRequestDraft = Scope.extend({
  branch: GitRef,
  title: z.string().min(1).max(200),
  body: z.string().max(20_000),
  /** The whole text of each, as it is to be. */
  files: z.array(z.object({ path: z.string().min(1), text: z.string() })).min(1),
});
export type PullRequestDraft = z.output<typeof PullRequestDraft>;

export const PullRequest = z.object({ changed: z.boolean(), number: z.number().int(), url: z.string() });
export type PullRequest = z.output<typeof PullRequest>;
