import { createHash } from 'node:crypto';
import type { Status } from '../contracts/index.ts';
import { listRuns, type ListedRun } from '../operations/runs.ts';
import { servicesHealth, type ServiceHealth } from '../operations/services.ts';
import { statusOf, type Access } from '../operations/temporal.ts';

const FRESH_MS = 1000;
/** A board of this age is still shown while the next one is read. */
const SHOWN_MS = 5000;
const STATUS_FRESH_MS = 10_000;
const OPEN = 200;
const AT_ONCE = 10;

/** An open run; `status` is what it told last, and is absent where no worker answers. */
export interface OpenRun extends ListedRun {
  status?: Status | undefined;
}

export interface Board {
  incidents: OpenRun[];
  deployments: OpenRun[];
  services: ServiceHealth[];
  /** Why there is nothing to see. */
  away?: string;
  /** Changes with what it shows. */
  version: string;
}

/**
 * What is open now and how the services are, read at most once a second however many look. A run is asked again when Temporal
 * lists it as changed, or after ten seconds.
 */
export function createBoard(access: Access): () => Promise<Board> {
  const known = new Map<string, { listed: string; at: number; status: Status }>();
  let last: { at: number; board: Board } | undefined;
  let renewing: Promise<Board> | undefined;

  const told = async (run: ListedRun): Promise<OpenRun> => {
    const listed = JSON.stringify(run);
    const before = known.get(run.runId);
    if (before?.listed === listed && Date.now() - before.at < STATUS_FRESH_MS) return { ...run, status: before.status };
    const status = await statusOf(access, run).catch(() => before?.status);
    if (status !== undefined) known.set(run.runId, { listed, at: Date.now(), status });
    return { ...run, status };
  };

  const read = async (): Promise<Board> => {
    const list = async (kind: 'incidents' | 'deployments' | 'ladders') =>
      (await listRuns(access, { kind, state: 'open', limit: OPEN })).runs;
    try {
      const [ladders, opened, deployments, services] = await Promise.all([
        list('ladders'),
        list('incidents'),
        list('deployments'),
        servicesHealth(access),
      ]);
      const incidents = [...ladders, ...opened];
      const open = [...incidents, ...deployments];
      for (const runId of known.keys()) if (!open.some((run) => run.runId === runId)) known.delete(runId);
      const runs: OpenRun[] = [];
      for (let from = 0; from < open.length; from += AT_ONCE)
        runs.push(...(await Promise.all(open.slice(from, from + AT_ONCE).map(told))));
      const shown = {
        incidents: runs.slice(0, incidents.length).filter(isOpen),
        deployments: runs.slice(incidents.length).filter(isOpen),
        services,
      };
      return { ...shown, version: versionOf(shown) };
    } catch (error) {
      const away = error instanceof Error ? error.message : String(error);
      return { incidents: [], deployments: [], services: [], away, version: 'away' };
    }
  };
  const renew = (): Promise<Board> =>
    (renewing ??= read().then((board) => {
      last = { at: Date.now(), board };
      renewing = undefined;
      return board;
    }));
  return async () => {
    const age = last === undefined ? Infinity : Date.now() - last.at;
    if (last === undefined || age > SHOWN_MS) return await renew();
    if (age > FRESH_MS) void renew();
    return last.board;
  };
}

/** Visibility is a moment behind: what says itself that it is closed is not open. */
const isOpen = ({ status }: OpenRun): boolean => status?.phase !== 'closed';

const versionOf = (shown: Omit<Board, 'version'>): string =>
  createHash('sha256').update(JSON.stringify(shown)).digest('hex').slice(0, 16);
