/**
 * The git repository of a service, wherever it is: what is to be released, and the branch that it is released from. On GitHub also
 * what is shown beside it.
 */
import { cancellationSignal } from '@temporalio/activity';
import semver from 'semver';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import {
  Candidate,
  type Effect,
  type Environment,
  type PullRequest,
  type PullRequestDraft,
  type Scope,
  type Settings,
  type ShownDeployment,
  type ShownRelease,
} from '../src/contracts/index.ts';
import type { CodeHost, Repository } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { mirrorOf } from '../src/git.ts';
import { githubOf, githubVariables, type Github } from '../src/github.ts';
import * as codeHost from './git/code-host.ts';
import { githubSource } from './git/github.ts';
import { mirrorSource } from './git/mirror.ts';
import { SHOWN, type Changes, type Source } from './git/source.ts';
import { nextVersion } from './git/versions.ts';

type Releases = NonNullable<Environment['releases']>;
const SHOWN_FILES = 30;

export const env = z.object({
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
  /** Where what GitHub shows links to. */
  HOLDFAST_TEMPORAL_UI_URL: z.url().optional(),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  ...githubVariables,
});

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { HOLDFAST_STATE_DIR: stateDir, HOLDFAST_TEMPORAL_UI_URL: uiUrl, TEMPORAL_NAMESPACE: namespace } = variables;
  const environmentOf = ({ service, environment }: Scope): Environment & { releases: Releases } => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of?.releases === undefined)
      throw failure('NotConfigured', `${service}/${environment} has no releases.repository configured`);
    return { ...of, releases: of.releases };
  };
  const withSource = <T>(scope: Scope, work: (source: Source) => Promise<T>): Promise<T> =>
    beating(async () => {
      const { releases } = environmentOf(scope);
      const signal = cancellationSignal();
      return await work(
        releases.github === undefined
          ? mirrorSource(mirrorOf(stateDir, scope, releases.repository, signal))
          : githubSource(githubOf(releases, variables, signal)),
      );
    });
  const withGithub = <T>(scope: Scope, work: (github: Github, of: Environment) => Promise<T>): Promise<T> =>
    beating(async () => {
      const of = environmentOf(scope);
      if (of.releases.github === undefined)
        throw failure('NotConfigured', `${scope.service}/${scope.environment} has no releases.github configured`);
      return await work(githubOf(of.releases, variables, cancellationSignal()), of);
    });
  const linkOf = ({ workflowId, runId }: { workflowId: string; runId: string }): string | undefined =>
    uiUrl && `${uiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}`;

  return {
    /**
     * What a ref names now. The version is the given one; else the one that the ref, or a ref at its commit, names; else what
     * Conventional Commits make of the newest one that it descends from. The changes are those since `since`, or since the version before.
     * @throws NotFound (permanent) when there is no such ref; Refused, NotAllowed; RateLimited, Unavailable (transient).
     */
    async candidate(of: Scope & { ref: string; version?: string | undefined; since?: string | undefined }) {
      return await withSource(of, async (source): Promise<Candidate> => {
        const { commit, tree } = await source.resolve(of.ref);
        const since = of.since === undefined ? undefined : (await source.resolve(of.since)).commit;
        const all = await source.versions();
        const { at, before } = await source.lineOf(commit, all);
        const changes = await source.changes({ to: commit, after: since ?? before?.commit });

        const versionNow = async (): Promise<string> => {
          const named = all.find(({ ref }) =>
            [of.ref, `refs/tags/${of.ref}`, `refs/heads/${of.ref}`].includes(ref),
          )?.version;
          if (named !== undefined) return named;
          if (at !== undefined && (before === undefined || semver.gt(at, before.version))) return at;
          const taken = all.map(({ version }) => version);
          if (before === undefined) return nextVersion({ messages: [], taken });
          const { commits } =
            since === undefined ? changes : await source.changes({ to: commit, after: before.commit });
          return nextVersion({ newest: before.version, messages: commits.map(({ message }) => message), taken });
        };
        const version = of.version ?? (await versionNow());
        return Candidate.parse({ version, commit, digest: `tree:${tree}`, ...shown(changes) });
      });
    },
    /**
     * Idempotent: the branch `release/<version>` at this commit. A branch is never moved.
     * @throws Refused (permanent) when it is at another commit; NotFound when the repository does not have the commit.
     */
    async createReleaseBranch(of: Scope & { version: string; commit: string }): Promise<Effect> {
      return await withSource(of, async (source) => {
        const branch = `release/${of.version}`;
        const { commit } = await source.resolve(of.commit);
        const { changed } = await source.createBranch(branch, commit);
        return { changed, summary: `${branch} ${changed ? 'made' : 'is there already'} at ${commit.slice(0, 12)}` };
      });
    },
    /**
     * Idempotent: the commit status `holdfast/<environment>` and a deployment of the environment, one of each run.
     * @throws NotConfigured, NotAllowed (permanent); RateLimited, Unavailable (transient).
     */
    async showDeployment(of: ShownDeployment): Promise<Effect> {
      return await withGithub(of, async (github, { url }) => {
        const links = { run: linkOf(of), environment: url };
        const status = await codeHost.showStatus(github, of, links);
        const deployment = await codeHost.showInEnvironment(github, of, links);
        return { changed: status || deployment, summary: `${of.version} is shown as ${of.state}` };
      });
    },
    /** Idempotent on the version. @throws Refused (permanent) when its tag is at another commit; as `showDeployment`. */
    async publishRelease(of: Scope & ShownRelease): Promise<Effect> {
      return await withGithub(of, (github) => codeHost.publish(github, githubSource(github), of));
    },
    /** Idempotent on the branch. @throws as `showDeployment`. */
    async openPullRequest(of: PullRequestDraft): Promise<PullRequest> {
      return await withGithub(of, (github) => codeHost.openReview(github, githubSource(github), of));
    },
  } satisfies Repository & CodeHost;
}

/** Of the changes what a candidate holds. */
function shown({ commits, count, files, fileCount }: Changes) {
  return {
    commits: commits.slice(0, SHOWN).map(({ id, author, at, message }) => ({
      at,
      id,
      author: author.slice(0, 60),
      subject: (message.split('\n')[0] ?? '').slice(0, 120),
    })),
    commitCount: count,
    ...(fileCount !== undefined && {
      files: files
        .toSorted((a, b) => b.added + b.removed - a.added - a.removed)
        .slice(0, SHOWN_FILES)
        .map(({ path, ...lines }) => ({ path: path.slice(-200), ...lines })),
      fileCount,
    }),
  };
}
