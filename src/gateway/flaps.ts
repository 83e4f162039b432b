import type { DatabaseSync } from 'node:sqlite';
import type { Alert } from '../contracts/index.ts';

const WINDOW_MS = 10 * 60 * 1000;

/** How often alerts of an incident fired and resolved again within the last ten minutes, kept durably. */
export function createFlaps(db: DatabaseSync) {
  db.exec(`create table if not exists flaps (workflow_id text not null, at text not null) strict;
    create index if not exists flaps_workflow on flaps (workflow_id, at)`);
  const since = (): string => new Date(Date.now() - WINDOW_MS).toISOString();
  const ends = db.prepare(
    `select 1 from alerts as fires where source = :source and key = :key and status = 'firing' and last_at >=
       coalesce((select last_at from alerts where source = :source and key = :key and status = 'resolved'), '')`,
  );
  const insert = db.prepare('insert into flaps values (?, ?)');
  const counting = db.prepare('select count(*) as n from flaps where workflow_id = ? and at >= ?');
  return {
    /** Before the alert is stored: does it resolve what fired since it last resolved? */
    note({ source, key, status }: Alert, workflowId: string): void {
      if (status === 'resolved' && ends.get({ source, key }) !== undefined)
        insert.run(workflowId, new Date().toISOString());
    },
    count: (workflowId: string): number => Number(counting.get(workflowId, since())?.['n']),
    prune: (): void => void db.prepare('delete from flaps where at < ?').run(since()),
  };
}
