import type { Ledger, Step } from '../../contracts/index.ts';
import type { Context } from '../context.ts';

export interface Listed {
  workflowId: string;
  runId: string;
  service: string;
  environment: string;
  startedAt: string;
  endedAt: string | undefined;
  phase: string;
}

/** Deployments and rollbacks, newest first, as Temporal lists them. */
export async function runsOf({ client }: Context, limit: number, since?: Date): Promise<Listed[]> {
  const found: Listed[] = [];
  const query = `(WorkflowId STARTS_WITH 'deployment.' OR WorkflowId STARTS_WITH 'rollback.') AND WorkflowType != 'escalation'${since === undefined ? '' : ` AND StartTime > '${since.toISOString()}'`}`;
  for await (const { workflowId, runId, status, startTime, closeTime, typedSearchAttributes } of client.workflow.list({
    query,
  })) {
    const shown = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    const [, service = '', environment = ''] = workflowId.split('.');
    const phase = status.name === 'RUNNING' ? String(shown['HoldfastPhase']) : status.name.toLowerCase();
    found.push({
      workflowId,
      runId,
      service,
      environment,
      startedAt: startTime.toISOString(),
      endedAt: closeTime?.toISOString(),
      phase,
    });
    if (found.length >= limit) break;
  }
  return found;
}

export const ledgerLine = ({
  service,
  environment,
  running,
  verified = [],
  held = [],
  freeze,
}: Ledger & { service: string }): string =>
  [
    `${service} ${environment}: runs ${running ?? 'nothing that is known'}`,
    `verified good: ${
      verified
        .slice(0, 3)
        .map(({ version }) => version)
        .join(', ') || 'none'
    }`,
    ...(held.length > 0
      ? [
          `held: ${held
            .slice(0, 3)
            .map(({ version, reason }) => `${version} (${reason})`)
            .join(', ')}`,
        ]
      : []),
    ...(freeze === undefined
      ? []
      : [`FROZEN by ${freeze.by}${freeze.until === undefined ? '' : ` until ${freeze.until}`}: ${freeze.reason}`]),
  ].join('; ');
export const runLine = ({ startedAt, phase, workflowId, runId }: Listed): string =>
  `${startedAt.slice(0, 19)}Z  ${phase.padEnd(12)}  ${workflowId}  ${runId}`;
export const stepLine = ({ name, state, at, endedAt, detail, undo }: Step): string => {
  const seconds =
    at === undefined || endedAt === undefined
      ? ''
      : ` in ${((Date.parse(endedAt) - Date.parse(at)) / 1000).toFixed(0)} s`;
  const more = detail ?? (undo === undefined ? '' : `undo: ${undo}`);
  return `  ${`${state}${seconds}`.padEnd(16)} ${name}${more === '' ? '' : `: ${more}`}`;
};
