import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setHandler,
  startChild,
  type ChildWorkflowOptions,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  Escalation,
  EscalationNews,
  type EscalationOrder,
  type Policy,
  type Result,
  type Said,
} from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { ladderOf } from './catalogue.ts';
import { acknowledge, escalated, reopen } from './messages.ts';
import type { Story } from './story.ts';

export type About = Pick<EscalationOrder, 'subject' | 'text'> &
  Partial<Pick<EscalationOrder, 'asks' | 'notBy' | 'from' | 'severity' | 'untilResolved'>>;

export interface Callouts {
  /** Climb the ladder about a proposal, under this key. `over` tells when nobody has answered on any level. */
  ask: (key: string, about: About) => { over: () => boolean; withdraw: () => void };
  /**
   * A person must go on: climb the ladder until one does, also when this run has ended. Once per run. Where it was `climbed`
   * already it goes on at its last level.
   */
  handOver(about: About & { climbed?: boolean }): Promise<void>;
  acknowledge(said: Said): void;
}

/** The ladders of one run: each is a workflow of its own, `<workflow id>.escalation.<n>`; that of a hand-over is number 0. */
export function createCallouts({ story, policy }: { story: Story; policy: () => Policy | undefined }): Callouts {
  const { workflowId, runId } = story.status;
  let number = 0;
  let open: string | undefined;
  let handedOver = false;
  setHandler(
    escalated,
    (input) => {
      const news = EscalationNews.safeParse(input).data;
      if (news?.paged !== undefined) story.set({ paged: { ...story.status.paged, ...news.paged } });
      if (news === undefined || story.status.phase !== 'waiting') return;
      const { kind, what, who, people, until } = news;
      if (until !== undefined) story.set({ ...(people && { waitingFor: people }), waitingUntil: until });
      if (kind === 'acknowledged' || kind === 'stale')
        story.set({ acknowledgedBy: kind === 'stale' ? undefined : who });
      story.tell(kind, what, who);
    },
    { description: 'From the ladder: who was paged, who has acknowledged' },
  );
  const orderOf = (key: string, about: About): EscalationOrder => {
    const known = policy();
    if (known === undefined) throw failure('NotConfigured', 'the ladder is not known');
    const { ladder, people, announce, escalation = { ...Escalation.parse({}), businessHours: [] } } = known;
    const { service, environment, ...incident } = story.status.incident;
    const { paged } = story.status;
    const { severity = incident.severity, from = escalation.entry[severity] } = about;
    const { staleAfter, repeats, businessHours } = escalation;
    return {
      ...about,
      service,
      environment,
      severity,
      of: { workflowId, runId },
      key,
      ...(from !== undefined && { from }),
      ladder,
      people: people.map(({ name, channels, delegates }) => ({ name, channels, ...(delegates && { delegates }) })),
      rules: { staleAfter, repeats, businessHours: businessHours.includes(severity) },
      announce,
      ...(paged && { paged }),
    };
  };
  const start = async (id: string, order: EscalationOrder, of: ChildWorkflowOptions) =>
    await startChild<(order: EscalationOrder) => Promise<Result>>('escalation', {
      ...of,
      workflowTaskTimeout: '3 seconds', // a killed worker is noticed soon
      workflowId: id,
      args: [order],
      memo: { subject: order.subject, of: workflowId, runId },
    });
  const isStarted = (error: unknown): boolean => error instanceof WorkflowExecutionAlreadyStartedError;

  return {
    ask(key, about) {
      const scope = new CancellationScope();
      let [over, withdrawn] = [false, false];
      const climb = async (): Promise<void> => {
        const order = orderOf(key, about);
        const child = await (async () => {
          for (;;)
            try {
              number += 1;
              return await start(`${workflowId}.escalation.${number}`, order, {
                parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
              });
            } catch (error) {
              if (!isStarted(error)) throw error; // one of an earlier run is not over yet
            }
        })();
        if (!withdrawn) open = child.workflowId;
        await child.result();
        over = true;
      };
      scope.run(climb).catch((error: unknown) => {
        if (!isCancellation(error))
          story.tell('page-failed', 'the ladder has broken: the proposal waits until it expires');
      });
      return {
        over: () => over,
        withdraw: () => {
          withdrawn = true;
          open = undefined;
          scope.cancel();
        },
      };
    },
    async handOver({ climbed = false, ...about }) {
      const last = policy()?.ladder.at(-1);
      if (handedOver || last === undefined) return;
      handedOver = true;
      const order = orderOf(`${workflowId}/${runId}:closed`, { ...about, ...(climbed && { from: last.level }) });
      const text = `Needed again: ${about.subject}: ${about.text}`;
      for (;;)
        try {
          return void (await start(ladderOf(workflowId), order, { parentClosePolicy: ParentClosePolicy.ABANDON }));
        } catch (error) {
          if (!isStarted(error)) throw error; // the ladder is climbed already, or has just ended
          const again = getExternalWorkflowHandle(ladderOf(workflowId)).signal(reopen, { text, order });
          if (
            await again.then(
              () => true,
              () => false,
            )
          )
            return;
        }
    },
    acknowledge(said) {
      if (open === undefined) return story.tell('acknowledged', 'Acknowledged', said.by);
      getExternalWorkflowHandle(open)
        .signal(acknowledge, said)
        .catch(() => undefined);
    },
  };
}
