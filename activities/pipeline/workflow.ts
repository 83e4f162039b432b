import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { cancellationSignal } from '@temporalio/activity';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import { Instant, PipelineRun, type Effect, type Scope } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { parsed } from '../../src/http.ts';
import { openJournal } from '../../src/journal.ts';
import type { Github } from '../../src/github.ts';

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
 * Start a workflow of GitHub Actions at the branch of a commit, or see how it stands: `running` until it has ended. The workflow
 * takes the input `holdfast_key` and has it in its `run-name`, by which a later attempt finds the run that an earlier one has
 * started. A cancelled one, and one that takes longer than its time, is cancelled there.
 * @throws Refused (permanent) when no branch is at the commit; NotFound when the workflow is not there; RateLimited (transient).
 */
export async function runWorkflow(github: Github, order: Order): Promise<PipelineRun> {
  const known = await openRun(github, order);
  if (known.result !== undefined) return known.result;
  try {
    const run = (await known.asked(cancellationSignal())) ?? (await known.start());
    const result = await stateOf(github, run, order);
    if (result.running !== true) await known.ended(result);
    return result;
  } catch (error) {
    if (cancellationSignal().aborted) await cancelWorkflow(github, order).catch(() => undefined); // it ends by itself
    throw error;
  }
}

/** Cancel the run that `runWorkflow` has started and not seen ended. */
export async function cancelWorkflow(github: Github, order: Order): Promise<Effect> {
  const known = await openRun(github, order);
  const run = known.result === undefined ? await known.asked() : undefined;
  if (run === undefined || run.status === 'completed') return { changed: false, summary: 'no workflow runs' };
  await cancel(github, run);
  return { changed: true, summary: `${order.workflow} #${run.run_number} is cancelled` };
}

/** What the journal and GitHub know of the run of an order. */
async function openRun(github: Github, { stateDir, scope, commit, key, workflow }: Order) {
  const journal = openJournal(stateDir, 'workflow-runs', scope);
  const mark = `holdfast-${createHash('sha256').update(`${commit} ${key}`).digest('hex').slice(0, 12)}`;
  const begun = await journal.begin({ key: mark, fence: 0, note: new Date().toISOString() });
  const dispatch = { key: `${mark}:asked`, fence: 0 };

  const ofTheCommit = async (): Promise<Run[]> => {
    const since = `${new Date(Date.parse(begun.summary) - SKEW_MS).toISOString().slice(0, 19)}Z`;
    const query = { event: 'workflow_dispatch', head_sha: commit, created: `>=${since}`, per_page: 100 };
    const { workflow_runs: runs } = await github.ask(Runs, (rest, at) =>
      rest.actions.listWorkflowRuns({ ...at, workflow_id: workflow, ...query }),
    );
    return runs.filter(({ head_sha: at }) => at === commit);
  };
  /** Its id is kept: GitHub's lists may miss it for a moment. */
  const found = async (ms: number, signal?: AbortSignal): Promise<Run | undefined> => {
    const find = async () => (await ofTheCommit()).find(({ display_title: title }) => title.includes(mark));
    const run = await within(ms, find, signal);
    if (run !== undefined) await journal.done(dispatch.key, String(run.id));
    return run;
  };
  return {
    result: begun.stage === 'done' ? parsed(PipelineRun, JSON.parse(begun.summary), `the note of ${mark}`) : undefined,
    ended: (result: PipelineRun) => journal.done(mark, JSON.stringify(result)),
    /** The run that was asked for before. */
    async asked(signal?: AbortSignal): Promise<Run | undefined> {
      if (!(await journal.knows(dispatch.key))) return undefined;
      const { stage, summary: id } = await journal.begin(dispatch);
      if (stage !== 'done') return await found(LISTED_WITHIN_MS, signal);
      return await github.ask(Run, (rest, at) => rest.actions.getWorkflowRun({ ...at, run_id: Number(id) }));
    },
    async start(): Promise<Run> {
      const ref = await branchOf(github, commit);
      await journal.begin(dispatch);
      await github.send(z.unknown(), (rest, at) =>
        rest.actions.createWorkflowDispatch({ ...at, workflow_id: workflow, ref, inputs: { holdfast_key: mark } }),
      );
      const run = await found(STARTED_WITHIN_MS, cancellationSignal());
      if (run !== undefined) return run;
      throw (await ofTheCommit()).length > 0
        ? failure('NotConfigured', `the run-name of ${workflow} does not hold \${{ inputs.holdfast_key }}`)
        : failure('Unavailable', `GitHub has not started ${workflow} within a minute`);
    },
  };
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
    const refs = await github.ask(Refs, (rest, at) => rest.git.listMatchingRefs({ ...at, ref: prefix }));
    const found = refs.find(({ object }) => object.sha === commit);
    if (found !== undefined) return found.ref.replace('refs/heads/', '');
  }
  throw failure('Refused', `no branch is at ${commit.slice(0, 12)}: make the release branch first`);
}

async function stateOf(github: Github, run: Run, { workflow, timeout }: Order): Promise<PipelineRun> {
  const name = `${workflow} #${run.run_number}`;
  const log = run.html_url;
  if (run.status === 'completed') {
    const passed = run.conclusion === 'success';
    const failed = passed ? '' : await failedJobs(github, run);
    return { passed, summary: `${name} ended with ${run.conclusion ?? 'nothing'}${failed}`.slice(0, 500), log };
  }
  if (Date.now() <= Date.parse(run.created_at) + msToNumber(timeout))
    return { passed: false, running: true, summary: `${name} runs`, log };
  await cancel(github, run);
  return { passed: false, summary: `${name} took longer than ${timeout}`, log };
}

async function failedJobs(github: Github, { id }: Run): Promise<string> {
  const { jobs } = await github.ask(Jobs, (rest, at) => rest.actions.listJobsForWorkflowRun({ ...at, run_id: id }));
  const failed = jobs.filter(({ conclusion }) => conclusion !== 'success' && conclusion !== 'skipped').slice(0, SHOWN);
  return failed.map((job) => `; ${job.name}: ${job.conclusion ?? 'not run'}`).join('');
}

/** One that has ended by itself in the meantime is left as it is. */
async function cancel(github: Github, { id }: Run): Promise<void> {
  const cancelling = github.send(z.unknown(), (rest, at) => rest.actions.cancelWorkflowRun({ ...at, run_id: id }));
  await cancelling.catch((error: unknown) => {
    if ((error as { type?: string }).type !== 'Refused') throw error;
  });
}
