import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AlertBatch, Ballot, CodedDecision, Said, SignedDecision, Status } from '../contracts/index.ts';

/** From the gateway: alerts that belong to this incident. */
export const addAlerts = defineSignal<[AlertBatch]>('addAlerts');
/** From the Temporal UI: approve or reject the open proposal with a one-time code. */
export const approve = defineSignal<[CodedDecision]>('approve');
export const reject = defineSignal<[CodedDecision]>('reject');
export const acknowledge = defineSignal<[Partial<Said>]>('acknowledge');
export const note = defineSignal<[Partial<Said>]>('note');
export const pause = defineSignal<[Partial<Said>]>('pause');
export const resume = defineSignal<[Partial<Said>]>('resume');
export const stop = defineSignal<[Partial<Said>]>('stop');
/** From the safety authority: another change has taken the environment over. */
export const supersede = defineSignal<[{ by: string }]>('supersede');
export const takeOver = defineSignal<[Partial<Said>]>('takeOver');
/** From CLI, console, Slack: a signed decision, answered at once. */
export const decide = defineUpdate<Ballot, [SignedDecision]>('decide');
export const status = defineQuery<Status>('status');
