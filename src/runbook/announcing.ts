import { CancellationScope, condition, isCancellation, patched, proxyActivities } from '@temporalio/workflow';
import type { Announcement, Status } from '../contracts/index.ts';
import type { Notifier } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';
import { needsAPerson } from './endings.ts';
import type { Story } from './story.ts';

const LAST_WORD = '15 seconds';
const { announce } = proxyActivities<Notifier>(delivery);

/** What everybody who follows it is told: the state, and the proposal that waits. */
function announcementOf(status: Status, of: { workflowId: string; runId: string }): Omit<Announcement, 'at'> {
  const { incident, phase, proposal, outcome, title, doing, note, findings, acknowledgedBy, waitingFor, paged } =
    status;
  const { service, environment, severity } = incident;
  const over = outcome !== undefined && !(needsAPerson(status) && status.runbook !== 'escalation');
  const asks = phase === 'waiting' && proposal !== undefined && waitingFor.length > 0 ? proposal : undefined;
  const lines = [note ?? doing, ...findings.map(({ verdict, check, summary }) => `${verdict}: ${check}: ${summary}`)];
  return {
    service,
    environment,
    severity,
    ...of,
    state: over ? 'closed' : acknowledgedBy === undefined ? 'open' : 'acknowledged',
    subject: `${title}: ${service} ${environment}: ${incident.summary}`.slice(0, 200),
    text: lines.join('\n').slice(0, 4000),
    ...(asks && { asks: { digest: asks.digest, summary: asks.summary, expiresAt: asks.expiresAt } }),
    ...(paged && { paged }),
  };
}

/**
 * Tell the channels on which everybody follows, once per change of state: open, asked, acknowledged, closed. One message at a
 * time for each channel, always the newest; nothing waits for them but the end of the run, for 15 s.
 */
export function keepAnnouncing(of: {
  story: Story;
  of: { workflowId: string; runId: string };
  channels: () => readonly string[];
  /** They know that it is open. */
  known?: boolean;
}): { look(): void; stop(): Promise<void> } {
  const { story } = of;
  const scope = new CancellationScope({ cancellable: false });
  const busy = new Set<string>();
  const told: Record<string, string> = {};
  const first = of.known === true ? 'open ' : undefined;
  const wordOf = ({ state, asks }: Omit<Announcement, 'at'>): string => `${state} ${asks?.digest ?? ''}`;
  const knows = (channel: string, announcement: Omit<Announcement, 'at'>): boolean =>
    (told[channel] ?? first) === wordOf(announcement);
  const keep = async (channel: string): Promise<void> => {
    for (;;) {
      await Promise.resolve(); // what changes together is told together
      const announcement = announcementOf(story.status, of.of);
      if (knows(channel, announcement)) return;
      told[channel] = wordOf(announcement);
      await announce({ channel, announcement: { ...announcement, at: new Date().toISOString() } }).catch(
        (error: unknown) => {
          if (!isCancellation(error)) story.tell('announcing', `${channel} could not be told`);
        },
      );
    }
  };
  const look = (): void => {
    for (const channel of of.channels()) {
      if (busy.has(channel)) continue;
      busy.add(channel);
      void scope
        .run(() => keep(channel))
        .finally(() => {
          busy.delete(channel);
          // it has changed since it was looked at last, and found this one busy
          if (!knows(channel, announcementOf(story.status, of.of)) && patched('announced-to-the-end')) look();
        });
    }
  };
  story.onWanted(look);
  return {
    look,
    async stop() {
      await condition(() => busy.size === 0, LAST_WORD);
    },
  };
}
