import { setTimeout as sleep } from 'node:timers/promises';
import { auditSince, type AuditEntry } from '../audit.ts';
import type { Log } from '../log.ts';
import { recordOf } from '../record.ts';

const EVERY_MS = 5000;
const AT_ONCE = 200;

/**
 * Keeps the audit trail of a state folder in the record too, where whoever may write the folder cannot change it: every entry
 * once, in order, also those of before a restart or of a time without a record. Undefined where the environment names no record.
 */
export function keepAudit(of: {
  stateDir: string;
  env: Readonly<Record<string, string | undefined>>;
  leads: () => boolean;
  log: Log;
  everyMs?: number;
}): { stop: () => Promise<void> } | undefined {
  const { stateDir, env, leads, log, everyMs = EVERY_MS } = of;
  const record = recordOf(env);
  if (record === undefined) return undefined;
  const ended = new AbortController();
  let from = { byte: 0, trail: '' };

  const differs = (): void => log('gateway: the record holds another audit trail than this folder: run audit verify');
  /** What the record does not hold yet: what was deleted there stays deleted. */
  const missing = async (entries: AuditEntry[], trail: string): Promise<AuditEntry[]> => {
    const head = await record.auditHead(trail);
    if (head === undefined) return entries;
    if (entries[head.seq - 1]?.hash !== head.hash) differs();
    return entries.filter(({ seq }) => seq > head.seq);
  };
  const copy = async (): Promise<void> => {
    if (!leads()) {
      from = { byte: 0, trail: '' }; // the one that leads goes on from there
      return;
    }
    const { entries, ...next } = auditSince(stateDir, from);
    const fresh = entries.length > 0 && from.byte === 0 ? await missing(entries, next.trail) : entries;
    for (let first = 0; first < fresh.length; first += AT_ONCE)
      if (!(await record.saveAudit(next.trail, fresh.slice(first, first + AT_ONCE)))) differs();
    from = next;
  };
  const keep = async (): Promise<void> => {
    let told = false;
    while (!ended.signal.aborted) {
      const why = await copy().then(
        () => undefined,
        (error: unknown) => String(error),
      );
      if (why !== undefined && !told) log(`gateway: the audit trail is not copied into the record: ${why}`);
      told = why !== undefined;
      await sleep(everyMs, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  };
  const kept = keep();
  return {
    async stop() {
      ended.abort();
      await kept;
    },
  };
}
