/** The documents of reviews in a git repository, each with its pictures: its course, and a bundle where one was looked at. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import type { Publication, Review, Settings } from '../src/contracts/index.ts';
import type { ReviewDocuments } from '../src/contracts/ports.ts';
import { commitFiles } from '../src/git-commit.ts';
import { filesOf, git, knownCommit, textOf, type Mirror } from '../src/git.ts';
import { locked } from '../src/locked.ts';
import { courseChart } from './postmortems/chart.ts';
import { treemap } from './postmortems/treemap.ts';

const FOLDER = 'postmortems';

export const env = z.object({ HOLDFAST_STATE_DIR: z.string().default('.holdfast') });

export function createActivities({ HOLDFAST_STATE_DIR: stateDir }: z.output<typeof env>, settings: Settings) {
  const { repository, branch } = settings.reviews;
  const own = resolve(stateDir, 'postmortems.git');

  const mirrored = async (signal: AbortSignal): Promise<Mirror> => {
    if (repository === undefined)
      await locked(`${own}.lock.sqlite`, signal, async () => {
        if (!existsSync(join(own, 'HEAD'))) await git(signal, ['init', '--quiet', '--bare', own]);
      });
    return { path: resolve(stateDir, 'postmortems-mirror.git'), repository: repository ?? own, signal };
  };

  return {
    /**
     * Commit `postmortems/<date>-<service>-<runbook>.md` and its pictures; where that is another incident's, its run is part of the name.
     * Idempotent: what is there as it is makes no commit. Heartbeats every second.
     * @throws Refused, NotAllowed (permanent); Unavailable (transient).
     */
    async publishReview({ review, markdown, message }: Publication): Promise<{ path: string; commit: string }> {
      return await beating(async () => {
        const mirror = await mirrored(cancellationSignal());
        const path = review.document?.path ?? (await freePath(mirror, review));
        const picture = `${FOLDER}/charts/${review.runId}`;
        const files = {
          [path]: markdown,
          [`${picture}.svg`]: courseChart(review),
          ...(review.bundle !== undefined && { [`${picture}-bundle.svg`]: treemap(review.bundle) }),
        };
        const { commit } = await commitFiles(mirror, { branch, files, message, author: 'Holdfast' });
        return { path, commit };
      });
    },
  } satisfies ReviewDocuments;

  async function freePath(mirror: Mirror, { id, times, service, runbook, runId }: Review): Promise<string> {
    const name = `${FOLDER}/${times.detectedAt.slice(0, 10)}-${service}-${runbook}`;
    const head = await knownCommit(mirror, branch).catch(() => undefined);
    if (head === undefined) return `${name}.md`;
    const taken = (await filesOf(mirror, head, `${name}.md`)).includes(`${name}.md`);
    if (!taken || (await textOf(mirror, head, `${name}.md`)).includes(`review: ${JSON.stringify(id)}`))
      return `${name}.md`;
    return `${name}-${runId.slice(0, 8)}.md`;
  }
}
