/** The git repository of a service, wherever it is: what is to be released, and the branch that it is released from. */
import { cancellationSignal, heartbeat } from '@temporalio/activity';
import semver from 'semver';
import { z } from 'zod';
import { Candidate, type Effect, type Scope, type Settings } from '../src/contracts/index.ts';
import type { Repository } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import * as git from '../src/git.ts';
import { nextVersion, versionIn } from './git/versions.ts';

const BEAT_MS = 1000;
const SHOWN = 50;
const VERSIONS = ['refs/tags', 'refs/heads/release'];

export const env = z.object({ HOLDFAST_STATE_DIR: z.string().default('.holdfast') });

interface VersionRef {
  version: string;
  commit: string;
}

export function createActivities({ HOLDFAST_STATE_DIR: stateDir }: z.output<typeof env>, settings: Settings) {
  /** Work on the mirror of an environment, with a heartbeat every second. */
  const withMirror = async <T>(scope: Scope, work: (mirror: git.Mirror) => Promise<T>): Promise<T> => {
    const { service, environment } = scope;
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of?.releases === undefined)
      throw failure('NotConfigured', `${service}/${environment} has no releases.repository configured`);
    const beating = setInterval(() => heartbeat(), BEAT_MS);
    try {
      return await work(git.mirrorOf(stateDir, scope, of.releases.repository, cancellationSignal()));
    } finally {
      clearInterval(beating);
    }
  };

  return {
    /**
     * What a ref names now. The version is the given one; else the one that the ref, or a ref at its commit, names; else what
     * Conventional Commits make of the newest one that it descends from. The commits are those since `since`, or since the version before.
     * @throws NotFound (permanent) when there is no such ref; Refused, NotAllowed; Unavailable (transient).
     */
    async candidate(of: Scope & { ref: string; version?: string | undefined; since?: string | undefined }) {
      return await withMirror(of, async (mirror): Promise<Candidate> => {
        const commit = await git.commitOf(mirror, of.ref);
        const since = of.since === undefined ? undefined : await git.mirroredCommitOf(mirror, of.since);
        const versions = await versionsOf(mirror, commit);
        const after = since ?? newest(versions.filter((one) => one.commit !== commit))?.commit;
        const range = { to: commit, ...(after === undefined ? {} : { after }) };
        const [tree, commits, commitCount, version] = await Promise.all([
          git.treeOf(mirror, commit),
          git.commitsOf(mirror, { ...range, most: SHOWN }),
          git.commitCount(mirror, range),
          of.version ?? versionOf(mirror, of.ref, commit, newest(versions)),
        ]);
        return Candidate.parse({
          version,
          commit,
          digest: `tree:${tree}`,
          commits: commits.map(({ id, author, at, message }) => ({
            at,
            id,
            author: author.slice(0, 60),
            subject: (message.split('\n')[0] ?? '').slice(0, 120),
          })),
          commitCount,
        });
      });
    },
    /**
     * Idempotent: the branch `release/<version>` at this commit. A branch is never moved.
     * @throws Refused (permanent) when it is at another commit; NotFound when the repository does not have the commit.
     */
    async createReleaseBranch(of: Scope & { version: string; commit: string }): Promise<Effect> {
      return await withMirror(of, async (mirror) => {
        const branch = `release/${of.version}`;
        const commit = await git.commitOf(mirror, of.commit);
        const { changed } = await git.createBranch(mirror, branch, commit);
        return { changed, summary: `${branch} ${changed ? 'made' : 'is there already'} at ${commit.slice(0, 12)}` };
      });
    },
  } satisfies Repository;
}

/** Version tags and release branches; those that a commit descends from, where it is given. */
async function versionsOf(mirror: git.Mirror, commit?: string): Promise<VersionRef[]> {
  const refs = await git.refsOf(mirror, VERSIONS, commit);
  return refs.flatMap(({ name, commit: at }) => {
    const version = versionIn(name);
    return version === undefined ? [] : [{ version, commit: at }];
  });
}

const newest = (refs: VersionRef[]): VersionRef | undefined =>
  refs.toSorted((a, b) => semver.rcompare(a.version, b.version))[0];

async function versionOf(mirror: git.Mirror, ref: string, commit: string, before?: VersionRef): Promise<string> {
  const all = await versionsOf(mirror);
  const taken = all.map(({ version }) => version);
  const named = all.find((one) => one.version === versionIn(ref) && one.commit === commit);
  if (named !== undefined) return named.version;
  if (before === undefined) return nextVersion({ messages: [], taken });
  if (before.commit === commit) return before.version;
  const commits = await git.commitsOf(mirror, { to: commit, after: before.commit });
  return nextVersion({ newest: before.version, messages: commits.map(({ message }) => message), taken });
}
