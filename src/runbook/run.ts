import { isCancellation } from '@temporalio/workflow';
import type { Action, Approval, Incident, Policy, Result, Verdict } from '../contracts/index.ts';
import type { Draft } from './approval.ts';
import { say } from './failures.ts';
import type { Seen } from './measurements.ts';

/** What a reading means: the verdict, one line for people, and what the charts show of it. */
export type Judgement = [verdict: Verdict, summary: string, seen?: Seen];

/** A reading with its judgement; `value` is absent when it could not be read. */
export interface Checked<T> {
  verdict: Verdict;
  summary: string;
  value?: T;
  seen?: Seen;
}

/**
 * An action, why it is proposed, and the two activities that do and undo it: their kinds must match, or it does not compile.
 * Without `undoIt` it cannot be undone, and `undo` says so to those who approve.
 */
export interface Remedy<A extends Action = Action> extends Draft<A> {
  act(approval: Approval<A>): Promise<{ changed: boolean; summary: string }>;
  undoIt?(approval: Approval<A>): Promise<{ changed: boolean; summary: string }>;
}

/** A remedy whose kind is forgotten after it was checked; made by `remedy()`. */
export type AnyRemedy = Draft & Pick<Remedy<never>, 'act' | 'undoIt'>;

export interface Run {
  readonly incident: Incident;
  readonly policy: Policy;
  /** Begun by a build that returns only to what is good and can be served; it has all earlier patches, too. */
  readonly returnsToGood: boolean;
  /** Read one thing and judge it; what cannot be read is `unknown`. The answer is shown and recorded at once. */
  check<T>(name: string, read: () => Promise<T>, judge: (value: T) => Judgement): Promise<Checked<T>>;
  /**
   * Diagnose, then take the proposals in order: ask, act, verify, undo what did not help, next. A proposal that the world has
   * overtaken is made again from a new diagnosis. Ends with the outcome.
   */
  mitigate<E>(steps: {
    diagnose: () => Promise<E>;
    propose: (evidence: E) => (AnyRemedy | undefined)[];
    verify: () => Promise<Verdict>;
  }): Promise<Result>;
  /** Read until it has been good for `policy.measure.lasting`: `ok`; still bad after three times that: `bad`; not measurable: `unknown`. `patient`: what is measured fills slowly. */
  holds<T>(read: () => Promise<T>, judge: (value: T) => Judgement, patient?: boolean): Promise<Verdict>;
}

/** Check that action, mitigation and undo are of one kind. */
export const remedy = <A extends Action>(of: Remedy<A>): AnyRemedy => of as unknown as AnyRemedy;

/** Read one thing and judge it; what cannot be read is `unknown`. */
export const judged = async <T>(doRead: () => Promise<T>, judge: (value: T) => Judgement): Promise<Checked<T>> => {
  try {
    const value = await doRead();
    const [verdict, summary, seen] = judge(value);
    return { verdict, summary, value, ...(seen !== undefined && { seen }) };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { verdict: 'unknown', summary: `could not be read: ${say(error)}` };
  }
};
