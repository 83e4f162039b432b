import {
  CancellationScope,
  condition,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  startChild,
  upsertMemo,
} from '@temporalio/workflow';
import { AlertBatch, Said, type Incident, type Policy, type Result, type Status } from '../contracts/index.ts';
import type { Configuration, RecordKeeper } from '../contracts/ports.ts';
import { delivery, diagnostic, projection } from './activity-options.ts';
import { keepAnnouncing } from './announcing.ts';
import { startReview } from './aftermath.ts';
import { createApprovals, type Approvals } from './approval.ts';
import { createCallouts, type Callouts } from './callout.ts';
import { kebab } from './catalogue.ts';
import { needsAPerson } from './endings.ts';
import { interruptionOf, type Switchboard } from './interruption.ts';
import * as messages from './messages.ts';
import { createStory, type Story } from './story.ts';

const { policy: readPolicy } = proxyLocalActivities<Configuration>({
  ...diagnostic,
  scheduleToCloseTimeout: '5 minutes',
  retry: {},
});
const { policy: readPolicyAnew } = proxyActivities<Configuration>(delivery);
const { record } = proxyActivities<RecordKeeper>(projection);

/** What every run has: its story, its switches, its policy, its approvals, its ladders. */
export interface Kit {
  story: Story;
  board: Switchboard;
  policy: Policy;
  approvals: Approvals;
  callouts: Callouts;
}

/**
 * Conduct a run from its first word to its last: answer every message and query, tell its story, record every ending (a failure
 * of the automation too), page where a person is needed. Never blocks on the record.
 */
export async function conduct(
  of: { name: string; title: string; incident: Incident; howToStop?: string; opened?: string },
  steps: (kit: Kit) => Promise<Result>,
): Promise<{ result: Result; story: Story }> {
  const { name, title, incident, howToStop, opened } = of;
  const story = createStory({ runbook: kebab(name), title, incident, howToStop, opened });
  const board: Switchboard = { paused: false, ending: undefined };
  let policy: Policy | undefined;
  const callouts = createCallouts({ story, policy: () => policy });
  answerMessages(story, board, callouts);
  for (const batch of incident.carried ?? []) story.count(batch);
  const { service, environment } = incident;
  const renewPolicy = async (): Promise<void> => {
    policy = await readPolicyAnew({ service, environment }).catch(() => policy); // the one that is known still counts
  };
  const approvals = createApprovals({ story, board, callouts, policy: () => policy, renewPolicy });

  const recorder = keepRecord(story);
  const announcer = keepAnnouncing({ story, of: story.status, channels: () => policy?.announce ?? [] });
  const result = await (async (): Promise<Result> => {
    try {
      policy = await readPolicy({ service, environment });
      announcer.look();
      return await steps({ story, board, policy, approvals, callouts });
    } catch (error) {
      const ordered = interruptionOf(error);
      if (ordered !== undefined) return ordered;
      if (isCancellation(error)) return { outcome: 'stopped', note: 'the workflow was cancelled in Temporal' };
      return {
        outcome: 'failed',
        note: `the automation broke: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  })();
  await CancellationScope.nonCancellable(() =>
    close({ story, policy, callouts, keepers: [recorder, announcer], result }),
  );
  return { result, story };
}

function answerMessages(story: Story, board: Switchboard, callouts: Callouts): void {
  const said = (input: unknown): Said => Said.safeParse(input ?? {}).data ?? { by: 'someone', text: '' };
  const end = (outcome: 'stopped' | 'taken-over', by: string, text: string): void => {
    board.ending ??= {
      outcome,
      note: `${outcome === 'stopped' ? 'stopped' : 'taken over'} by ${by}${text === '' ? '' : `: ${text}`}`,
    };
    story.tell(outcome, board.ending.note, by);
  };
  setHandler(messages.status, (): Status => story.status, {
    description: 'What it is doing, what comes next, how to stop it; the whole timeline',
  });
  setHandler(
    messages.addAlerts,
    (batch) => {
      const parsed = AlertBatch.safeParse(batch);
      if (parsed.success) story.count(parsed.data);
      else story.tell('refused', 'a batch of alerts was not understood', 'gateway');
    },
    { description: 'From the gateway: alerts that belong to this incident' },
  );
  setHandler(messages.acknowledge, (input) => callouts.acknowledge(said(input)), {
    description: 'I am looking at it: {"by":"your-name"}. The ladder waits until that is stale',
  });
  setHandler(messages.note, (input) => story.tell('note', said(input).text, said(input).by), {
    description: 'Add to the timeline: {"by":"your-name","text":"…"}',
  });
  setHandler(
    messages.pause,
    (input) => {
      board.paused = true;
      story.set({ paused: true });
      story.tell('paused', 'Paused: what runs is finished, nothing new begins', said(input).by);
    },
    { description: 'Begin nothing new until resumed: {"by":"your-name"}' },
  );
  setHandler(
    messages.resume,
    (input) => {
      board.paused = false;
      story.set({ paused: false });
      story.tell('resumed', 'Resumed', said(input).by);
    },
    { description: 'Go on after a pause: {"by":"your-name"}' },
  );
  setHandler(messages.stop, (input) => end('stopped', said(input).by, said(input).text), {
    description:
      'End the automation: an incident leaves what is, a deployment takes back what it did: {"by":"your-name"}',
  });
  setHandler(messages.takeOver, (input) => end('taken-over', said(input).by, said(input).text), {
    description: 'A person goes on by hand, the automation ends: {"by":"your-name"}',
  });
}

/** One write at a time, always of the newest state; Supabase may be away for hours. At the end one under way gets 15 s. */
function keepRecord(story: Story): { stop(): Promise<void> } {
  let stopped = false;
  let writing = false;
  let written = 0;
  const scope = new CancellationScope();
  const write = async (): Promise<void> => {
    while (!stopped && story.wanted() > written) {
      await Promise.resolve(); // what changes together is written together
      written = story.status.revision;
      await record({ ...story.status });
    }
  };
  story.onWanted(() => {
    if (writing || stopped) return;
    writing = true;
    void scope
      .run(write)
      .catch((error: unknown) => {
        if (!isCancellation(error)) story.tell('record', 'the record is behind');
      })
      .finally(() => (writing = false));
  });
  return {
    async stop() {
      stopped = true;
      if (await condition(() => !writing, '15 seconds')) return;
      scope.cancel();
      await condition(() => !writing);
    },
  };
}

/** Hand over where a person must go on, and leave the last word to a workflow of its own: the incident does not wait for the record. */
async function close(of: {
  story: Story;
  policy: Policy | undefined;
  callouts: Callouts;
  keepers: { stop(): Promise<void> }[];
  result: Result;
}): Promise<void> {
  const { story, policy, callouts, keepers, result } = of;
  const { outcome, note } = result;
  const { workflowId, runId, incident, title, findings, steps, attempts = [] } = story.status;
  upsertMemo({ outcome, note: note.slice(0, 1000), attempts });
  story.tell('closed', `Closed as ${outcome}: ${note}`);
  story.set({ phase: 'closed', outcome, note, doing: `Closed as ${outcome}.`, next: 'Nothing.', waitingFor: [] });
  await Promise.all(keepers.map((keeper) => keeper.stop()));
  if (needsAPerson(story.status)) {
    const lines = [note, ...findings.map(({ verdict, check, summary }) => `${verdict}: ${check}: ${summary}`)];
    await callouts.handOver({
      subject: `${title} on ${incident.service}: ${outcome}, a person is needed`,
      text: lines.join('\n').slice(0, 4000),
      ...(steps !== undefined && { severity: 'warning' as const }), // it was ordered as no incident
      ...(outcome === 'unanswered' && { climbed: true }),
      ...(steps === undefined && attempts.length === 0 && { untilResolved: true }),
    });
  }
  await startChild('recordIncident', {
    workflowId: `record.${workflowId}.${runId}`,
    args: [story.status],
    parentClosePolicy: ParentClosePolicy.ABANDON,
  });
  await startReview(story.status, policy);
}
