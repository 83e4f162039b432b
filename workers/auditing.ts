import { CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import { z } from 'zod';
import { audit, type Audited, type Trail } from '../src/audit.ts';
import { ChangeRequest, Grant } from '../src/contracts/index.ts';
import type { Redact } from '../src/redaction.ts';
import { calledAs, effectOf, summaryOf } from './effects.ts';
import type { RunnerSinks } from './runner-effects.ts';

type Told = Pick<Audited, 'who' | 'what' | 'result' | 'detail'>;
/** What an activity has answered stands, whether or not it can be read here. */
type Asked = (argument: unknown, answer: unknown) => Told | undefined;
const OURS = 'holdfast';
const CodeShown = z.object({ person: z.string(), digest: z.string() });

/** A code that somebody shows: the only decision that no gateway has seen. */
const codeShown: Asked = (argument, answer) => {
  const { data: { person, digest } = { person: 'unknown', digest: '' } } = CodeShown.safeParse(argument);
  return {
    who: person,
    what: 'one-time code',
    result: answer === true ? 'done' : 'refused',
    detail: `proposal ${digest.slice(0, 8)}`,
  };
};

/** What the safety authority says; that it asks to wait for another change is no refusal. */
const granted: Asked = (argument, answer) => {
  const [{ data: request }, { data: grant }] = [ChangeRequest.safeParse(argument), Grant.safeParse(answer)];
  if (request === undefined || grant === undefined) return undefined;
  if (!grant.granted && grant.because === 'busy') return undefined;
  const { kind, environment, summary } = request;
  const [result, detail] = grant.granted ? (['done', summary] as const) : (['refused', grant.reason] as const);
  return { who: OURS, what: `grant ${kind}`, result, detail: `${environment}: ${detail}` };
};

/**
 * Writes into the audit trail what a gateway does not see: one-time codes, grants, and each effect with those who decided it
 * (`policy:…` where the configuration did), also one that an attempt before had done.
 */
export const auditWhatIsDone =
  (trail: Trail, redact: Redact): ActivityInterceptorsFactory =>
  ({ info: { activityType, workflowExecution } }) => ({
    inbound: {
      async execute(input, next) {
        const on = workflowExecution === undefined ? '' : `${workflowExecution.workflowId}/${workflowExecution.runId}`;
        const note = (told: Told | undefined): void =>
          told && audit(trail, { ...told, via: 'worker', on, detail: redact(told.detail ?? '') });
        const effect = effectOf(activityType, input.args);
        const [argument] = input.args;
        if (effect === undefined) {
          const answer: unknown = await next(input);
          if (activityType === 'checkCode') note(codeShown(argument, answer));
          if (activityType === 'requestChange') note(granted(argument, answer));
          return answer;
        }
        const { kind, by = [OURS] } = effect;
        const told = { who: by.join(', '), what: calledAs(activityType, kind) };
        try {
          const answer: unknown = await next(input);
          note({ ...told, result: 'done', detail: summaryOf(answer) });
          return answer;
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          note({ ...told, result: 'failed', detail: error instanceof CancelledFailure ? `called back: ${why}` : why });
          throw error;
        }
      },
    },
  });

/** Writes what a runner has done into the trail of the control plane, whose key of the record the runner does not have. */
export const auditRunners = (trail: Trail, redact: Redact): InjectedSinks<RunnerSinks> => ({
  runners: {
    effectEnded: {
      fn({ workflowId, runId }, { runner, by = [OURS], what, result, detail = '' }) {
        const on = `${workflowId}/${runId}`;
        audit(trail, { who: by.join(', '), via: `runner ${runner}`, what, on, result, detail: redact(detail) });
      },
      callDuringReplay: false,
    },
  },
});
