import { z } from 'zod';
import { GitRef, Instant } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import type { Commit } from '../../src/git.ts';
import type { Github } from '../../src/github.ts';
import { SHOWN, type Changes, type Source } from './source.ts';
import { versionsIn } from './versions.ts';

const PAGE = 100;

const GitCommit = z.object({
  sha: z.string(),
  commit: z.object({
    tree: z.object({ sha: z.string() }),
    message: z.string(),
    author: z.object({ name: z.string().optional() }).nullable(),
    committer: z.object({ date: Instant.optional() }).nullable(),
  }),
});
const Comparison = z.object({
  status: z.enum(['ahead', 'behind', 'diverged', 'identical']),
  base_commit: z.object({ sha: z.string() }),
  total_commits: z.number().int(),
  commits: z.array(GitCommit),
  files: z.array(z.object({ filename: z.string(), additions: z.number(), deletions: z.number() })).optional(),
});
const Refs = z.array(z.object({ ref: z.string() }));
const Ref = z.object({ object: z.object({ sha: z.string() }) });

const commitOf = ({ sha, commit: { author, committer, message } }: z.output<typeof GitCommit>): Commit => ({
  id: sha,
  author: author?.name ?? 'unknown',
  at: new Date(committer?.date ?? 0).toISOString(),
  message,
});

/** A repository through GitHub's API; nothing of it need be on this machine. */
export function githubSource(github: Github): Source {
  const compare = (base: string, head: string, page = 1) =>
    github.ask(Comparison, (rest, at) =>
      rest.repos.compareCommitsWithBasehead({ ...at, basehead: `${base}...${head}`, per_page: PAGE, page }),
    );
  const branchAt = async (branch: string): Promise<string | undefined> =>
    (await github.find(Ref, (rest, at) => rest.git.getRef({ ...at, ref: `heads/${branch}` })))?.object.sha;

  return {
    async resolve(ref) {
      if (!GitRef.safeParse(ref).success) throw failure('Refused', `"${ref.slice(0, 100)}" is not a git ref`);
      const found = await found404(ref, () =>
        github.ask(GitCommit, (rest, at) => rest.repos.getCommit({ ...at, ref })),
      );
      return { commit: found.sha, tree: found.commit.tree.sha };
    },
    async versions() {
      const refs = await Promise.all(
        ['tags', 'heads/release'].map((ref) =>
          github.ask(Refs, (rest, at) => rest.git.listMatchingRefs({ ...at, ref })),
        ),
      );
      return versionsIn(refs.flat().map(({ ref }) => ref));
    },
    /** Asks from the newest version on, until one is found that the commit descends from. */
    async lineOf(commit, versions) {
      let at: string | undefined;
      for (const { version, ref } of versions) {
        const { status, base_commit: base } = await compare(ref.replace(/^refs\/(tags|heads)\//, ''), commit);
        if (status === 'identical') at ??= version;
        if (status === 'ahead') return { ...(at && { at }), before: { version, commit: base.sha } };
      }
      return at === undefined ? {} : { at };
    },
    async changes({ to, after }): Promise<Changes> {
      if (after === undefined) {
        const list = (size: number) =>
          github.page(z.array(GitCommit), (rest, at) => rest.repos.listCommits({ ...at, sha: to, per_page: size }));
        const [{ data: newest }, { last: count }] = await Promise.all([list(SHOWN), list(1)]);
        return { commits: newest.map(commitOf), count, files: [] };
      }
      const first = await compare(after, to);
      const commits = [...first.commits];
      for (let page = 2; commits.length < first.total_commits; page += 1) {
        const more = (await compare(after, to, page)).commits;
        if (more.length === 0) break;
        commits.push(...more);
      }
      const files = (first.files ?? []).map((file) => ({
        path: file.filename,
        added: file.additions,
        removed: file.deletions,
      }));
      return {
        commits: commits.map(commitOf).toReversed(),
        count: first.total_commits,
        files,
        fileCount: files.length,
      };
    },
    async createBranch(branch, commit) {
      const isThere = async (): Promise<boolean> => {
        const at = await branchAt(branch);
        if (at !== undefined && at !== commit)
          throw failure('Refused', `the branch ${branch} is at ${at.slice(0, 12)}, not at ${commit.slice(0, 12)}`);
        return at === commit;
      };
      if (await isThere()) return { changed: false };
      try {
        await github.send(Ref, (rest, at) => rest.git.createRef({ ...at, ref: `refs/heads/${branch}`, sha: commit }));
      } catch (error) {
        if (await isThere()) return { changed: false };
        throw error;
      }
      return { changed: true };
    },
  };
}

/** GitHub answers 404 or 422 for what is no commit. */
async function found404<T>(ref: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const { type = '' } = error as { type?: string };
    throw type === 'NotFound' || type === 'Refused' ? failure('NotFound', `the repository has no "${ref}"`) : error;
  }
}
