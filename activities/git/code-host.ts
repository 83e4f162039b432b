/** What GitHub shows beside a repository's commits: statuses, deployments, releases, pull requests. */
import { z } from 'zod';
import {
  type Effect,
  type PullRequest,
  type PullRequestDraft,
  type Scope,
  type ShownDeployment,
  type ShownRelease,
} from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import type { Github } from '../../src/github.ts';
import { releaseNotes } from './notes.ts';
import type { Source } from './source.ts';

/** What a commit status holds. Source: docs.github.com/en/rest/commits/statuses. */
const DESCRIPTION = 140;
const STATES = {
  waiting: { commit: 'pending', deployment: 'queued' },
  'in-progress': { commit: 'pending', deployment: 'in_progress' },
  released: { commit: 'success', deployment: 'success' },
  failed: { commit: 'failure', deployment: 'failure' },
  ended: { commit: 'error', deployment: 'inactive' },
} as const;

const Statuses = z.array(z.object({ context: z.string(), state: z.string(), description: z.string().nullable() }));
const Deployments = z.array(z.object({ id: z.number().int(), payload: z.unknown() }));
const Made = z.object({ id: z.number().int() });
const States = z.array(z.object({ state: z.string() }));
const Release = z.object({ id: z.number().int() });
const Sha = z.object({ sha: z.string() });
const Pulls = z.array(z.object({ number: z.number().int(), html_url: z.string() }));

interface Links {
  /** Of the run, where Temporal's user interface is known. */
  run: string | undefined;
  /** Of the service in its environment. */
  environment: string;
}

/** Beside the commit. Nothing is sent where it is shown so already. */
export async function showStatus(github: Github, of: ShownDeployment, { run }: Links): Promise<boolean> {
  const context = `holdfast/${of.environment}`;
  const state = STATES[of.state].commit;
  const description = `${of.version}: ${of.note}`.slice(0, DESCRIPTION);
  const shown = await github.ask(Statuses, (rest, at) =>
    rest.repos.listCommitStatusesForRef({ ...at, ref: of.commit, per_page: 100 }),
  );
  const newest = shown.find((one) => one.context === context);
  if (newest?.state === state && newest.description === description) return false;
  await github.send(z.unknown(), (rest, at) =>
    rest.repos.createCommitStatus({
      ...at,
      sha: of.commit,
      state,
      context,
      description,
      ...(run !== undefined && { target_url: run }),
    }),
  );
  return true;
}

/** Among the deployments of the environment: one of each run, found again by what it carries. */
export async function showInEnvironment(github: Github, of: ShownDeployment, links: Links): Promise<boolean> {
  const { environment, commit, state } = of;
  const holdfast = `${of.workflowId}/${of.runId}`;
  const known = await github.ask(Deployments, (rest, at) =>
    rest.repos.listDeployments({ ...at, sha: commit, environment, per_page: 100 }),
  );
  const isOurs = ({ payload }: { payload: unknown }): boolean =>
    z.object({ holdfast: z.literal(holdfast) }).safeParse(payload).success;
  const { id } =
    known.find(isOurs) ??
    (await github.send(Made, (rest, at) =>
      rest.repos.createDeployment({
        ...at,
        ref: commit,
        environment,
        description: `${of.version}, by Holdfast`,
        auto_merge: false,
        required_contexts: [],
        payload: { holdfast },
      }),
    ));
  const states = await github.ask(States, (rest, at) =>
    rest.repos.listDeploymentStatuses({ ...at, deployment_id: id, per_page: 1 }),
  );
  if (states[0]?.state === STATES[state].deployment) return false;
  await github.send(z.unknown(), (rest, at) =>
    rest.repos.createDeploymentStatus({
      ...at,
      deployment_id: id,
      state: STATES[state].deployment,
      description: of.note.slice(0, DESCRIPTION),
      environment_url: links.environment,
      ...(links.run !== undefined && { log_url: links.run }),
    }),
  );
  return true;
}

/** The release `v<version>` with its tag. @throws Refused (permanent) when the tag is at another commit. */
export async function publish(github: Github, source: Source, of: Scope & ShownRelease): Promise<Effect> {
  const { version, commit, since } = of;
  const tag = `v${version}`;
  const known = () => github.find(Release, (rest, at) => rest.repos.getReleaseByTag({ ...at, tag }));
  const unchanged = { changed: false, summary: `${tag} is published already` };
  if ((await known()) !== undefined) return unchanged;
  const tagged = await source.resolve(tag).catch((error: unknown) => {
    if ((error as { type?: string }).type === 'NotFound') return undefined;
    throw error;
  });
  if (tagged !== undefined && tagged.commit !== commit)
    throw failure('Refused', `the tag ${tag} is at ${tagged.commit.slice(0, 12)}, not at ${commit.slice(0, 12)}`);
  const changes = await source.changes({ to: commit, after: since });
  try {
    await github.send(Release, (rest, at) =>
      rest.repos.createRelease({
        ...at,
        tag_name: tag,
        target_commitish: commit,
        name: version,
        body: releaseNotes(changes, of),
        make_latest: 'legacy',
      }),
    );
  } catch (error) {
    if ((await known()) !== undefined) return unchanged;
    throw error;
  }
  return { changed: true, summary: `${tag} is published` };
}

/**
 * A pull request against the default branch, from a branch with the files in one commit. One that the branch has had is returned,
 * closed or not; a branch that never had one is what an attempt has left, and is taken as it is.
 */
export async function openReview(github: Github, source: Source, of: PullRequestDraft): Promise<PullRequest> {
  const { branch, title, body, files } = of;
  const [known] = await github.ask(Pulls, (rest, at) =>
    rest.pulls.list({ ...at, head: `${github.owner}:${branch}`, state: 'all' }),
  );
  if (known !== undefined) return { changed: false, number: known.number, url: known.html_url };
  const Repo = z.object({ default_branch: z.string() });
  const { default_branch: base } = await github.ask(Repo, (rest, at) => rest.repos.get(at));
  const isThere = await github.find(z.unknown(), (rest, at) => rest.git.getRef({ ...at, ref: `heads/${branch}` }));
  if (isThere === undefined) {
    const { commit, tree } = await source.resolve(base);
    const entries = files.map(({ path, text }) => ({
      path,
      content: text,
      mode: '100644' as const,
      type: 'blob' as const,
    }));
    const made = await github.send(Sha, (rest, at) => rest.git.createTree({ ...at, base_tree: tree, tree: entries }));
    const { sha } = await github.send(Sha, (rest, at) =>
      rest.git.createCommit({ ...at, message: title, tree: made.sha, parents: [commit] }),
    );
    await source.createBranch(branch, sha);
  }
  const pull = await github.send(Pulls.element, (rest, at) =>
    rest.pulls.create({ ...at, head: branch, base, title, body }),
  );
  return { changed: true, number: pull.number, url: pull.html_url };
}
