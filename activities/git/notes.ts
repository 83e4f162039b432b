import type { ShownRelease } from '../../src/contracts/index.ts';
import { textOnGithub } from '../../src/github.ts';
import type { Changes } from './source.ts';
import { stepOf } from './versions.ts';

const HEADINGS = { major: 'Breaking changes', minor: 'New', patch: 'Fixes and the rest' } as const;
const SHOWN = 100;

/** Release notes in Markdown: what the commits are by Conventional Commits, those that break something first. */
export function releaseNotes(
  { commits, count }: Changes,
  { since, commit, environment }: ShownRelease & { environment: string },
) {
  const shown = commits.slice(0, SHOWN).map(({ id, author, message }) => ({
    step: stepOf(message),
    line: `- ${text(message.split('\n')[0] ?? '')} (${text(author)}, ${id.slice(0, 7)})`,
  }));
  const sections = (['major', 'minor', 'patch'] as const).flatMap((step) => {
    const lines = shown.filter((one) => one.step === step).map(({ line }) => line);
    return lines.length === 0 ? [] : [`## ${HEADINGS[step]}\n\n${lines.join('\n')}`];
  });
  const rest = count > shown.length ? [`and ${count - shown.length} more commits.`] : [];
  const range = since === undefined ? commit.slice(0, 12) : `${since.slice(0, 12)}...${commit.slice(0, 12)}`;
  return [...sections, ...rest, `Verified good in ${environment} by Holdfast, ${range}.`].join('\n\n');
}

const text = (from: string): string => textOnGithub(from.slice(0, 200));
