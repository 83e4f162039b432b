import type {
  ListAnIssueSEventsData,
  ListAnOrganizationSissuesData,
  QueryExploreEventsInTableFormatData,
  RetrieveAnIssueData,
  RetrieveAnIssueEventData,
} from '@sentry/api';
import { z } from 'zod';
import type { ErrorCounts, ErrorTracker } from '../src/contracts/ports.ts';
import { Instant, type ErrorPattern, type Settings, type Window } from '../src/contracts/index.ts';
import {
  correlations,
  EventUser,
  FlagContexts,
  flagsOf,
  inBatches,
  innermostFrames,
  projectOf,
  sameRelease,
  userOf,
} from '../src/error-events.ts';
import { failure } from '../src/errors.ts';
import { parsed, request, whole } from '../src/http.ts';

export const env = z.object({
  SENTRY_URL: z.url().default('https://sentry.io'),
  SENTRY_AUTH_TOKEN: z.string().min(1),
  SENTRY_ORG: z.string().regex(/^[\w-]+$/),
});

const ISSUES = 10;
/** Correlations are read from up to 50 whole events of each of the four most frequent issues. */
const SAMPLED_ISSUES = 4;
const SAMPLE = 50;
const SAMPLE_PAGE = '25';
const PARALLEL = 4;
/** Warnings and messages are no errors. */
const ERRORS = 'level:[error,fatal]';

/** The query of one operation, as Sentry's own client declares it: a name it does not have does not compile. */
type Query<D extends { query?: object }> = { [K in keyof NonNullable<D['query']>]?: string | string[] };

const Issue = z.object({
  id: z.string(),
  title: z.string(),
  permalink: z.string().nullish(),
  count: z.coerce.number().int(),
  firstSeen: Instant,
  lastSeen: Instant,
});
const FirstRelease = z.object({ firstRelease: z.object({ version: z.string() }).nullish() });
const Event = z.object({
  user: EventUser,
  tags: z.array(z.object({ key: z.string(), value: z.string() })),
  contexts: FlagContexts,
});
const Frame = z
  .object({
    function: z.string().nullish(),
    filename: z.string().nullish(),
    lineNo: z.number().nullish(),
    inApp: z.boolean().nullish(),
  })
  .transform(({ function: name, filename: file, lineNo: line, inApp }) => ({
    name,
    file,
    line,
    inApp: inApp === true,
  }));
const Thrown = z.object({
  type: z.literal('exception'),
  data: z.object({
    values: z.array(z.object({ stacktrace: z.object({ frames: z.array(Frame).nullish() }).nullish() })),
  }),
});
const LatestEvent = z.object({ entries: z.array(z.union([Thrown, z.object({ type: z.string() })])) });

/** The cursor of the next page, from a `Link` header; absent on the last one. */
export const nextCursor = (link: string | null): string | undefined =>
  link
    ?.split(',')
    .find((part) => part.includes('rel="next"') && part.includes('results="true"'))
    ?.match(/cursor="([^"]+)"/)?.[1];

/**
 * Errors from Sentry (`/api/0`), of sentry.io or of a server of one's own. The token needs `event:read` and `org:read`.
 * Requests and answers: Sentry's OpenAPI document; the types of its queries are those of `@sentry/api`.
 */
export function createActivities(
  { SENTRY_URL, SENTRY_AUTH_TOKEN, SENTRY_ORG }: z.output<typeof env>,
  settings: Settings,
) {
  const organization = `${SENTRY_URL.replace(/\/+$/, '')}/api/0/organizations/${SENTRY_ORG}`;

  const get = async <S extends z.ZodType>(
    path: string,
    query: Record<string, string | string[] | undefined>,
    schema: S,
  ) => {
    const url = new URL(`${organization}/${path}`);
    for (const [name, value] of Object.entries(query))
      for (const each of [value ?? []].flat()) url.searchParams.append(name, each);
    const what = `Sentry GET ${path}`;
    const asked = { headers: { authorization: `Bearer ${SENTRY_AUTH_TOKEN}` }, what };
    const response = await whole(await request(url.href, asked), what);
    const body: unknown = await response.json().catch(() => undefined);
    return { data: parsed(schema, body, what), next: nextCursor(response.headers.get('link')) };
  };

  const within = ({ windowSeconds, environment }: Window) => ({
    statsPeriod: `${Math.ceil(windowSeconds)}s`,
    environment: [environment],
  });

  const frequentIssues = async (window: Window, limit: number) => {
    const query: Query<ListAnOrganizationSissuesData> = {
      ...within(window),
      project: [projectOf(settings, window)],
      query: ERRORS,
      sort: 'freq',
      limit: String(limit),
    };
    return (await get('issues/', query, z.array(Issue))).data;
  };

  const firstRelease = async (issue: string): Promise<string | undefined> => {
    const query: Query<RetrieveAnIssueData> = { collapse: ['stats', 'tags'] };
    return (await get(`issues/${issue}/`, query, FirstRelease)).data.firstRelease?.version;
  };

  const eventsOf = async (issue: string, window: Window): Promise<z.output<typeof Event>[]> => {
    const events: z.output<typeof Event>[] = [];
    let cursor: string | undefined;
    do {
      const query: Query<ListAnIssueSEventsData> = {
        ...within(window),
        full: 'true',
        per_page: SAMPLE_PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      };
      const { data, next } = await get(`issues/${issue}/events/`, query, z.array(Event));
      events.push(...data);
      cursor = next;
    } while (cursor !== undefined && events.length < SAMPLE);
    return events;
  };

  /** Over the errors that Sentry has of the window: what its quotas or filters dropped is not among them. */
  const aggregate = async (window: Window, field: 'count()' | 'count_unique(user)'): Promise<number> => {
    const query: Query<QueryExploreEventsInTableFormatData> = {
      ...within(window),
      project: [projectOf(settings, window)],
      dataset: 'errors',
      field: [field],
      query: ERRORS,
    };
    const row = z.object({ [field]: z.number() });
    const { data } = (await get('events/', query, z.object({ data: z.array(row).max(1) }))).data;
    return data[0]?.[field] ?? 0;
  };

  const titleOf = ({ title }: z.output<typeof Issue>): string => title.slice(0, 300);
  const urlOf = ({ permalink }: z.output<typeof Issue>) => (permalink ? { url: permalink } : {});

  return {
    /** The ten most frequent issues of the window. New in the release: Sentry saw the issue first in it. */
    async errorPatterns({ release, ...window }): Promise<ErrorPattern[]> {
      const issues = await frequentIssues(window, ISSUES);
      return inBatches(issues, PARALLEL, async (issue) => {
        const first = await firstRelease(issue.id);
        return {
          id: issue.id,
          title: titleOf(issue),
          count: issue.count,
          firstSeen: issue.firstSeen,
          lastSeen: issue.lastSeen,
          ...(first === undefined ? {} : { firstRelease: first }),
          newInRelease: sameRelease(window.service, first, release),
          ...urlOf(issue),
        };
      });
    },

    /** Distinct users over all errors of the window, counted by Sentry. */
    async affectedUsers(window) {
      return { count: await aggregate(window, 'count_unique(user)'), sampled: false };
    },

    /** By the window and environment: Sentry's own statistics of a project know no environment, those of an organization no minute. */
    async errorCount(window) {
      return { count: await aggregate(window, 'count()'), windowSeconds: window.windowSeconds };
    },

    /** @throws NotFound (permanent) when the window has no error. */
    async topStackTrace(window) {
      const [top] = await frequentIssues(window, 1);
      if (top === undefined)
        throw failure('NotFound', `no error of ${window.service} in the last ${window.windowSeconds} s`);
      const query: Query<RetrieveAnIssueEventData> = { environment: [window.environment] };
      const { entries } = (await get(`issues/${top.id}/events/latest/`, query, LatestEvent)).data;
      const exceptions = entries.flatMap((entry) => ('data' in entry ? entry.data.values : []));
      const frames = innermostFrames(exceptions.at(-1)?.stacktrace?.frames ?? []);
      return { pattern: titleOf(top), frames, ...urlOf(top) };
    },

    /** From a sample: the newest events of the most frequent issues, each standing for its part of the issue's count. */
    async errorCorrelations(window) {
      const issues = await frequentIssues(window, SAMPLED_ISSUES);
      const samples = await inBatches(issues, PARALLEL, async (issue) => {
        const events = await eventsOf(issue.id, window);
        return events.map(({ user, tags, contexts }) => {
          const pairs = tags.map(({ key, value }) => [key, value] as const);
          return {
            weight: issue.count / events.length,
            release: new Map(pairs).get('release'),
            user: userOf(user),
            flags: flagsOf(pairs, contexts),
          };
        });
      });
      return correlations(samples.flat());
    },
  } satisfies ErrorTracker & ErrorCounts;
}
