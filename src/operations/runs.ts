import { z } from 'zod';
import { isRunId } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { BREAK_GLASS } from '../runbook/catalogue.ts';
import { asked, type Access } from './temporal.ts';

/** One run as Temporal lists it: what is known without asking the run itself. */
export const ListedRun = z.object({
  workflowId: z.string(),
  runId: z.string(),
  service: z.string(),
  environment: z.string(),
  severity: z.string(),
  phase: z.string(),
  waitingFor: z.array(z.string()),
  startedAt: z.string(),
  endedAt: z.string().optional(),
});
export type ListedRun = z.output<typeof ListedRun>;

export const RunFilter = z.object({
  /** Among `incidents` is what one person has approved alone and a second must look at; `ladders` are those that runs have left behind where a person must go on. */
  kind: z.enum(['incidents', 'deployments', 'ladders']),
  state: z.enum(['open', 'closed', 'all']).default('all'),
  service: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** Where the list before ended. */
  cursor: z
    .string()
    .max(4000)
    .regex(/^[\w-]+$/)
    .optional(),
});
export type RunFilter = z.input<typeof RunFilter>;

const KINDS = {
  incidents: "((WorkflowId STARTS_WITH 'incident.' AND WorkflowType != 'escalation') OR WorkflowType = 'breakGlass')",
  deployments:
    "(WorkflowId STARTS_WITH 'deployment.' OR WorkflowId STARTS_WITH 'rollback.') AND WorkflowType != 'escalation'",
  ladders: "WorkflowType = 'escalation'",
};
const STATES = { open: " AND ExecutionStatus = 'Running'", closed: " AND ExecutionStatus != 'Running'", all: '' };
/** gRPC's codes for a server that is away; what else it says about a cursor is that it is none. */
const AWAY = [4, 14];

type Stamp = { seconds?: { toString(): string } | null; nanos?: number | null } | null | undefined;
const at = (stamp: Stamp): string | undefined =>
  stamp ? new Date(Number(String(stamp.seconds ?? 0)) * 1000 + (stamp.nanos ?? 0) / 1e6).toISOString() : undefined;

/** Whether a second person is to look there at what one has approved alone. */
export const isSecondLook = ({ workflowId }: { workflowId: string }): boolean =>
  workflowId.startsWith(`${BREAK_GLASS}.`);

/** The service in the workflow id of a run. */
export const serviceOf = (workflowId: string): string => workflowId.split('.')[1] ?? '';

/**
 * Incidents, or deployments and rollbacks, open ones first, then newest first. Reads Temporal's visibility, which follows within a second or two.
 * @throws Refused for a cursor that is none, Unavailable.
 */
export async function listRuns(
  { client }: Access,
  filter: RunFilter,
): Promise<{ runs: ListedRun[]; cursor: string | undefined }> {
  const { kind, state, service, limit, cursor } = RunFilter.parse(filter);
  const query = KINDS[kind] + STATES[state] + (service === undefined ? '' : ` AND HoldfastService = '${service}'`);
  const request = {
    namespace: client.options.namespace,
    query,
    pageSize: limit,
    ...(cursor !== undefined && { nextPageToken: Buffer.from(cursor, 'base64url') }),
  };
  const answer = await asked(client, async () => {
    try {
      return await client.workflowService.listWorkflowExecutions(request);
    } catch (error) {
      if (cursor !== undefined && error instanceof Error && 'code' in error && !AWAY.includes(Number(error.code)))
        throw failure('Refused', 'this is no cursor of this list');
      throw error;
    }
  });
  const all = answer.executions.map(({ execution, startTime, closeTime, searchAttributes }): ListedRun => {
    const shown = (name: string): unknown => {
      const data = searchAttributes?.indexedFields?.[`Holdfast${name}`]?.data;
      return data ? JSON.parse(Buffer.from(data).toString('utf8')) : undefined;
    };
    const text = (name: string): string => z.string().catch('').parse(shown(name));
    const workflowId = execution?.workflowId ?? '';
    const endedAt = at(closeTime);
    return {
      workflowId,
      runId: execution?.runId ?? '',
      service: text('Service') || serviceOf(workflowId),
      environment: text('Environment'),
      severity: text('Severity'),
      phase: endedAt === undefined ? text('Phase') || 'opening' : 'closed',
      waitingFor: z.array(z.string()).catch([]).parse(shown('WaitingFor')),
      startedAt: at(startTime) ?? '',
      ...(endedAt !== undefined && { endedAt }),
    };
  });
  const runs = kind === 'ladders' ? all.filter(({ workflowId }) => isRunId(workflowId)) : all;
  const { nextPageToken } = answer;
  return { runs, cursor: nextPageToken?.length ? Buffer.from(nextPageToken).toString('base64url') : undefined };
}
