import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import type { ErrorTracker } from '../src/contracts/ports.ts';
import { Instant, type ErrorPattern, type Scope, type Settings, type Window } from '../src/contracts/index.ts';
import {
  correlations,
  distinctUsers,
  EventUser,
  FlagContexts,
  flagsOf,
  inBatches,
  innermostFrames,
  projectOf,
  sameRelease,
  userOf,
  type ErrorEvent,
} from '../src/error-events.ts';
import { failure } from '../src/errors.ts';
import { createHttp } from '../src/http.ts';

export const env = z.object({ BUGSINK_URL: z.url(), BUGSINK_TOKEN: z.string().min(1) });

const ISSUES = 10;
/** Events read whole in one reading, divided over its issues: each is a request, of some 7 ms on one Bugsink worker. */
const DETAILS = 200;
const PER_ISSUE = 100;
/** Rows of one answer of Bugsink. */
const PAGE = 250;
const REMEMBERED = 2000;
const PARALLEL = 6;
const PROJECT_PAGES = 20;

const page = <S extends z.ZodType>(row: S) => z.object({ next: z.string().nullable(), results: z.array(row) });
const Project = z.object({ id: z.number().int(), name: z.string(), slug: z.string() });
const Release = z.object({ version: z.string(), date_released: Instant });
const Issue = z.object({
  id: z.string(),
  friendly_id: z.string(),
  first_seen: Instant,
  last_seen: Instant,
  calculated_type: z.string(),
  calculated_value: z.string(),
});
type Issue = z.output<typeof Issue>;
const EventRow = z.object({ id: z.string(), ingested_at: Instant, digest_order: z.number().int() });

const Frame = z
  .object({
    function: z.string().nullish(),
    filename: z.string().nullish(),
    lineno: z.number().nullish(),
    in_app: z.boolean().nullish(),
  })
  .transform(({ function: name, filename: file, lineno: line, in_app }) => ({
    name,
    file,
    line,
    inApp: in_app === true,
  }));
const Exception = z
  .object({ stacktrace: z.object({ frames: z.array(Frame).nullish() }).nullish() })
  .transform(({ stacktrace }) => ({ frames: stacktrace?.frames ?? [] }));
const Tags = z
  .union([z.record(z.string(), z.coerce.string()), z.array(z.tuple([z.string(), z.coerce.string()]))])
  .nullish()
  .transform((tags) => (Array.isArray(tags) ? tags : Object.entries(tags ?? {})));
const EventDetail = z.object({
  data: z.object({
    level: z.string().nullish(),
    environment: z.string().nullish(),
    release: z.string().nullish(),
    user: EventUser,
    tags: Tags,
    contexts: FlagContexts,
    exception: z
      .union([z.object({ values: z.array(Exception) }).transform(({ values }) => values), z.array(Exception)])
      .nullish(),
  }),
});
type EventData = z.output<typeof EventDetail>['data'];

/** An issue with its events of the window: `count` of this environment, the newest of them read whole. */
interface Group {
  issue: Issue;
  count: number;
  events: EventData[];
  whole: boolean;
}

/** Errors from a Bugsink server, by its own API (`/api/canonical/0/`): events, but neither counts of a window nor tag values. */
export function createActivities({ BUGSINK_URL, BUGSINK_TOKEN }: z.output<typeof env>, settings: Settings) {
  const site = BUGSINK_URL.replace(/\/+$/, '');
  const http = createHttp({ what: 'Bugsink', baseUrl: `${site}/api/canonical/0/`, token: BUGSINK_TOKEN });
  const details = new Map<string, Promise<EventData | undefined>>(); // an event never changes

  /** An event, whole; undefined when Bugsink's retention has dropped it since it was listed. */
  const detail = (id: string): Promise<EventData | undefined> => {
    const known = details.get(id);
    if (known !== undefined) return known;
    const read = http.get(`events/${id}/`, EventDetail).then(
      ({ data }) => data,
      (error: unknown) => {
        if (error instanceof ApplicationFailure && error.type === 'NotFound') return undefined;
        throw error;
      },
    );
    details.set(id, read);
    read.catch(() => details.delete(id));
    for (const oldest of details.keys()) {
      if (details.size <= REMEMBERED) break;
      details.delete(oldest);
    }
    return read;
  };

  const projectId = async (scope: Scope): Promise<number> => {
    const wanted = projectOf(settings, scope);
    let cursor: string | null = '';
    for (let pages = 0; cursor !== null && pages < PROJECT_PAGES; pages++) {
      const answer: { next: string | null; results: z.output<typeof Project>[] } = await http.get(
        `projects/?cursor=${encodeURIComponent(cursor)}`,
        page(Project),
      );
      const found = answer.results.find(({ name, slug, id }) => [slug, name, String(id)].includes(wanted));
      if (found !== undefined) return found.id;
      cursor = answer.next && new URL(answer.next).searchParams.get('cursor');
    }
    throw failure('NotFound', `Bugsink has no project "${wanted}"`);
  };

  /** The groups with an error in the window, at most ten, the most frequent first. */
  const groupsOf = async ({
    windowSeconds,
    ...scope
  }: Window): Promise<{ groups: Group[]; project: number; all: boolean }> => {
    const since = Date.now() - windowSeconds * 1000;
    const project = await projectId(scope);
    const { results } = await http.get(`issues/?project=${project}&sort=last_seen&order=desc`, page(Issue));
    const recent = results.filter((issue) => Date.parse(issue.last_seen) >= since);
    const issues = recent.slice(0, ISSUES);
    const perIssue = Math.min(PER_ISSUE, Math.floor(DETAILS / Math.max(1, issues.length)));
    const groups = await inBatches(issues, 2, async (issue): Promise<Group> => {
      const listed = await http.get(`events/?issue=${issue.id}`, page(EventRow));
      const inWindow = listed.results.filter((event) => Date.parse(event.ingested_at) >= since);
      const newest = inWindow.slice(0, perIssue);
      const sample = (await inBatches(newest, PARALLEL, ({ id }) => detail(id))).filter((event) => event !== undefined);
      const events = sample.filter(
        ({ environment, level }) =>
          (environment ?? scope.environment) === scope.environment && ['error', 'fatal'].includes(level ?? 'error'),
      );
      const count = Math.round((inWindow.length * events.length) / Math.max(1, sample.length));
      return { issue, count, events, whole: sample.length === inWindow.length && inWindow.length < PAGE };
    });
    const failing = groups.filter(({ events }) => events.length > 0).toSorted((a, b) => b.count - a.count);
    return { groups: failing, project, all: recent.length === issues.length };
  };

  /** Release of the issue's first event; where retention has dropped it, the newest release that existed when it was first seen. */
  const firstRelease = async ({ issue }: Group, project: number): Promise<string | undefined> => {
    const [oldest] = (await http.get(`events/?issue=${issue.id}&order=asc`, page(EventRow))).results;
    const first = oldest?.digest_order === 1 ? await detail(oldest.id) : undefined;
    if (first !== undefined) return first.release ?? undefined;
    const { results } = await http.get(`releases/?project=${project}`, page(Release));
    return results.find(({ date_released }) => Date.parse(date_released) <= Date.parse(issue.first_seen))?.version;
  };

  const titleOf = ({ calculated_type, calculated_value, friendly_id }: Issue): string =>
    ([calculated_type, calculated_value].filter((part) => part !== '' && part !== '?').join(': ') || friendly_id).slice(
      0,
      300,
    );
  const urlOf = ({ id }: Issue): string => `${site}/issues/issue/${id}/event/last/`;

  const sampleOf = ({ count, events }: Group): ErrorEvent[] =>
    events.map(({ release, user, tags, contexts }) => ({
      weight: count / events.length,
      release: release ?? undefined,
      user: userOf(user),
      flags: flagsOf(tags, contexts),
    }));

  return {
    /**
     * The groups of errors in the window, at most ten. `count` is of the newest 250 events of a group, an estimate where other
     * environments share it. New in the release: first seen in it, and not seen in the window with another.
     */
    async errorPatterns({ release, ...window }): Promise<ErrorPattern[]> {
      const { groups, project } = await groupsOf(window);
      return inBatches(groups, PARALLEL, async (group) => {
        const first = await firstRelease(group, project);
        const isAsked = (name: string | undefined) => sameRelease(window.service, name, release);
        return {
          id: group.issue.id,
          title: titleOf(group.issue),
          count: group.count,
          firstSeen: group.issue.first_seen,
          lastSeen: group.issue.last_seen,
          ...(first === undefined || first === '' ? {} : { firstRelease: first }),
          newInRelease: isAsked(first) && group.events.every((event) => isAsked(event.release ?? release)),
          url: urlOf(group.issue),
        };
      });
    },

    async affectedUsers(window) {
      const { groups, all } = await groupsOf(window);
      return distinctUsers(groups.flatMap(sampleOf), !all || groups.some(({ whole }) => !whole));
    },

    /** @throws NotFound (permanent) when the window has no error. */
    async topStackTrace(window) {
      const [top] = (await groupsOf(window)).groups;
      if (top === undefined)
        throw failure('NotFound', `no error of ${window.service} in the last ${window.windowSeconds} s`);
      const frames = innermostFrames(top.events[0]?.exception?.at(-1)?.frames ?? []);
      return { pattern: titleOf(top.issue), frames, url: urlOf(top.issue) };
    },

    /** From a sample: the newest events of each group, each standing for its part of the group's count. */
    async errorCorrelations(window) {
      return correlations((await groupsOf(window)).groups.flatMap(sampleOf));
    },
  } satisfies ErrorTracker;
}
