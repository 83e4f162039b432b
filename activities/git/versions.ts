import { CommitParser } from 'conventional-commits-parser';
import semver, { type ReleaseType } from 'semver';
import { Version } from '../../src/contracts/index.ts';
import type { VersionRef } from './source.ts';

/** Where none was released before. Source: semver.org, "How should I deal with revisions in the 0.y.z initial development phase?" */
const FIRST = '0.1.0';
const LONGEST = 20_000;

/** Source: conventionalcommits.org, version 1.0.0. */
const parser = new CommitParser({
  headerPattern: /^(\w*)(?:\(([^)]*)\))?!?: (.*)$/,
  breakingHeaderPattern: /^(\w*)(?:\(([^)]*)\))?!: (.*)$/,
  noteKeywords: ['BREAKING CHANGE', 'BREAKING-CHANGE'],
});

/** `1.2.3` of `v1.2.3`, `1.2.3` and `release/1.2.3`; `2.0.0` of `v2`; undefined of what names no version. */
export function versionIn(ref: string): string | undefined {
  const name = ref.replace(/^refs\/(heads|tags)\//, '').replace(/^release\//, '');
  const major = /^v(\d+)$/.exec(name)?.[1];
  const version = semver.valid(major === undefined ? name : `${major}.0.0`);
  return Version.safeParse(version).data;
}

/** The refs that name versions, newest first. */
export const versionsIn = (refs: string[]): VersionRef[] =>
  refs
    .flatMap((ref) => {
      const version = versionIn(ref);
      return version === undefined ? [] : [{ version, ref }];
    })
    .toSorted((a, b) => semver.rcompare(a.version, b.version));

/** What a commit means for those who use what it is part of. */
export const stepOf = (message: string): 'major' | 'minor' | 'patch' => {
  if (message.trim() === '') return 'patch';
  const { type, notes } = parser.parse(message.slice(0, LONGEST));
  if (notes.length > 0) return 'major';
  return type === 'feat' ? 'minor' : 'patch';
};

/** The version that follows from commits on the newest one: the first of its kind that is not taken. */
export function nextVersion(of: { newest?: string; messages: string[]; taken: string[] }): string {
  const { newest, messages, taken } = of;
  const steps = new Set(messages.map(stepOf));
  let kind: ReleaseType = steps.has('major') ? 'major' : steps.has('minor') ? 'minor' : 'patch';
  if (kind === 'major' && newest !== undefined && semver.major(newest) === 0) kind = 'minor';
  let version = newest === undefined ? FIRST : semver.inc(newest, kind);
  while (version !== null && taken.includes(version)) version = semver.inc(version, kind);
  return Version.parse(version);
}
