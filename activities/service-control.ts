import { getClient } from '@temporalio/activity';
import {
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowFailedError,
  WorkflowNotFoundError,
  type WorkflowHandle,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import {
  heldByMode,
  Result,
  type ChangeReport,
  type ChangeRequest,
  type DeploymentRun,
  type Environment,
  type Grant,
  type Ledger,
  type Scope,
  type Settings,
} from '../src/contracts/index.ts';
import type { ChangeControl, DeploymentRuns } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

/** More than what acts may take with its retries: see `mitigation` of the kit. */
const ACT_MS = 30 * 60 * 1000;
/** And where it may take hours, see `longWork`: the steps of a deployment between two askings, the making of an index. */
const LONG_MS = 5 * 60 * 60 * 1000;
const LONG: ChangeRequest['kind'][] = ['deploy', 'create-index'];

export const env = z.object({
  HOLDFAST_TASK_QUEUE: z.string().default('holdfast'),
});

/** @throws Unavailable (transient) when Temporal does not answer. */
async function asked<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (isGrpcServiceError(error)) throw failure('Unavailable', `Temporal: ${error.message}`);
    throw error;
  }
}

/**
 * Asks the entity workflow `control.<service>`, which the first one to ask starts, over the worker's own connection. Update ids
 * are the change's key: a repeat gets the first answer. Deployments are asked how they ended.
 */
export function createActivities({ HOLDFAST_TASK_QUEUE }: z.output<typeof env>, settings: Settings) {
  const update = async <R, A>(service: string, name: string, updateId: string, arg: A): Promise<R> => {
    const startWorkflowOperation = new WithStartWorkflowOperation('serviceControl', {
      workflowId: `control.${service}`,
      taskQueue: HOLDFAST_TASK_QUEUE,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [{ service, fence: 0, killSwitch: { on: false, by: '', reason: '' }, ledgers: {} }],
    });
    return await asked(() =>
      getClient().workflow.executeUpdateWithStart<Workflow, R, [A]>(name, {
        startWorkflowOperation,
        updateId,
        args: [arg],
      }),
    );
  };
  const configured = ({ service, environment }: Scope): Environment => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
    return of;
  };
  /** A lease covers the act with its retries and the longest verification; see `holds`. */
  const termsOf = (of: Environment, kind: ChangeRequest['kind']): { coolDownMs: number; leaseMs: number } => {
    const verifyMs = of.measure.windowSeconds * 1000 + 4 * msToNumber(of.measure.lasting);
    return { coolDownMs: msToNumber(of.coolDown), leaseMs: (LONG.includes(kind) ? LONG_MS : ACT_MS) + verifyMs };
  };
  const ledger = async ({ service, environment }: Scope): Promise<Ledger> => {
    const nothing: Ledger = { environment, changes: [] };
    try {
      const control = getClient().workflow.getHandle(`control.${service}`);
      const { ledgers } = await asked(() => control.query<{ ledgers: Record<string, Ledger> }>('control'));
      return ledgers[environment] ?? nothing;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return nothing;
      throw error;
    }
  };
  const report = async (of: ChangeReport): Promise<void> =>
    await update<void, ChangeReport>(of.service, 'reportChange', `report:${of.key}`, of);
  /** End the grants that a run has left behind which was terminated: nobody else would before their lease does. Whether there were any. */
  const endAbandoned = async ({ service, environment }: Scope): Promise<boolean> => {
    const open = (await ledger({ service, environment })).changes.filter(({ result }) => result === 'open');
    const over = await Promise.all(open.map(({ holder }) => isOver(holder)));
    const abandoned = open.filter((_, i) => over[i]);
    for (const { key } of abandoned) await report({ service, environment, key, result: 'unverified' });
    return abandoned.length > 0;
  };
  /** By run id: how a run has ended does not change. */
  const ended = new Map<string, Pick<DeploymentRun, 'outcome' | 'note'>>();
  return {
    /**
     * Idempotent on `request.key`: `serviceControl` keeps the grant of a key. A refusal is asked anew. What a run holds that is over
     * holds nobody else up. Nothing is granted in an environment that is not in mode `act`, also no further step of what was begun.
     */
    async requestChange(request: ChangeRequest): Promise<Grant> {
      const of = configured(request);
      const held = heldByMode(of.mode, request);
      if (held !== undefined) return { granted: false, because: 'mode', reason: held };
      const ask = () =>
        update<Grant, ChangeRequest & ReturnType<typeof termsOf>>(
          request.service,
          'requestChange',
          `request:${request.key}:${Date.now()}`,
          { ...request, ...termsOf(of, request.kind) },
        );
      const grant = await ask();
      const busy = !grant.granted && grant.because === 'busy';
      return busy && (await endAbandoned(request)) ? await ask() : grant;
    },
    /** Idempotent on `report.key`. */
    reportChange: report,
    /** Empty for a service that nothing was asked about yet. */
    ledger,
    /** By the workflow id that every deployment of an environment has. */
    async lastDeployment({ service, environment }: Scope): Promise<DeploymentRun | undefined> {
      const { workflow } = getClient();
      const workflowId = `deployment.${service}.${environment}`;
      try {
        const { runId, startTime, closeTime } = await asked(() => workflow.getHandle(workflowId).describe());
        const run = { runId, startedAt: startTime.toISOString(), note: '' };
        if (closeTime === undefined) return run;
        const known = ended.get(runId) ?? (await endOf(workflow.getHandle(workflowId, runId)));
        ended.clear();
        ended.set(runId, known);
        return { ...run, ...known, endedAt: closeTime.toISOString() };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    },
  } satisfies ChangeControl & DeploymentRuns;
}

/** Whether a run (`<workflow id>/<run id>`) is closed, or so old that nothing is known of it. What cannot be asked is not. */
async function isOver(run: string): Promise<boolean> {
  const at = run.lastIndexOf('/');
  const handle = getClient().workflow.getHandle(run.slice(0, at), run.slice(at + 1));
  return await handle.describe().then(
    ({ closeTime }) => closeTime !== undefined,
    (error: unknown) => error instanceof WorkflowNotFoundError,
  );
}

/** What a run that has ended returned; one that broke has failed. */
async function endOf(run: WorkflowHandle): Promise<Pick<DeploymentRun, 'outcome' | 'note'>> {
  try {
    const result = Result.safeParse(await run.result()).data;
    return result === undefined ? { note: '' } : { outcome: result.outcome, note: result.note.slice(0, 500) };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return { outcome: 'failed', note: (error.cause?.message ?? error.message).slice(0, 500) };
  }
}
