import { proxyActivities } from '@temporalio/workflow';
import type { Page, Policy } from '../contracts/index.ts';
import type { Notifier } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';

/** Where a copy of every page lies. */
const CONSOLE = 'console';
/** A channel that does not take a page in this time is given up for the next. */
const { page: send } = proxyActivities<Notifier>({ ...delivery, scheduleToCloseTimeout: '45 seconds' });

/**
 * Page one person: over the first of the person's channels that takes it, and into the console inbox. Idempotent on the page's
 * key. Resolves with the channels that took it. @throws the last failure where none did.
 */
export async function reach(page: Page, policy: Pick<Policy, 'people'>): Promise<string[]> {
  const { channels = [] } = policy.people.find(({ name }) => name === page.person) ?? {};
  const first = async (): Promise<string[]> => {
    for (const channel of channels) {
      const taken = await send({ channel, page }).then(
        () => true,
        () => false,
      );
      if (taken) return [channel];
    }
    return [];
  };
  const [copy, reached] = await Promise.all([
    send({ channel: CONSOLE, page }).then(
      () => [CONSOLE],
      (error: unknown) => error,
    ),
    first(),
  ]);
  if (Array.isArray(copy)) return [...reached, ...(copy as string[])];
  if (reached.length === 0) throw copy;
  return reached;
}
