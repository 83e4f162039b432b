import type { DatabaseSync } from 'node:sqlite';
import type { Alert } from '../contracts/index.ts';
import { REACHED } from './batches.ts';

const WINDOW_MS = 10 * 60 * 1000;

/**
 * How often an alert of an incident has fired and resolved again within the last ten minutes, kept durably. Alerts of one name are
 * one: it has resolved when the last of them has, of which those fire that are of the open incident, and those that came within
 * the ten minutes. Of several names it is the most of one, for what goes wrong after another does
 * not flap.
 */
export function createFlaps(db: DatabaseSync) {
  db.exec(`create table if not exists flapping (workflow_id text not null, name text not null, at text not null) strict;
    create index if not exists flapping_workflow on flapping (workflow_id, at);
    create index if not exists alerts_firing on alerts (workflow_id, last_at) where status = 'firing';
    create index if not exists alerts_reached on alerts (workflow_id, reached_at) where status = 'firing'`);
  const since = (): string => new Date(Date.now() - WINDOW_MS).toISOString();
  const resolvedAt = `coalesce((select last_at from alerts as ended where ended.source = fires.source
    and ended.key = fires.key and ended.status = 'resolved'), '')`;
  const ends = db.prepare(
    `select 1 from alerts as fires where source = :source and key = :key and status = 'firing' and last_at >= ${resolvedAt}`,
  );
  const FIRING = "select * from alerts where workflow_id = :workflowId and status = 'firing'";
  const anotherFires = db.prepare(
    `select 1 from (${FIRING} and last_at >= :since union all ${FIRING} and ${REACHED}) as fires
     where (source <> :source or key <> :key) and json_extract(alert, '$.name') = :name and last_at > ${resolvedAt} limit 1`,
  );
  const insert = db.prepare('insert into flapping values (?, ?, ?)');
  const counting = db.prepare(
    'select count(*) as n from flapping where workflow_id = ? and at >= ? group by name order by n desc limit 1',
  );
  return {
    /** Before a resolve is stored: is it the end of what fired since it last resolved? */
    note({ source, key, name }: Pick<Alert, 'source' | 'key' | 'name'>, workflowId: string): void {
      if (ends.get({ source, key }) === undefined) return;
      if (anotherFires.get({ workflowId, source, key, name, since: since() }) !== undefined) return;
      insert.run(workflowId, name, new Date().toISOString());
    },
    count: (workflowId: string): number => Number(counting.get(workflowId, since())?.['n'] ?? 0),
    prune: (): void => void db.prepare('delete from flapping where at < ?').run(since()),
  };
}
