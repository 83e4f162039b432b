import { getExternalWorkflowHandle, patched, setHandler } from '@temporalio/workflow';
import { deciderFor, Said, type BreakGlassOrder, type Page, type Policy, type Result } from '../contracts/index.ts';
import type { Decided, Draft } from './approval.ts';
import type { About, Callouts } from './callout.ts';
import { conduct, type Kit } from './conduct.ts';
import { whyNot } from './decisions.ts';
import * as messages from './messages.ts';
import { reachOverAll, withPeople } from './paging.ts';
import type { Story } from './story.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const HOW_TO_STOP = 'it ends when a second person confirms it, or objects to it with a note';

/**
 * What one person has approved alone: tell everybody of the ladder over every channel, and ask a second person to confirm it or to
 * object. The ladder is climbed when nobody has in time, and once a day from then on, until somebody has. Nobody ends it otherwise.
 */
export async function secondLook(order: BreakGlassOrder): Promise<Result> {
  const { service, environment, by, via, reason, summary, at: openedAt } = order;
  const asksDelegates = patched('asks-delegates'); // here: see `defineRunbook`
  const incident = {
    service,
    environment,
    severity: 'critical' as const,
    summary: `${by} alone approved: ${summary}`,
    openedAt,
    openedBy: `${via}:${by}`,
  };
  const of = { name: 'breakGlass', title: 'Break-glass', incident, howToStop: HOW_TO_STOP, opened: 'Begun' };
  const { result } = await conduct(of, async (kit) => {
    const { story, approvals } = kit;
    refuseEndings(story);
    story.set({ doing: `Telling everybody of the ladder: ${by} approved alone, because: ${reason}.` });
    const told = tellEverybody(kit, order, { policy: await withPeople(kit.policy), asksDelegates });
    const draft = draftOf(order);
    let decided: Decided<Draft['action']> = await approvals.request(draft, { until: order.until, ask: told });
    while (decided.verdict !== 'approved' && decided.verdict !== 'declined') {
      story.tell('overdue', `Nobody has looked by ${story.status.proposal?.expiresAt}: the ladder is climbed`);
      decided = await approvals.request(draft, { until: new Date(Date.now() + DAY_MS).toISOString() });
    }
    const end: Result =
      decided.verdict === 'approved'
        ? {
            outcome: 'confirmed',
            note: `${decided.approval.by.join(', ')} confirms what ${by} approved alone: ${summary}`,
          }
        : { outcome: 'objected', note: decided.note };
    await tellRun(order, end);
    return end;
  });
  return result;
}

/** What ends or holds up other runs would spare somebody the look of a second person. */
function refuseEndings(story: Story): void {
  for (const signal of [messages.stop, messages.takeOver, messages.pause, messages.resume])
    setHandler(
      signal,
      (input) => {
        const { by } = Said.safeParse(input ?? {}).data ?? { by: 'someone' };
        story.tell('refused', `${signal.name} changed nothing: ${HOW_TO_STOP}`, by);
      },
      { description: `Changes nothing: ${HOW_TO_STOP}` },
    );
}

function draftOf(order: BreakGlassOrder): Draft {
  const { service, environment, of, digest, by, via, reason, summary, risk, at, until, notBy = [] } = order;
  return {
    summary: `Look at what ${by} approved alone: ${summary}`,
    why: [
      `${by} via ${via} at ${at}: ${reason}`,
      `In ${of.workflowId}, run ${of.runId}, proposal ${digest.slice(0, 8)}`,
      `Confirm or object by ${until}; to object needs a note`,
    ],
    undo: 'nothing is done or taken back by the answer: act by hand where it should not have been',
    risk,
    action: { kind: 'confirm-break-glass', service, environment, of, digest, by, reason },
    notBy: [by, ...notBy],
  };
}

/** Everybody of the ladder, who decides instead of them, and whoever approved alone, over every channel of theirs; whoever may confirm it is asked to. */
function tellEverybody(
  { story }: Kit,
  order: BreakGlassOrder,
  { policy, asksDelegates }: { policy: Policy; asksDelegates: boolean },
): Callouts['ask'] {
  const { service, environment, by, until, at } = order;
  const { workflowId, runId, incident } = story.status;
  const draft = draftOf(order);
  const may = (person: string): boolean => whyNot(person, draft, policy, Date.now()) === undefined;
  const onLadder = policy.ladder.flatMap(({ people }) => people);
  const others = onLadder.some(may) ? [] : policy.people.map(({ name }) => name).filter(may);
  const since = Date.parse(at); // whom it reaches is the same in a replay
  const instead = asksDelegates ? onLadder.map((one) => deciderFor(one, policy.people, since)) : [];
  const people = [...new Set([...onLadder, ...instead, ...others, by])];
  return (key: string, { subject, text, asks }: About) => {
    const pages = people.map((person): Page => ({
      service,
      environment,
      severity: incident.severity,
      workflowId,
      runId,
      key: `${key}:${person}`,
      person,
      level: policy.ladder.find((level) => level.people.includes(person))?.level ?? 'approvers',
      subject,
      text,
      ...(asks !== undefined && may(person) && { asks }),
    }));
    const paged = Object.fromEntries(pages.map(({ key: first, person }) => [first, { person, times: 1 }]));
    story.set({ waitingFor: people.filter(may), waitingUntil: until, paged: { ...story.status.paged, ...paged } });
    story.tell('paged', `Told ${people.join(', ')} over every channel: a second person must look by ${until}`);
    for (const page of pages)
      reachOverAll(page, policy).then(
        (failed) => {
          for (const channel of failed) story.tell('page-failed', `${page.person} could not be told over ${channel}`);
        },
        () => undefined, // cancelled in Temporal
      );
    return { over: () => false, withdraw: () => undefined };
  };
}

/** Into the timeline of the run in which it was approved, where that has not ended. */
async function tellRun({ of }: BreakGlassOrder, { outcome, note }: Result): Promise<void> {
  const said = { by: 'break-glass', text: `${outcome}: ${note}` };
  await getExternalWorkflowHandle(of.workflowId, of.runId)
    .signal(messages.note, said)
    .catch(() => undefined);
}
