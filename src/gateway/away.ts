import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Sending } from './dispatcher.ts';
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

/** Why what waits does not arrive: Temporal has not answered since then, or answers and has taken nothing of what it was sent. */
interface Trouble {
  since: number;
  refusal?: string;
}

/**
 * While Temporal is away, or takes nothing of what it is sent (its namespace is gone, its database is away, the key has no
 * permission), no workflow pages anybody. When it is so for a minute and alerts wait, the gateway pages the first level of the
 * ladder itself, once until it is over; a gateway that was restarted knows what was done.
 */
export function watchTemporal(of: {
  stateDir: string;
  inbox: Inbox;
  leads: () => boolean;
  pageFirstLevel: PageFirstLevel;
  temporalAnswers: () => Promise<boolean>;
  sending: () => Sending | undefined;
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
  let answersSince = Infinity;
  let stopped = false;
  let paging = Promise.resolve();

  const page = async (outage: Outage, trouble: Trouble, waiting: number): Promise<void> => {
    const key = `gateway:temporal-away:${new Date(outage.since).toISOString()}`;
    const { subject, text } = pageOf(trouble, { waiting, workflowIds: inbox.waiting() });
    const control = { service: 'holdfast', environment: 'control-plane', workflowId: '', runId: '' };
    const reached = await pageFirstLevel({ key, severity: 'critical', ...control, subject, text });
    if (reached.length > 0) notePaged.run();
    log(`gateway: ${subject}: ${reached.length > 0 ? `paged ${reached.join(', ')}` : 'nobody could be paged'}`);
  };
  const look = async (): Promise<void> => {
    const answers = await of.temporalAnswers();
    if (stopped) return;
    if (!leads()) {
      over = false; // what the one that leads has noted since is not known
      return;
    }
    const now = Date.now();
    answersSince = answers ? Math.min(answersSince, now) : Infinity;
    const { waiting } = inbox.backlog();
    const sending = of.sending();
    if (answers && (waiting === 0 || sending?.taken === true)) {
      if (!over) end.run();
      over = true;
      return;
    }
    const refused = sending?.taken === false && sending.triedAt >= answersSince ? sending : undefined;
    if (answers && refused === undefined) return; // nothing was tried since it answers
    over = false;
    const outage = goesOn.get({ now }) as unknown as Outage;
    const trouble = refused === undefined ? outage : { since: refused.since, refusal: refused.error };
    if (outage.paged === 1 || waiting === 0 || now - trouble.since < afterMs) return;
    await (paging = page(outage, trouble, waiting));
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
  { since, refusal }: Trouble,
  { waiting, workflowIds }: { waiting: number; workflowIds: string[] },
): { subject: string; text: string } {
  const at = new Date(since).toISOString();
  const more = workflowIds.length > SHOWN ? ` and ${workflowIds.length - SHOWN} more` : '';
  const wait = `${waiting} ${waiting === 1 ? 'alert waits' : 'alerts wait'}`;
  return {
    subject:
      refusal === undefined
        ? `Temporal is away: ${wait} and no runbook runs`
        : `Temporal refuses what it is sent: ${wait} and no runbook begins`,
    text: [
      refusal === undefined
        ? `Temporal has not answered since ${at}.`
        : `Temporal answers, and refuses what it is sent since ${at}: ${refusal}`,
      'The alerts are kept and are sent when that is over; until then nobody else is paged.',
      `They wait for: ${workflowIds.slice(0, SHOWN).join(', ')}${more}`,
    ].join('\n'),
  };
}
