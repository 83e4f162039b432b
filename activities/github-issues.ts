/** Action items as issues of a service's repository on GitHub. */
import { createHash } from 'node:crypto';
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import type { ActionItem, Scope, Settings } from '../src/contracts/index.ts';
import type { IssueTracker } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { githubOf, githubVariables, textOnGithub, type Github } from '../src/github.ts';
import { oneLine } from '../src/plain-text.ts';

/** Found by listing, for GitHub's search follows minutes later. */
const NEWEST = 100;
const TITLE = 200;

const Issue = z.object({ html_url: z.url(), state: z.string(), body: z.string().nullish() });
const Found = z.object({ items: z.array(Issue) });

export const env = z.object({ ...githubVariables, GITHUB_TOKEN: z.string().min(1) });

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const repositoryOf = ({ service, environment }: Scope): Github => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment]?.releases;
    if (of === undefined)
      throw failure('NotConfigured', `${service}/${environment} has no releases.repository configured`);
    return githubOf(of, variables, cancellationSignal());
  };

  return {
    /**
     * Idempotent on `key`, by a mark in the text of the issue, open or closed.
     * @throws NotConfigured, NotAllowed, Refused (permanent); RateLimited, Unavailable (transient).
     */
    async fileIssue({ key, item, ...scope }: Scope & { key: string; item: ActionItem }): Promise<{ url: string }> {
      const github = repositoryOf(scope);
      const mark = createHash('sha256').update(key).digest('hex').slice(0, 32);
      const filed =
        (await marked(github, mark)) ??
        (await github.send(Issue, (rest, at) =>
          rest.issues.create({ ...at, title: oneLine(item.title, TITLE), body: bodyOf(item, scope, mark) }),
        ));
      return { url: filed.html_url };
    },
    /** An issue that is not there any more is not closed. @throws as `fileIssue`. */
    async issueClosed({ url, ...scope }: Scope & { url: string }): Promise<boolean> {
      const number = Number(/\/issues\/(\d+)$/.exec(url)?.[1]);
      if (!(number > 0)) return false;
      const issue = await repositoryOf(scope).find(Issue, (rest, at) =>
        rest.issues.get({ ...at, issue_number: number }),
      );
      return issue?.html_url === url && issue.state === 'closed';
    },
  } satisfies IssueTracker;
}

async function marked(github: Github, mark: string): Promise<z.output<typeof Issue> | undefined> {
  const carries = ({ body }: z.output<typeof Issue>): boolean => body?.includes(mark) === true;
  const newest = await github.ask(z.array(Issue), (rest, at) =>
    rest.issues.listForRepo({ ...at, state: 'all', sort: 'created', direction: 'desc', per_page: NEWEST }),
  );
  const known = newest.find(carries);
  if (known !== undefined || newest.length < NEWEST) return known;
  const found = await github.ask(Found, (rest, { owner, repo }) =>
    rest.search.issuesAndPullRequests({ q: `repo:${owner}/${repo} is:issue in:body ${mark}` }),
  );
  return found.items.find(carries);
}

const bodyOf = ({ why, owner, dueAt }: ActionItem, { service, environment }: Scope, mark: string): string =>
  [
    textOnGithub(why),
    `Of ${textOnGithub(owner)}, due ${dueAt.slice(0, 10)}, after an incident of ${service} in ${environment}. Closing this issue closes the action item.`,
    `Holdfast ${mark}`,
  ].join('\n\n');
