import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import type { Settings } from '../contracts/index.ts';
import type { Log } from '../log.ts';
import { withinDeadline } from './deliver.ts';
import type { Watched } from './metrics.ts';
import type { PageFirstLevel } from './pager.ts';

/** A workflow task that fails is tried again at once, then ever later: by its third attempt it is no passing thing. */
const ATTEMPTS = 3;
const SHOWN = 10;
/** For all pages of the list, however many runs are open. */
const LIST_MS = 10_000;
const AT_ONCE = 8;
const DEFAULTS = { everyMs: 15_000, lateMs: 60_000 };

interface Stuck {
  run: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'searchAttributes'>;
  why: string;
}

/**
 * What a run cannot tell of itself: that its workflow task fails again and again or is taken by no worker, that its wait has
 * passed the deadline in its memo. The first level of the ladder is paged, once for each (kept in `<stateDir>/inbox.sqlite`) until
 * the run goes on: stuck again, it is paged again.
 */
export function startWatchdog(of: {
  stateDir: string;
  leads: () => boolean;
  client: Client;
  settings: Settings;
  pageFirstLevel: PageFirstLevel;
  log: Log;
  /** How often it looks, and how late is too late. */
  timing?: Partial<typeof DEFAULTS>;
}): { stop: () => Promise<void>; watched: () => Watched | undefined } {
  const { leads, client, settings, pageFirstLevel, log } = of;
  const { everyMs, lateMs } = { ...DEFAULTS, ...of.timing };
  const db = new DatabaseSync(join(of.stateDir, 'inbox.sqlite'), { timeout: 1000 });
  db.exec(`create table if not exists watchdog (what text primary key, told_at text not null) strict;
    create table if not exists stuck (what text primary key, since text not null) strict`);
  const told = db.prepare('select 1 from watchdog where what = ?');
  const note = db.prepare('insert or ignore into watchdog values (?, ?)');
  const sinceOf = db.prepare('insert into stuck values (?, ?) on conflict do update set since = since returning since');
  const forget = ['watchdog', 'stuck'].map((table) =>
    db.prepare(
      `delete from ${table} where substr(what, 1, instr(what, ':') - 1) not in (select value from json_each(?))`,
    ),
  );

  let watched: Watched | undefined;

  const stuck = async (run: WorkflowExecutionInfo): Promise<Stuck | undefined> => {
    const deadline = run.memo?.['deadline'];
    if (typeof deadline === 'string' && Date.parse(deadline) + lateMs < Date.now())
      return { run, why: `should have gone on by ${deadline} and has not` };
    const { raw } = await withinDeadline(client, () => client.workflow.getHandle(run.workflowId, run.runId).describe());
    const task = raw.pendingWorkflowTask;
    if (!task) return undefined;
    if ((task.attempt ?? 0) >= ATTEMPTS) return { run, why: `its workflow task has failed ${ATTEMPTS} times or more` };
    const since = optionalTsToMs(task.originalScheduledTime);
    if (since !== undefined && since + lateMs < Date.now()) return { run, why: 'no worker takes its workflow task' };
    return undefined;
  };

  const open = (): Promise<WorkflowExecutionInfo[]> =>
    withinDeadline(
      client,
      async () => {
        const runs = [];
        for await (const run of client.workflow.list({ query: "ExecutionStatus = 'Running'" })) runs.push(run);
        return runs;
      },
      LIST_MS,
    );

  const lookAt = async (runs: WorkflowExecutionInfo[]): Promise<void> => {
    const found: Stuck[] = [];
    const unknown: string[] = [];
    for (let i = 0; i < runs.length; i += AT_ONCE) {
      const some = runs.slice(i, i + AT_ONCE).map((run) => stuck(run).catch(() => void unknown.push(run.runId)));
      found.push(...(await Promise.all(some)).filter((one) => one !== undefined));
    }
    const mayBeStuck = JSON.stringify([...unknown, ...found.map(({ run }) => run.runId)]);
    for (const gone of forget) gone.run(mayBeStuck);
    watched = { temporalAnswers: true, open: byPhase(runs), stuck: found.length };
    const fresh = found.filter(({ run, why }) => told.get(`${run.runId}:${why}`) === undefined);
    const [first] = fresh;
    if (first === undefined) return;
    const now = new Date().toISOString();
    const what = `${first.run.runId}:${first.why}`;
    const lines = fresh.slice(0, SHOWN).map(({ run, why }) => `${run.workflowId}: ${why}`);
    const more = fresh.length > SHOWN ? [`and ${fresh.length - SHOWN} more`] : [];
    const attribute = (name: string) => String(first.run.searchAttributes[`Holdfast${name}`]?.[0] ?? '');
    const reached = await pageFirstLevel({
      key: `watchdog:${what}:${String(sinceOf.get(what, now)?.['since'])}`,
      workflowId: first.run.workflowId,
      runId: first.run.runId,
      severity: 'critical',
      service: attribute('Service') || (settings.services[0]?.name ?? ''),
      environment: attribute('Environment') || 'production',
      subject: fresh.length === 1 ? `${first.run.workflowId} is stuck` : `${fresh.length} runs are stuck`,
      text: [...lines, ...more, 'Look at the worker and at the Temporal UI; act by hand until it goes on.'].join('\n'),
    });
    if (reached.length === 0) return log(`gateway: nobody could be paged, stuck: ${JSON.stringify(lines)}`);
    for (const { run, why } of fresh) note.run(`${run.runId}:${why}`, now);
    log(`gateway: paged, stuck: ${JSON.stringify(lines)}`);
  };

  let blind = false;
  let looking = Promise.resolve();
  const look = async (): Promise<void> => {
    const runs = await open().catch((error: unknown) => {
      if (!blind) log(`gateway: the watchdog cannot list what runs: ${JSON.stringify(String(error))}`);
      blind = true; // that Temporal is away is told by others
      watched = { open: [], stuck: 0, ...watched, temporalAnswers: false };
    });
    if (runs === undefined) return;
    blind = false;
    await lookAt(runs);
  };
  let underWay = false;
  const timer = setInterval(() => {
    if (underWay || !leads()) return;
    underWay = true;
    looking = look()
      .catch((error: unknown) => log(`gateway: the watchdog could not page: ${JSON.stringify(String(error))}`))
      .finally(() => void (underWay = false));
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await looking;
      db.close();
    },
    watched: () => (leads() ? watched : undefined),
  };
}

/** Of the incidents and deployments, how many there are in each phase; a ladder has the attributes of what it is climbed for. */
function byPhase(runs: WorkflowExecutionInfo[]): Watched['open'] {
  const counts = new Map<string, Watched['open'][number]>();
  for (const { workflowId, type, searchAttributes } of runs) {
    const phase = searchAttributes['HoldfastPhase']?.[0];
    if (typeof phase !== 'string' || type === 'escalation') continue;
    const kind = workflowId.split('.')[0] ?? '';
    const one = counts.get(`${kind} ${phase}`) ?? { kind, phase, count: 0 };
    counts.set(`${kind} ${phase}`, { ...one, count: one.count + 1 });
  }
  return [...counts.values()];
}
