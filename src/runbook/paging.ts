import { isCancellation, metricMeter, proxyActivities } from '@temporalio/workflow';
import type { Level, Page, Policy } from '../contracts/index.ts';
import type { Configuration, Notifier } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';

interface Reachable {
  people: readonly Pick<Policy['people'][number], 'name' | 'channels'>[];
}

/** Where a copy of every page lies. */
const CONSOLE = 'console';
/** A channel that does not take a page in this time is given up for the next. */
const { page: send } = proxyActivities<Notifier>({ ...delivery, scheduleToCloseTimeout: '45 seconds' });
const { onCall } = proxyActivities<Configuration>({ ...delivery, scheduleToCloseTimeout: '30 seconds' });

/** Everybody of a level: those named, and whoever is on call at this moment, where that can be told. */
export async function peopleOf({ people, onCall: schedule }: Level): Promise<string[]> {
  if (schedule === undefined) return people;
  const turn = await onCall({ schedule, at: new Date().toISOString() }).catch((error: unknown) => {
    if (isCancellation(error)) throw error;
    return { people: [] };
  });
  return [...new Set([...turn.people, ...people])];
}

/** The policy with everybody of each level by name, as the schedules stand at this moment. */
export const withPeople = async (policy: Policy): Promise<Policy> => ({
  ...policy,
  ladder: await Promise.all(policy.ladder.map(async (level) => ({ ...level, people: await peopleOf(level) }))),
});

/**
 * Page one person: over the first of the person's channels that takes it, and into the console inbox. Idempotent on the page's
 * key. Resolves with the channels that took it. @throws the last failure where none of the person's own channels did; the
 * console counts for whoever has no other.
 */
export function reach(page: Page, among: Reachable): Promise<string[]> {
  const unreached = metricMeter.createCounter('holdfast_pages_unreached');
  const count = (by: number): void => unreached.add(by, { level: page.level });
  count(0); // a counter that begins at its first event hides that event from `increase()`
  return reachBy(send, page, among, (error) => {
    if (!isCancellation(error)) count(1);
  });
}

/** Page one person over every channel of the person's, and into the console inbox; resolves with the channels that did not take it. */
export async function reachOverAll(page: Page, { people }: Reachable): Promise<string[]> {
  const { channels = [] } = people.find(({ name }) => name === page.person) ?? {};
  const tried = [...new Set([CONSOLE, ...channels])].map((channel) =>
    send({ channel, page }).then(
      () => [],
      (error: unknown) => {
        if (isCancellation(error)) throw error;
        return [channel];
      },
    ),
  );
  return (await Promise.all(tried)).flat();
}

/** The same where no workflow runs, over whatever sends. `lost` is told of what reached nobody. */
export async function reachBy(
  send: Notifier['page'],
  page: Page,
  { people }: Reachable,
  lost?: (error: unknown) => void,
): Promise<string[]> {
  const { channels = [] } = people.find(({ name }) => name === page.person) ?? {};
  const over = (channel: string) =>
    send({ channel, page }).then(
      () => ({ channel }),
      (error: unknown) => ({ error }),
    );
  const first = async () => {
    let tried;
    for (const channel of channels) {
      tried = await over(channel);
      if ('channel' in tried) break;
    }
    return tried;
  };
  const [copy, own = copy] = await Promise.all([over(CONSOLE), first()]);
  if ('error' in own) {
    lost?.(own.error);
    throw own.error;
  }
  return [own, ...(own === copy ? [] : [copy])].flatMap((one) => ('channel' in one ? [one.channel] : []));
}
