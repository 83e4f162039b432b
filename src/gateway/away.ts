import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Inbox } from './inbox.ts';
import type { PageFirstLevel } from './pager.ts';

const MINUTE_MS = 60 * 1000;
const LOOK_MS = 5000;
/** Who has not looked for so long cannot say that it is the same outage. */
const UNSEEN_MS = 10 * MINUTE_MS;
const SHOWN = 20;

interface Outage {
  since: number;
  paged: number;
}

/**
 * While Temporal is away no workflow pages anybody. When it has not answered for a minute and alerts wait, the gateway pages the
 * first level of the ladder itself, once until Temporal answers again; a gateway that was restarted knows what was done.
 */
export function watchTemporal(of: {
  stateDir: string;
  inbox: Inbox;
  leads: () => boolean;
  pageFirstLevel: PageFirstLevel;
  temporalAnswers: () => Promise<boolean>;
  log: (line: string) => void;
  afterMs?: number | undefined;
}): { stop(): Promise<void> } {
  const { inbox, leads, pageFirstLevel, log, afterMs = MINUTE_MS } = of;
  const db = new DatabaseSync(join(of.stateDir, 'inbox.sqlite'), { timeout: 1000 });
  db.exec(
    'create table if not exists outage (id integer primary key, since integer not null, seen integer not null, paged integer not null) strict',
  );
  const goesOn = db.prepare(`
    insert into outage values (1, :now, :now, 0) on conflict do update set
      since = iif(:now - seen > ${UNSEEN_MS}, :now, since), paged = iif(:now - seen > ${UNSEEN_MS}, 0, paged), seen = :now
    returning since, paged`);
  const notePaged = db.prepare('update outage set paged = 1');
  const end = db.prepare('delete from outage');
  let over = false;
  let stopped = false;
  let paging = Promise.resolve();

  const page = async ({ since }: Outage, waiting: number): Promise<void> => {
    const reached = await pageFirstLevel(pageOf(since, { waiting, workflowIds: inbox.waiting() }));
    if (reached.length > 0) notePaged.run();
    const said = reached.length > 0 ? `paged ${reached.join(', ')}` : 'nobody could be paged';
    log(`gateway: Temporal is away and ${waiting} alerts wait: ${said}`);
  };
  const look = async (): Promise<void> => {
    const answers = await of.temporalAnswers();
    if (stopped) return;
    if (!leads()) {
      over = false; // what the one that leads has noted since is not known
      return;
    }
    if (answers) {
      if (!over) end.run();
      over = true;
      return;
    }
    over = false;
    const outage = goesOn.get({ now: Date.now() }) as unknown as Outage;
    const { waiting } = inbox.backlog();
    if (outage.paged === 1 || waiting === 0 || Date.now() - outage.since < afterMs) return;
    await (paging = page(outage, waiting));
  };

  const again = (): void => {
    void look()
      .catch((error: unknown) =>
        log(`gateway: whether Temporal is away is not known: ${JSON.stringify(String(error))}`),
      )
      .then(() => {
        if (!stopped) timer = setTimeout(again, Math.min(LOOK_MS, afterMs));
      });
  };
  let timer = setTimeout(again, 0);
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await paging.catch(() => undefined);
      db.close();
    },
  };
}

function pageOf(
  since: number,
  { waiting, workflowIds }: { waiting: number; workflowIds: string[] },
): Parameters<PageFirstLevel>[0] {
  const at = new Date(since).toISOString();
  const more = workflowIds.length > SHOWN ? ` and ${workflowIds.length - SHOWN} more` : '';
  return {
    key: `gateway:temporal-away:${at}`,
    severity: 'critical',
    service: 'holdfast',
    environment: 'control-plane',
    workflowId: '',
    runId: '',
    subject: `Temporal is away: ${waiting} ${waiting === 1 ? 'alert waits' : 'alerts wait'} and no runbook runs`,
    text: [
      `Temporal has not answered since ${at}. The alerts are kept and are sent when it is back; until then nobody else is paged.`,
      `They wait for: ${workflowIds.slice(0, SHOWN).join(', ')}${more}`,
    ].join('\n'),
  };
}
