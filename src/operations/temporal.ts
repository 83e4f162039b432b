import { setTimeout as sleep } from 'node:timers/promises';
import {
  ServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Config } from '../config.ts';
import { Status, type Settings } from '../contracts/index.ts';
import { failure } from '../errors.ts';

const READ_MS = 5000;
/** A decision is worth more patience than a page that is loaded again. */
export const DECIDE_MS = 30_000;
const BUSY_MS = { first: 50, most: 500 };

/** What every operation needs. */
export interface Access {
  client: Client;
  settings: Settings;
  config: Config;
}

/** A run of an incident, a deployment or a rollback. Without `runId` the newest of its id. */
export interface RunRef {
  workflowId: string;
  runId?: string | undefined;
}

const permanent = (error: unknown): Error | undefined => {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof WorkflowNotFoundError) return failure('NotFound', 'there is no such incident or deployment');
  const { cause } = error instanceof WorkflowUpdateFailedError || error instanceof WorkflowFailedError ? error : {};
  return cause instanceof ApplicationFailure ? cause : undefined;
};

/** gRPC RESOURCE_EXHAUSTED: a run that is busy takes one query at a time, and one that is closing takes nothing. */
const isBusy = (error: unknown): boolean =>
  error instanceof ServiceError && error.cause instanceof Error && 'code' in error.cause && error.cause.code === 8;

async function untilNotBusy<T>(call: () => Promise<T>, deadline: number, pauseMs = BUSY_MS.first): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isBusy(error) || Date.now() + pauseMs >= deadline) throw error;
    await sleep(pauseMs);
    return await untilNotBusy(call, deadline, Math.min(2 * pauseMs, BUSY_MS.most));
  }
}

/**
 * A call of Temporal that ends in time; a run that is busy is asked again as long as there is time.
 * @throws NotFound, what the workflow itself refuses with, or Unavailable where Temporal or its worker is away.
 */
export async function asked<T>({ connection }: Client, call: () => Promise<T>, ms = READ_MS): Promise<T> {
  const deadline = Date.now() + ms;
  try {
    return await connection.withDeadline(deadline, () => untilNotBusy(call, deadline));
  } catch (error) {
    const known = permanent(error);
    if (known !== undefined) throw known;
    if (error instanceof ServiceError || (error instanceof Error && 'code' in error))
      throw failure('Unavailable', 'Temporal or its worker does not answer: try again, or use the Temporal UI');
    throw error;
  }
}

/** What a run tells of itself. @throws NotFound, Unavailable. */
export async function statusOf({ client }: Access, { workflowId, runId }: RunRef, ms = READ_MS): Promise<Status> {
  return Status.parse(await asked(client, () => client.workflow.getHandle(workflowId, runId).query('status'), ms));
}

/** Where the Temporal UI shows what a run asks. */
export function uiLink({ config }: Access, { workflowId, runId }: { workflowId: string; runId: string }): string {
  const { HOLDFAST_TEMPORAL_UI_URL: base = 'http://127.0.0.1:8233', TEMPORAL_NAMESPACE: namespace } = config;
  const path = ['namespaces', namespace, 'workflows', workflowId, runId, 'user-metadata'].map(encodeURIComponent);
  return `${base.replace(/\/$/, '')}/${path.join('/')}`;
}
