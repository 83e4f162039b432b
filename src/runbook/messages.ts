import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type {
  EscalationOrder,
  AlertBatch,
  Ballot,
  CodedDecision,
  EscalationNews,
  HandOver,
  Said,
  SignedDecision,
  Status,
} from '../contracts/index.ts';

/** From the gateway: alerts that belong to this incident. */
export const addAlerts = defineSignal<[AlertBatch]>('addAlerts');
/** From the Temporal UI: approve or reject the open proposal with a one-time code. */
export const approve = defineSignal<[CodedDecision]>('approve');
export const reject = defineSignal<[CodedDecision]>('reject');
export const acknowledge = defineSignal<[Partial<Said>]>('acknowledge');
/** To the ladder: page this person next. */
export const handOver = defineSignal<[Partial<HandOver>]>('handOver');
/** From the ladder to the run that waits for it. */
export const escalated = defineSignal<[EscalationNews]>('escalated');
/** To the ladder of an earlier run: a person is needed again. */
export const reopen = defineSignal<[{ text: string; order?: EscalationOrder }]>('reopen');
export const note = defineSignal<[Partial<Said>]>('note');
export const pause = defineSignal<[Partial<Said>]>('pause');
export const resume = defineSignal<[Partial<Said>]>('resume');
export const stop = defineSignal<[Partial<Said>]>('stop');
/** From the safety authority: another change has taken the environment over. */
export const supersede = defineSignal<[{ by: string }]>('supersede');
export const takeOver = defineSignal<[Partial<Said>]>('takeOver');
/** From the gateway: something that it may wait for has changed elsewhere. */
export const wake = defineSignal('wake');
/** From CLI, console, Slack: a signed decision, answered at once. */
export const decide = defineUpdate<Ballot, [SignedDecision]>('decide');
export const status = defineQuery<Status>('status');
