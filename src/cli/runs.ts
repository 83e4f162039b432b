import { z } from 'zod';
import { loadConfig } from '../config.ts';
import { Status } from '../contracts/index.ts';
import { ListedRun, listRuns } from '../operations/runs.ts';
import { statusOf, uiLink } from '../operations/temporal.ts';
import { connect } from './context.ts';
import { callApi, keptSession } from './remote.ts';

/** What is read of runs; the list is of incidents. */
export interface Runs {
  list(of: { state?: 'open'; limit: number }): Promise<ListedRun[]>;
  status(workflowId: string, runId?: string): Promise<Status>;
  /** Undefined where only the gateway knows where the Temporal UI is. */
  link(of: { workflowId: string; runId: string }): string | undefined;
}

/** Read over the API of the gateway as whoever has signed in; from Temporal where nobody has. */
export async function withRuns<T>(read: (runs: Runs) => Promise<T>): Promise<T> {
  const kept = await keptSession(loadConfig());
  if (kept !== undefined) return await read(overApi(kept));
  const context = await connect();
  try {
    return await read({
      list: async (of) => (await listRuns(context, { kind: 'incidents', ...of })).runs,
      status: (workflowId, runId) => statusOf(context, { workflowId, runId }),
      link: (of) => uiLink(context, of),
    });
  } finally {
    await context.close();
  }
}

const overApi = (of: { url: string; token: string }): Runs => ({
  async list({ limit, ...more }) {
    const query = new URLSearchParams({ limit: String(limit), ...more }).toString();
    const { runs } = await callApi(of, z.object({ runs: z.array(ListedRun) }), 'GET', `/incidents?${query}`);
    return runs;
  },
  status: (workflowId, runId) =>
    callApi(of, Status, 'GET', `/runs/${encodeURIComponent(workflowId)}${runId === undefined ? '' : `?run=${runId}`}`),
  link: () => undefined,
});
