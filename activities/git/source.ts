import type { Candidate } from '../../src/contracts/index.ts';
import type { Commit } from '../../src/git.ts';

/** How many commits are shown where there is no version before. */
export const SHOWN = 50;

/** A tag or release branch that names a version. */
export interface VersionRef {
  version: string;
  /** `refs/tags/v1.4.0` */
  ref: string;
}

/** What one commit brings that another does not have. */
export interface Changes {
  /** Newest first; all of them where `after` is given, else the newest fifty. */
  commits: Commit[];
  count: number;
  files: NonNullable<Candidate['files']>;
  fileCount?: number;
}

/** Where the repository is read and written: a mirror of it through git, or GitHub's API. */
export interface Source {
  /** @throws Refused when it cannot be a ref; NotFound when the repository does not have it. */
  resolve(ref: string): Promise<{ commit: string; tree: string }>;
  /** Newest first. */
  versions(): Promise<VersionRef[]>;
  /** The newest version at a commit, and the newest that it descends from. */
  lineOf(
    commit: string,
    versions: VersionRef[],
  ): Promise<{ at?: string; before?: { version: string; commit: string } }>;
  changes(of: { to: string; after: string | undefined }): Promise<Changes>;
  /** Makes a branch, or finds it made. @throws Refused when it is at another commit. */
  createBranch(branch: string, commit: string): Promise<{ changed: boolean }>;
}
