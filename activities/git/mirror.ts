import * as git from '../../src/git.ts';
import { SHOWN, type Source } from './source.ts';
import { versionsIn } from './versions.ts';

const VERSIONS = ['refs/tags', 'refs/heads/release'];

/** A repository through git's command line, over the mirror that the releases are checked out of too. */
export function mirrorSource(mirror: git.Mirror): Source {
  let fresh = false;
  return {
    async resolve(ref) {
      const commit = await (fresh ? git.mirroredCommitOf : git.commitOf)(mirror, ref);
      fresh = true;
      return { commit, tree: await git.treeOf(mirror, commit) };
    },
    versions: async () => versionsIn((await git.refsOf(mirror, VERSIONS)).map(({ name }) => name)),
    async lineOf(commit, versions) {
      const merged = new Map((await git.refsOf(mirror, VERSIONS, commit)).map((ref) => [ref.name, ref.commit]));
      const line = versions.flatMap(({ version, ref }) => {
        const at = merged.get(ref);
        return at === undefined ? [] : [{ version, commit: at }];
      });
      const at = line.find((one) => one.commit === commit);
      const before = line.find((one) => one.commit !== commit);
      return { ...(at !== undefined && { at: at.version }), ...(before !== undefined && { before }) };
    },
    async changes({ to, after }) {
      const range = { to, ...(after === undefined ? {} : { after }) };
      const [commits, count, files] = await Promise.all([
        git.commitsOf(mirror, after === undefined ? { to, most: SHOWN } : range),
        git.commitCount(mirror, range),
        after === undefined ? undefined : git.changedFiles(mirror, { to, after }),
      ]);
      return { commits, count, files: files ?? [], ...(files !== undefined && { fileCount: files.length }) };
    },
    createBranch: (branch, commit) => git.createBranch(mirror, branch, commit),
  };
}
