/**
 * Procedure: propose a change that an incident taught, as a pull request on the repository of a service. What it changes was tried
 * on past incidents before, and the pull request says how that went (`holdfast what-if`). Idempotent on the branch.
 */
import { proxyActivities } from '@temporalio/workflow';
import { PullRequestDraft, type PullRequest } from '../src/contracts/index.ts';
import type { CodeHost } from '../src/contracts/ports.ts';
import { mitigation } from '../src/runbook/index.ts';

const { openPullRequest } = proxyActivities<CodeHost>(mitigation);

export const proposeChange = async (draft: PullRequestDraft): Promise<PullRequest> =>
  openPullRequest(PullRequestDraft.parse(draft));
