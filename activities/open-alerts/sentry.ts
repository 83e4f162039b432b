import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Settings } from '../../src/contracts/index.ts';
import { createHttp } from '../../src/http.ts';
import type { OpenAt, Webhook } from './source.ts';

const LIMIT = '100';
/** Unresolved, and why that is news. */
const NEWS = ['new', 'regressed', 'escalating'];

const Issue = z.object({
  id: z.string(),
  title: z.string(),
  level: z.string(),
  status: z.string(),
  substatus: z.string().nullish(),
  project: z.object({ slug: z.string() }),
  permalink: z.string().nullish(),
  firstSeen: z.string(),
  lastSeen: z.string(),
});
const Issues = z.array(Issue);
/** What the webhook says of an issue that is over, by its status. */
const OVER: Record<string, string> = { resolved: 'resolved', ignored: 'archived' };

/**
 * Issues of high priority that are new, back or growing, seen within the last hour, of the projects that ask for it
 * (`errors.openIssues`). One that is listed no more may just not have been seen: whether it is over, its own status says. What
 * an alert rule of Sentry's has fired, its API does not tell.
 * Source  Sentry's OpenAPI document, "List an Organization's Issues", "Retrieve an Issue"; webhook resource `issue`.
 */
export function openAtSentry(of: {
  url: string;
  token: string;
  organization: string;
  clientSecret: string;
  settings: Settings;
}): OpenAt {
  const { url, token, organization, clientSecret, settings } = of;
  const http = createHttp({ what: 'Sentry', baseUrl: url, token });
  const projects = settings.services.flatMap(({ environments }) =>
    Object.entries(environments).flatMap(([environment, { errors }]) =>
      errors?.openIssues === true ? [{ project: errors.project, environment }] : [],
    ),
  );
  const issues = `${new URL(url).pathname.replace(/\/+$/, '')}/api/0/organizations/${organization}/issues/`;
  const webhook = (action: string, { permalink, ...issue }: z.output<typeof Issue>): Webhook => {
    const body = JSON.stringify({ action, data: { issue: { ...issue, web_url: permalink } } });
    return {
      body,
      headers: {
        'sentry-hook-resource': 'issue',
        'sentry-hook-signature': createHmac('sha256', clientSecret).update(body).digest('hex'),
      },
    };
  };
  return {
    source: 'sentry',
    async open() {
      const found = await Promise.all(
        projects.map((of) => {
          const query = 'is:unresolved issue.priority:high level:[error,fatal]';
          const asked = new URLSearchParams({ ...of, query, statsPeriod: '1h', sort: 'new', limit: LIMIT });
          return http.get(`${issues}?${asked.toString()}`, Issues);
        }),
      );
      const open = found
        .flat()
        .filter(({ substatus }) => NEWS.includes(substatus ?? ''))
        .map((issue) => {
          const action = issue.substatus === 'new' ? 'created' : 'unresolved';
          return { name: `${issue.id}:${action}`, webhook: webhook(action, issue) };
        });
      return { open, whole: found.every(({ length }) => length < Number(LIMIT)) };
    },
    async over(name) {
      const id = name.slice(0, name.indexOf(':'));
      const issue = await http.get(`${issues}${id}/?collapse=stats&collapse=tags`, Issue);
      const action = OVER[issue.status];
      return action === undefined ? undefined : webhook(action, issue);
    },
  };
}
