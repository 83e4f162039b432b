import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { cancellationSignal, sleep } from '@temporalio/activity';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import { Instant, PipelineRun, type Scope } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { parsed } from '../../src/http.ts';
import { openJournal } from '../../src/journal.ts';
import type { Github } from './github.ts';

const POLL_MS = 2000;
/** A run is listed some seconds after it was asked for. */
const LISTED_WITHIN_MS = 20_000;
const STARTED_WITHIN_MS = 60_000;
const SKEW_MS = 60_000;
const SHOWN = 5;

const Refs = z.array(z.object({ ref: z.string(), object: z.object({ sha: z.string() }) }));
const Run = z.object({
  id: z.number().int(),
  run_number: z.number().int(),
  display_title: z.string(),
  head_sha: z.string(),
  status: z.string().nullable(),
  conclusion: z.string().nullable(),
  html_url: z.string(),
  created_at: Instant,
});
type Run = z.output<typeof Run>;
const Runs = z.object({ workflow_runs: z.array(Run) });
const Jobs = z.object({ jobs: z.array(z.object({ name: z.string(), conclusion: z.string().nullable() })) });

export interface Order {
  stateDir: string;
  scope: Scope;
  commit: string;
  key: string;
  workflow: string;
  timeout: string;
}

/**
 * Run a workflow of GitHub Actions at the branch of a commit and wait for its end. The workflow takes the input `holdfast_key`
 * and has it in its `run-name`, by which a later attempt finds the run that an earlier one has started. A cancelled one, and one
 * that takes longer than its time, is cancelled there.
 * @throws Refused (permanent) when no branch is at the commit; NotFound when the workflow is not there; RateLimited (transient).
 */
export async function runWorkflow(github: Github, order: Order): Promise<PipelineRun> {
  const { stateDir, scope, commit, key, workflow } = order;
  const journal = openJournal(stateDir, 'workflow-runs', scope);
  const mark = `holdfast-${createHash('sha256').update(`${commit} ${key}`).digest('hex').slice(0, 12)}`;
  const begun = await journal.begin({ key: mark, fence: 0, note: new Date().toISOString() });
  if (begun.stage === 'done') return parsed(PipelineRun, JSON.parse(begun.summary), `the note of ${mark}`);

  const asked = { key: `${mark}:asked`, fence: 0 };

  const since = `${new Date(Date.parse(begun.summary) - SKEW_MS).toISOString().slice(0, 19)}Z`;
  const ofTheCommit = async (): Promise<Run[]> => {
    const query = { event: 'workflow_dispatch', head_sha: commit, created: `>=${since}`, per_page: 100 };
    const { workflow_runs: runs } = await github.get(`/actions/workflows/${workflow}/runs`, Runs, query);
    return runs.filter(({ head_sha: at }) => at === commit);
  };
  const find = async () => (await ofTheCommit()).find(({ display_title: title }) => title.includes(mark));
  try {
    let run = (await journal.knows(asked.key)) ? await within(LISTED_WITHIN_MS, find, cancellationSignal()) : undefined;
    if (run === undefined) {
      const ref = await branchOf(github, commit);
      await journal.begin(asked);
      await github.post(`/actions/workflows/${workflow}/dispatches`, { ref, inputs: { holdfast_key: mark } });
      run = await within(STARTED_WITHIN_MS, find, cancellationSignal());
    }
    if (run === undefined)
      throw (await ofTheCommit()).length > 0
        ? failure('NotConfigured', `the run-name of ${workflow} does not hold \${{ inputs.holdfast_key }}`)
        : failure('Unavailable', `GitHub has not started ${workflow} within a minute`);
    const result = await ended(github, run, order);
    await journal.done(mark, JSON.stringify(result));
    return result;
  } catch (error) {
    if (cancellationSignal().aborted && (await journal.knows(asked.key)))
      await within(LISTED_WITHIN_MS, find)
        .then((run) => run && cancel(github, run))
        .catch(() => undefined); // it ends by itself
    throw error;
  }
}

/** What is found before the time is over. */
async function within<T>(ms: number, find: () => Promise<T | undefined>, signal?: AbortSignal): Promise<T | undefined> {
  for (const deadline = Date.now() + ms; ; await wait(POLL_MS, undefined, signal === undefined ? {} : { signal })) {
    const found = await find();
    if (found !== undefined || Date.now() > deadline) return found;
  }
}

/** A branch at the commit, a release branch if there is one: GitHub runs a workflow at a branch, not at a commit. */
async function branchOf(github: Github, commit: string): Promise<string> {
  for (const prefix of ['heads/release', 'heads']) {
    const refs = await github.get(`/git/matching-refs/${prefix}`, Refs);
    const found = refs.find(({ object }) => object.sha === commit);
    if (found !== undefined) return found.ref.replace('refs/heads/', '');
  }
  throw failure('Refused', `no branch is at ${commit.slice(0, 12)}: make the release branch first`);
}

async function ended(github: Github, started: Run, { workflow, timeout }: Order): Promise<PipelineRun> {
  const deadline = Date.parse(started.created_at) + msToNumber(timeout);
  const name = `${workflow} #${started.run_number}`;
  for (let run = started; ; run = await github.get(`/actions/runs/${run.id}`, Run)) {
    const log = run.html_url;
    if (run.status === 'completed') {
      const passed = run.conclusion === 'success';
      const failed = passed ? '' : await failedJobs(github, run);
      return { passed, summary: `${name} ended with ${run.conclusion ?? 'nothing'}${failed}`.slice(0, 500), log };
    }
    if (Date.now() > deadline) {
      await cancel(github, run);
      return { passed: false, summary: `${name} took longer than ${timeout}`, log };
    }
    await sleep(POLL_MS);
  }
}

async function failedJobs(github: Github, { id }: Run): Promise<string> {
  const { jobs } = await github.get(`/actions/runs/${id}/jobs`, Jobs);
  const failed = jobs.filter(({ conclusion }) => conclusion !== 'success' && conclusion !== 'skipped').slice(0, SHOWN);
  return failed.map((job) => `; ${job.name}: ${job.conclusion ?? 'not run'}`).join('');
}

/** One that has ended by itself in the meantime is left as it is. */
async function cancel(github: Github, { id }: Run): Promise<void> {
  await github.post(`/actions/runs/${id}/cancel`).catch((error: unknown) => {
    if ((error as { type?: string }).type !== 'Refused') throw error;
  });
}
