import {
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import {
  AlertBatch,
  type EscalationOrder,
  HandOver,
  pageKey,
  Said,
  type EscalationNews,
  type Result,
} from '../contracts/index.ts';
import type { Configuration } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';
import { untilResolved } from './alerts.ts';
import { keepAnnouncing } from './announcing.ts';
import * as messages from './messages.ts';
import { peopleOf, reach } from './paging.ts';
import { askedOf, entry, isAnswered, join, next, type Answers, type Asked, type Rung } from './rungs.ts';
import { createStory, type Story } from './story.ts';

const HOW_TO_STOP =
  'send the signal `acknowledge` (it waits), `takeOver` (it ends) or `handOver` with {"by":"your-name"}, the last also with "to"';
const { businessHours } = proxyActivities<Configuration>(delivery);

type Tell = (news: EscalationNews) => void;

/**
 * Climb the ladder by durable timers until somebody answers: page everybody of a level, wait, go on to the next. An
 * acknowledgement holds it until that is stale. The last level repeats where a person must take over; it ends the ladder where a
 * proposal asks, which expires. Cancelled by the run that wanted it: withdrawn. A later run that needs a person joins under the
 * stricter terms of both.
 */
export async function climb(asked: EscalationOrder): Promise<Result> {
  const order = { ...asked };
  const { service, environment, severity, subject, of } = order;
  const opened = { openedAt: new Date().toISOString(), openedBy: of.workflowId.slice(0, 100) };
  const incident = { service, environment, severity, summary: subject, ...opened };
  const story = createStory({
    runbook: 'escalation',
    title: 'Escalation',
    incident,
    howToStop: HOW_TO_STOP,
    opened: 'Begun',
  });
  story.set({ paged: order.paged });
  const parent = getExternalWorkflowHandle(of.workflowId, of.runId);
  const answers: Answers = {
    acknowledgedBy: undefined,
    acknowledgements: 0,
    to: undefined,
    end: undefined,
    again: false,
    late: undefined,
  };
  const tell: Tell = (news) => {
    story.tell(news.kind, news.what, news.who);
    const what = news.what.slice(0, 600);
    if (order.asks !== undefined) void parent.signal(messages.escalated, { ...news, what }).catch(() => undefined); // it may be over
  };
  answer(order, { story, answers, tell, parent });
  if (order.untilResolved === true)
    untilResolved(story, () => {
      if (order.untilResolved === true)
        answers.end ??= { outcome: 'resolved', note: 'the alert has resolved; nothing was changed' };
    });
  const announcing =
    order.asks === undefined ? keepAnnouncing({ story, of, channels: () => order.announce, known: true }) : undefined;
  const result = await untilAnswered(order, { story, answers, tell }).catch((error: unknown): Result => {
    if (!isCancellation(error)) throw error;
    return { outcome: 'stopped', note: 'withdrawn: what it was about is settled' };
  });
  story.tell('closed', result.note);
  story.set({ phase: 'closed', ...result, doing: `Closed: ${result.note}.`, next: 'Nothing.', waitingFor: [] });
  await CancellationScope.nonCancellable(async () => announcing?.stop());
  if (answers.late !== undefined) await continueAsNew<typeof climb>(answers.late);
  return result;
}

function answer(
  order: EscalationOrder,
  of: { story: Story; answers: Answers; tell: Tell; parent: ReturnType<typeof getExternalWorkflowHandle> },
): void {
  const { story, answers, tell, parent } = of;
  const said = (input: unknown): Said => Said.safeParse(input ?? {}).data ?? { by: 'someone', text: '' };
  setHandler(messages.status, () => story.status, { description: 'Who was paged, who is next, who has answered' });
  setHandler(
    messages.acknowledge,
    (input) => {
      const { by } = said(input);
      Object.assign(answers, { acknowledgedBy: by, again: false });
      answers.acknowledgements += 1;
      story.set({ acknowledgedBy: by });
      const { staleAfter } = order.rules;
      const until = new Date(Date.now() + msToNumber(staleAfter)).toISOString();
      tell({ kind: 'acknowledged', what: `Acknowledged: the ladder waits ${staleAfter}`, who: by, until });
    },
    { description: 'I am looking at it: {"by":"your-name"}. The ladder waits until that is stale' },
  );
  setHandler(
    messages.addAlerts,
    (input) => {
      const batch = AlertBatch.safeParse(input).data;
      if (batch === undefined) return;
      story.count(batch);
      const { severity } = story.status.incident;
      if (severity === order.severity) return;
      join(order, { ...order, severity, rules: { ...order.rules, businessHours: false } }, { story, answers });
    },
    { description: 'From the gateway: the alerts of an incident that has ended have resolved' },
  );
  setHandler(
    messages.reopen,
    ({ text, order: again = order }) => {
      if (answers.end !== undefined || story.status.phase === 'closed') answers.late = again;
      story.set({ alerts: { ...story.status.alerts, resolved: false } });
      story.tell('reopened', text);
      join(order, again, { story, answers });
    },
    { description: 'From a later run of the incident: a person is needed again' },
  );
  setHandler(messages.note, (input) => story.tell('note', said(input).text, said(input).by), {
    description: 'Add to the timeline: {"by":"your-name","text":"…"}',
  });
  setHandler(
    messages.handOver,
    (input) => {
      const parsed = HandOver.safeParse(input);
      if (!parsed.success || !order.people.some(({ name }) => name === parsed.data.to))
        return story.tell('refused', 'a hand-over needs {"by":"your-name","to":"<a person of the configuration>"}');
      answers.to = parsed.data.to;
      story.tell('handed-over', `Handed to ${parsed.data.to}`, parsed.data.by);
    },
    { description: 'Page this person next, by name: {"by":"your-name","to":"their-name"}' },
  );
  for (const [signal, outcome, words] of [
    [messages.takeOver, 'taken-over', 'taken over'],
    [messages.stop, 'stopped', 'stopped'],
  ] as const)
    setHandler(
      signal,
      async (input) => {
        const { by, text } = said(input);
        if (order.asks !== undefined) await parent.signal(signal, { by, text }).catch(() => undefined); // not sent where this run ends before
        answers.end ??= { outcome, note: `${words} by ${by}${text === '' ? '' : `: ${text}`}` };
        story.tell(outcome, answers.end.note, by);
      },
      { description: 'Somebody is on it, page nobody further: {"by":"your-name"}' },
    );
}

async function untilAnswered(
  order: EscalationOrder,
  of: { story: Story; answers: Answers; tell: Tell },
): Promise<Result> {
  const { answers, story } = of;
  let at: Rung | undefined = { rung: entry(order), repeated: 0 };
  await untilBusinessHours(order, of);
  while (at !== undefined && answers.end === undefined) {
    if (answers.again) at = { rung: Math.max(at.rung, entry(order)), repeated: 0 };
    answers.again = false;
    const rung = order.ladder[at.rung];
    if (rung === undefined) break;
    const named: Asked[] | undefined = answers.to === undefined ? undefined : [{ person: answers.to }];
    answers.to = undefined;
    const asked = named ?? askedOf(order, await peopleOf(rung), Date.now());
    if (asked.length === 0) {
      story.tell('nobody', `There is nobody to page on the level ${rung.level}`);
      if (at.rung === order.ladder.length - 1) {
        const waitingUntil = new Date(Date.now() + msToNumber(rung.wait)).toISOString();
        story.set({ phase: 'waiting', doing: `Nobody can be paged: ${order.subject}.`, waitingUntil });
        await condition(() => isAnswered(answers), rung.wait);
      }
    } else await page(order, { ...of, asked, level: rung.level, wait: rung.wait });
    if (answers.acknowledgedBy !== undefined) await whileAcknowledged(order, of);
    else if (!answers.again && answers.to === undefined && named === undefined) at = next(order, at); // who was named did not answer: the level is asked again
  }
  return answers.end ?? { outcome: 'unanswered', note: 'nobody answered on any level of the ladder' };
}

/** Page these people and wait for an answer. What is still on its way when it comes is called back. */
async function page(
  order: EscalationOrder,
  of: {
    story: Story;
    answers: Answers;
    tell: Tell;
    asked: Asked[];
    level: string;
    wait: string;
  },
): Promise<void> {
  const { story, answers, tell, asked, level, wait } = of;
  const until = new Date(Date.now() + msToNumber(wait)).toISOString();
  const people = asked.map(({ person }) => person);
  const names = asked.map(({ person, insteadOf }) => `${person}${insteadOf ? ` instead of ${insteadOf}` : ''}`);
  story.set({
    phase: 'waiting',
    doing: `Waiting for ${people.join(', ')}: ${order.subject}.`,
    next: 'Page the next level if nobody answers.',
    waitingFor: people,
    waitingUntil: until,
  });
  const paged = { ...story.status.paged };
  const keys = asked.map(({ person, insteadOf }) => {
    const first = `${order.key}:${level}:${person}`;
    const times = (paged[first]?.times ?? 0) + 1;
    paged[first] = { person, times };
    return { person, insteadOf, key: pageKey(first, times) };
  });
  story.set({ paged });
  tell({
    kind: 'paged',
    what: `Asked the ${level.replaceAll('-', ' ')} (${names.join(', ')}) to ${order.asks === undefined ? 'answer' : 'decide'} within ${wait}`,
    people,
    until,
    paged,
  });
  const pages = new CancellationScope();
  const { service, environment, severity, of: run, subject, asks } = order;
  void pages.run(async () => {
    await Promise.all(
      keys.map(async ({ person, insteadOf, key }) => {
        const text = `${insteadOf ? `You decide instead of ${insteadOf}.\n` : ''}${order.text}`.slice(0, 4000);
        await reach(
          { service, environment, severity, ...run, key, person, level, subject, text, ...(asks && { asks }) },
          order,
        ).catch((error: unknown) => {
          if (!isCancellation(error)) tell({ kind: 'page-failed', what: `${person} could not be paged` });
        });
      }),
    );
  });
  if (await condition(() => isAnswered(answers), wait)) pages.cancel();
}

/** Resolves when the acknowledgement is stale, or somebody takes it over or hands it on. */
async function whileAcknowledged(
  order: EscalationOrder,
  { story, answers, tell }: { story: Story; answers: Answers; tell: Tell },
): Promise<void> {
  const { staleAfter } = order.rules;
  const by = answers.acknowledgedBy;
  story.set({
    doing: `${by} looks at it: ${order.subject}.`,
    next: `Page again if it is not taken over within ${staleAfter}.`,
    waitingUntil: new Date(Date.now() + msToNumber(staleAfter)).toISOString(),
  });
  const { acknowledgements } = answers;
  const left = (): boolean => answers.again || answers.end !== undefined || answers.to !== undefined;
  const moved = await condition(() => left() || answers.acknowledgements > acknowledgements, staleAfter);
  if (moved && !left()) return await whileAcknowledged(order, { story, answers, tell }); // by another, or anew
  answers.acknowledgedBy = undefined;
  story.set({ acknowledgedBy: undefined });
  if (!moved) tell({ kind: 'stale', what: `The acknowledgement of ${by} is stale: the ladder goes on` });
}

/** What is of low severity, and asks for no decision, lets people sleep. */
async function untilBusinessHours(
  order: EscalationOrder,
  { story, answers }: { story: Story; answers: Answers },
): Promise<void> {
  if (!order.rules.businessHours || order.asks !== undefined) return;
  while (!isAnswered(answers)) {
    const at = Date.now();
    const { open, reason, until } = await businessHours({ at: new Date(at).toISOString() }).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      return { open: true, reason: 'the business hours cannot be told', until: undefined };
    });
    if (open || until === undefined) return;
    story.set({
      phase: 'waiting',
      doing: `Waiting until ${until}: ${reason}.`,
      next: 'Page the first level.',
      waitingUntil: until,
    });
    await condition(() => isAnswered(answers), Math.max(1000, Date.parse(until) - at));
  }
}
