/** The migrations of a commit, read from the mirror of the service's repository that the releases are made from. */
import { failure } from '../../src/errors.ts';
import { filesOf, knownCommit, textOf, type Mirror } from '../../src/git.ts';

const NAME = /^(\d{1,20})(?:[_-]([\w.-]{1,100}))?\.sql$/;

export interface MigrationFile {
  /** The file's name without its ending. */
  name: string;
  /** Its leading digits, and what comes after them: how Supabase keeps it. */
  version: string;
  title: string;
  sql(): Promise<string>;
}

/**
 * The migrations in a folder of a commit, by name; none where the commit does not have the folder.
 * @throws NotFound (permanent) when the repository lacks the commit; Refused (permanent) when a migration's name says no version, or
 * two have one; Unavailable when the repository cannot be read.
 */
export async function migrationFiles(mirror: Mirror, commit: string, folder: string): Promise<MigrationFile[]> {
  const known = await knownCommit(mirror, commit);
  const under = `${folder.replace(/\/+$/, '')}/`;
  const names = (await filesOf(mirror, known, under)).map((path) => path.slice(under.length));
  const versions = new Set<string>();
  return names
    .filter((file) => file.endsWith('.sql') && !file.includes('/'))
    .map((file) => {
      const [, version, title = ''] = NAME.exec(file) ?? [];
      if (version === undefined)
        throw failure('Refused', `${under}${JSON.stringify(file)}: begin the name of a migration with its version`);
      if (versions.has(version)) throw failure('Refused', `${under}: two migrations have the version ${version}`);
      versions.add(version);
      const sql = () => textOf(mirror, known, `${under}${file}`);
      return { name: file.slice(0, -'.sql'.length), version, title, sql };
    });
}
