import { Client, Connection, WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import type { ChangeReport, ChangeRequest, Grant, Ledger, Scope, Settings } from '../src/contracts/index.ts';
import type { ChangeControl } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

const ACT_MS = 30 * 60 * 1000;
/** A deployment has steps that take hours, such as a backup and its proof, between two askings. */
const DEPLOY_MS = 5 * 60 * 60 * 1000;

export const env = z.object({
  TEMPORAL_ADDRESS: z.string(),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  HOLDFAST_TASK_QUEUE: z.string().default('holdfast'),
});

/** Asks the entity workflow `control.<service>`, which the first one to ask starts. Update ids are the change's key: a repeat gets the first answer. */
export function createActivities(
  { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, HOLDFAST_TASK_QUEUE }: z.output<typeof env>,
  settings: Settings,
) {
  let connecting: Promise<Client> | undefined;
  const client = (): Promise<Client> =>
    (connecting ??= Connection.connect({ address: TEMPORAL_ADDRESS }).then(
      (connection) => new Client({ connection, namespace: TEMPORAL_NAMESPACE }),
      (error: unknown) => {
        connecting = undefined;
        throw failure(
          'Unavailable',
          `Temporal at ${TEMPORAL_ADDRESS}: ${error instanceof Error ? error.message : String(error)}`,
        );
      },
    ));
  const update = async <R, A>(service: string, name: string, updateId: string, arg: A): Promise<R> => {
    const { workflow } = await client();
    const startWorkflowOperation = new WithStartWorkflowOperation('serviceControl', {
      workflowId: `control.${service}`,
      taskQueue: HOLDFAST_TASK_QUEUE,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [{ service, fence: 0, killSwitch: { on: false, by: '', reason: '' }, ledgers: {} }],
    });
    return await workflow.executeUpdateWithStart<Workflow, R, [A]>(name, {
      startWorkflowOperation,
      updateId,
      args: [arg],
    });
  };
  /** A lease covers the act with its retries and the longest verification; see `holds`. */
  const termsOf = ({ service, environment, kind }: ChangeRequest): { coolDownMs: number; leaseMs: number } => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
    const verifyMs = of.measure.windowSeconds * 1000 + 3 * msToNumber(of.measure.lasting);
    const actMs = kind === 'deploy' ? DEPLOY_MS : ACT_MS;
    return { coolDownMs: msToNumber(of.coolDown), leaseMs: actMs + verifyMs };
  };
  return {
    /** Idempotent on `request.key`: `serviceControl` keeps the grant of a key. A refusal is asked anew. */
    async requestChange(request: ChangeRequest): Promise<Grant> {
      return await update<Grant, ChangeRequest & ReturnType<typeof termsOf>>(
        request.service,
        'requestChange',
        `request:${request.key}:${Date.now()}`,
        { ...request, ...termsOf(request) },
      );
    },
    /** Idempotent on `report.key`. */
    async reportChange(report: ChangeReport): Promise<void> {
      await update<void, ChangeReport>(report.service, 'reportChange', `report:${report.key}`, report);
    },
    /** Empty for a service that nothing was asked about yet. */
    async ledger({ service, environment }: Scope): Promise<Ledger> {
      const { workflow } = await client();
      const nothing: Ledger = { environment, changes: [] };
      try {
        const control = workflow.getHandle(`control.${service}`);
        const { ledgers } = await control.query<{ ledgers: Record<string, Ledger> }>('control');
        return ledgers[environment] ?? nothing;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return nothing;
        throw error;
      }
    },
  } satisfies ChangeControl;
}
