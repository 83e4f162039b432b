import type { Page, Settings } from '../contracts/index.ts';
import type { Notifier } from '../contracts/ports.ts';
import { peopleAt } from '../on-call.ts';
import { reachBy } from '../runbook/paging.ts';

/** Pages the first level of the ladder as it stands now, without Temporal. Resolves with the people who were reached. Idempotent on the key. */
export type PageFirstLevel = (page: Omit<Page, 'person' | 'level'>) => Promise<string[]>;
export interface Pager {
  pageFirstLevel: PageFirstLevel;
  /** By channel and person, since the start. */
  counts: Record<'sent' | 'failed', number>;
}

export function createPager(of: { settings: Settings; notifier: Notifier; log: (line: string) => void }): Pager {
  const { settings, notifier, log } = of;
  const people = settings.people.map((one) => ({ ...one, channels: one.channels.map(({ via }) => via) }));
  const counts = { sent: 0, failed: 0 };
  const send: Notifier['page'] = async ({ channel, page }) => {
    try {
      await notifier.page({ channel, page });
      counts.sent += 1;
    } catch (error) {
      counts.failed += 1;
      log(`gateway: ${page.person} was not paged over ${channel}: ${JSON.stringify(String(error))}`);
      throw error;
    }
  };
  const pageFirstLevel: PageFirstLevel = async (page) => {
    const [first] = settings.ladder;
    if (first === undefined) return [];
    const reached = await Promise.all(
      peopleAt(first, settings.schedules, Date.now()).map((person) =>
        reachBy(send, { ...page, key: `${page.key}:${person}`, person, level: first.level }, { people }).then(
          () => [person],
          () => [],
        ),
      ),
    );
    return reached.flat();
  };
  return { pageFirstLevel, counts };
}
