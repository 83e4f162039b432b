/** A change that was tried on past incidents, as a branch or a pull request. */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { PullRequest, PullRequestDraft } from '../../contracts/index.ts';
import { git, unreachable } from '../../git.ts';
import { commitFiles } from '../../git-commit.ts';
import { usageError, type Context } from '../context.ts';

const TITLE = 'feat: change the configuration by what past incidents teach';
const BODY = 19_000;
const LONGEST_MS = 120_000;

export interface ProposeOptions {
  config: string;
  propose?: string;
  repository?: string;
  service?: string;
  environment?: string;
  document?: string[];
  as?: string;
}

/** The repository on GitHub of the service that is named, else of the first that has one. */
function codeHostOf({ settings }: Context, of: ProposeOptions): { service: string; environment: string } | undefined {
  return settings.services
    .flatMap(({ name, environments }) =>
      Object.entries(environments).flatMap(([environment, { releases }]) =>
        releases?.github === undefined ? [] : [{ service: name, environment }],
      ),
    )
    .find(
      ({ service, environment }) =>
        (of.service ?? service) === service && (of.environment ?? environment) === environment,
    );
}

/** @throws usage error where it could not be proposed; before anything is tried. */
export function assertProposable(context: Context, of: ProposeOptions): void {
  if (of.propose === undefined) return;
  if (of.as === undefined) throw usageError('--propose needs --as');
  if (of.repository === undefined && codeHostOf(context, of) === undefined)
    throw usageError('--propose needs --repository, or a service whose releases.github is configured');
}

/** Where a file lies in the working tree that it is in; undefined outside of one. */
async function placeOf(path: string, signal: AbortSignal): Promise<string | undefined> {
  const file = resolve(path);
  try {
    return `${await git(signal, ['-C', dirname(file), 'rev-parse', '--show-prefix'])}${basename(file)}`;
  } catch (error) {
    if (error instanceof Error && error.message.includes('not a git repository')) return undefined;
    throw error;
  }
}

/** The configuration and the documents that change with it, each whole, by their paths in the repository. */
async function filesOf({ config }: Context, of: ProposeOptions, signal: AbortSignal): Promise<Record<string, string>> {
  const inUse = config.HOLDFAST_CONFIG;
  const files = { [(await placeOf(inUse, signal)) ?? basename(inUse)]: readFileSync(resolve(of.config), 'utf8') };
  for (const path of of.document ?? [])
    files[(await placeOf(path, signal)) ?? path] = readFileSync(resolve(path), 'utf8');
  return files;
}

/** What is checked out in a repository; in a bare one its default branch. */
async function headOf(repository: string, signal: AbortSignal): Promise<string> {
  const told = await git(signal, ['ls-remote', '--symref', '--', repository, 'HEAD']).catch((error: unknown) => {
    throw unreachable(error);
  });
  return /^ref: (\S+)\tHEAD$/m.exec(told)?.[1] ?? /^([0-9a-f]+)\tHEAD$/m.exec(told)?.[1] ?? 'main';
}

/** A URL, or a host's path as ssh has it (`git@example.com:team/ops.git`); what is neither is a path of this machine. */
const isElsewhere = (repository: string): boolean => /^[^/]+:/.test(repository);

/** Propose it, with how past incidents would have gone. Says where. */
export async function propose(context: Context, of: ProposeOptions, tried: string): Promise<string> {
  const { propose: branch = '', repository, as: author = '' } = of;
  const signal = AbortSignal.timeout(LONGEST_MS);
  const files = await filesOf(context, of, signal);
  if (repository === undefined) return await openPull(context, of, files, tried);
  const original = isElsewhere(repository) ? repository : resolve(repository);
  const path = resolve(context.config.HOLDFAST_STATE_DIR, 'what-if.git');
  const from = await headOf(original, signal);
  const message = `${TITLE}\n\nRun again under it:\n${tried}`;
  const { commit } = await commitFiles(
    { path, repository: original, signal },
    { branch, from, files, message, author },
  );
  return `${branch} at ${commit.slice(0, 12)}`;
}

/** By a workflow: the worker has the token, and goes on where it was cut off. */
async function openPull(
  context: Context,
  of: ProposeOptions,
  files: Record<string, string>,
  tried: string,
): Promise<string> {
  const { propose: branch = '', as: author = '' } = of;
  const scope = codeHostOf(context, of);
  if (scope === undefined) throw usageError('no service has releases.github configured');
  const shown = tried.replaceAll('~~~', '~ ~ ~').slice(0, BODY);
  const draft: PullRequestDraft = {
    ...scope,
    branch,
    title: TITLE,
    body: `Proposed by ${author}. Past incidents, run again under it:\n\n~~~text\n${shown}\n~~~\n`,
    files: Object.entries(files).map(([path, text]) => ({ path, text })),
  };
  const { url, changed } = await context.client.workflow.execute<(of: PullRequestDraft) => Promise<PullRequest>>(
    'proposeChange',
    {
      workflowId: `proposal.${scope.service}.${branch}`,
      taskQueue: context.config.HOLDFAST_TASK_QUEUE,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [draft],
    },
  );
  return changed ? url : `${url}, which was there already`;
}
