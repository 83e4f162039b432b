/** What the error trackers share: from the events of a window to the readings that a diagnosis needs. */
import { z } from 'zod';
import type { AffectedUsers, ErrorCorrelations, Settings, Window } from './contracts/index.ts';
import { failure } from './errors.ts';

/** One event of a sample; it stands for `weight` events of its group. */
export interface ErrorEvent {
  weight: number;
  release?: string | undefined;
  user?: string | undefined;
  flags: Record<string, string>;
}

/** Feature flags as the SDKs put them into `contexts.flags`. */
export const FlagContexts = z
  .object({
    flags: z.object({ values: z.array(z.object({ flag: z.string(), result: z.unknown() })).optional() }).nullish(),
  })
  .nullish();

/** One call of a stack trace; `inApp` where the SDK says that it is the team's own code. */
export interface Frame {
  name?: string | null | undefined;
  file?: string | null | undefined;
  line?: number | null | undefined;
  inApp: boolean;
}

/** A person as an SDK describes one; the first identity it has names it. */
export const EventUser = z
  .object({
    id: z.union([z.string(), z.number()]).nullish(),
    email: z.string().nullish(),
    username: z.string().nullish(),
    ip_address: z.string().nullish(),
  })
  .nullish();

export const userOf = (user: z.output<typeof EventUser>): string | undefined => {
  const identity = user?.id ?? user?.email ?? user?.username ?? user?.ip_address;
  return identity === undefined || identity === null ? undefined : String(identity);
};

const FLAG_TAG = 'flag.';

/** Flags of an event: tags named `flag.<key>` and the SDK's own flag context. Values read `on` or `off` where they are boolean. */
export function flagsOf(
  tags: Iterable<readonly [string, string]>,
  contexts: z.output<typeof FlagContexts>,
): Record<string, string> {
  const spelled = (value: unknown): string =>
    String(value)
      .replace(/^true$/, 'on')
      .replace(/^false$/, 'off');
  const fromContext = (contexts?.flags?.values ?? []).map(({ flag, result }) => [flag, spelled(result)]);
  const fromTags = [...tags]
    .filter(([key]) => key.startsWith(FLAG_TAG))
    .map(([key, value]) => [key.slice(FLAG_TAG.length), spelled(value)]);
  return Object.fromEntries([...fromContext, ...fromTags]) as Record<string, string>;
}

/** Whether two names mean one release of a service: `shop@v2` and `v2` do. */
export const sameRelease = (service: string, a: string | undefined, b: string | undefined): boolean => {
  const bare = (release: string): string =>
    release.startsWith(`${service}@`) ? release.slice(service.length + 1) : release;
  return a !== undefined && b !== undefined && bare(a) === bare(b);
};

/** How the events divide over releases and flag values, the largest share first; at most 10 releases and 20 flag values. */
export function correlations(events: ErrorEvent[]): ErrorCorrelations {
  const total = events.reduce((sum, event) => sum + event.weight, 0);
  const shares = (labelsOf: (event: ErrorEvent) => string[]): { label: string; share: number }[] => {
    const weights = new Map<string, number>();
    for (const event of events)
      for (const label of labelsOf(event)) weights.set(label, (weights.get(label) ?? 0) + event.weight);
    return [...weights]
      .map(([label, weight]) => ({ label, share: Math.min(1, Number((weight / total).toFixed(4))) }))
      .toSorted((a, b) => b.share - a.share);
  };
  return {
    events: Math.round(total),
    releases: shares((event) => (event.release === undefined ? [] : [event.release]))
      .slice(0, 10)
      .map(({ label, share }) => ({ release: label, share })),
    flags: shares((event) => Object.entries(event.flags).map((entry) => JSON.stringify(entry)))
      .slice(0, 20)
      .map(({ label, share }) => {
        const [flag, value] = JSON.parse(label) as [string, string];
        return { flag, value, share };
      }),
  };
}

/** Distinct users of the events. */
export const distinctUsers = (events: ErrorEvent[], sampled: boolean): AffectedUsers => ({
  count: new Set(events.flatMap((event) => event.user ?? [])).size,
  sampled,
});

/** The innermost frames, the team's own code where there is any; at most 10 lines. `frames` run from the outermost call inwards. */
export function innermostFrames(frames: Frame[]): string[] {
  const own = frames.filter((frame) => frame.inApp);
  return (own.length > 0 ? own : frames)
    .toReversed()
    .slice(0, 10)
    .map(({ name, file, line }) => `${name || '?'} (${file ?? '?'}:${line ?? '?'})`.slice(0, 300));
}

/** Project of the error tracker. @throws NotConfigured (permanent). */
export function projectOf(
  settings: Settings,
  { service, environment }: Pick<Window, 'service' | 'environment'>,
): string {
  const project = settings.services.find(({ name }) => name === service)?.environments[environment]?.errors?.project;
  if (project === undefined)
    throw failure('NotConfigured', `${service} in ${environment} has no errors.project in the configuration`);
  return project;
}

/** Run `work` over all items, at most `width` at a time; results in the order of the items. */
export async function inBatches<T, R>(items: T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += width)
    results.push(...(await Promise.all(items.slice(start, start + width).map(work))));
  return results;
}
