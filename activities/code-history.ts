/** The commits between two releases, and which of them have to do with a route: read from git's mirror of the repository. */
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import { CodeChange, type Scope, type Settings } from '../src/contracts/index.ts';
import type { CodeHistory } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import * as git from '../src/git.ts';
import { isFileOf } from './code-history/frames.ts';
import { namesOf, touchedBy } from './code-history/routes.ts';

const SHOWN = 50;

export const env = z.object({ HOLDFAST_STATE_DIR: z.string().default('.holdfast') });

export function createActivities({ HOLDFAST_STATE_DIR: stateDir }: z.output<typeof env>, settings: Settings) {
  return {
    /**
     * The commits that `to` has and `from` does not, at most fifty, with their files and sizes: those first whose files serve one of
     * these routes, by their names or by `performance.files`, or whose changed lines mention it, and those that change one of these
     * `files`, which are named as a stack trace does.
     * @throws NotFound (permanent) when there is no such commit; Unavailable (transient).
     */
    async codeChanges(
      of: Scope & { from: string; to: string; routes: string[]; files?: string[] },
    ): Promise<CodeChange[]> {
      const known = settings.services.find(({ name }) => name === of.service)?.environments[of.environment];
      if (known?.releases === undefined)
        throw failure('NotConfigured', `${of.service}/${of.environment} has no releases.repository configured`);
      const mirror = git.mirrorOf(stateDir, of, known.releases.repository, cancellationSignal());
      return await beating(async () => {
        const range = { to: await git.knownCommit(mirror, of.to), after: await git.knownCommit(mirror, of.from) };
        const [commits, files, mentions] = await Promise.all([
          git.commitsOf(mirror, { ...range, most: SHOWN }),
          git.filesChanged(mirror, { ...range, most: SHOWN }),
          Promise.all(
            of.routes.slice(0, 5).map(async (route) => {
              const [word] = namesOf(route);
              const ids =
                word === undefined ? new Set<string>() : await git.commitsMentioning(mirror, { ...range, word });
              return { route, ids, files: known.performance.files[route] ?? [] };
            }),
          ),
        ]);
        const changes = commits.map(({ id, author, at, message }) => {
          const changed = files.get(id) ?? [];
          const paths = changed.map(({ path }) => path);
          return {
            id,
            author: author.slice(0, 60),
            at,
            subject: (message.split('\n')[0] ?? '').slice(0, 120),
            files: paths.slice(0, 10).map((path) => path.slice(-200)),
            fileCount: paths.length,
            added: changed.reduce((sum, { added }) => sum + added, 0),
            removed: changed.reduce((sum, { removed }) => sum + removed, 0),
            touches: [
              ...mentions.filter((one) => one.ids.has(id) || touchedBy(one, paths)).map(({ route }) => route),
              ...paths.filter((path) => of.files?.some((file) => isFileOf(file, path))).map((path) => path.slice(-120)),
            ].slice(0, 5),
          };
        });
        return changes
          .map((change) => CodeChange.parse(change))
          .toSorted((a, b) => Math.sign(b.touches.length) - Math.sign(a.touches.length));
      });
    },
  } satisfies CodeHistory;
}
