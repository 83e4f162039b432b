import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

/** A page as it lies in the console inbox; `code` is the person's one-time code, where a decision is asked for. */
export const DeliveredPage = z.object({
  key: z.string(),
  person: z.string(),
  level: z.string(),
  severity: z.string(),
  service: z.string(),
  environment: z.string(),
  at: z.string(),
  subject: z.string(),
  text: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  digest: z.string().nullable(),
  code: z.string().nullable(),
  expiresAt: z.string().nullable(),
});
export type DeliveredPage = z.output<typeof DeliveredPage>;

const COLUMNS = DeliveredPage.keyof().options;
const TABLE = `create table if not exists pages (${COLUMNS.map((column) =>
  column === 'key' ? 'key text primary key' : `${column} text`,
).join(', ')}) strict`;
const KEPT_MS = 14 * 24 * 60 * 60 * 1000;
const fileOf = (stateDir: string): string => join(stateDir, 'pages.sqlite');

/** Open the inbox for writing; the file is made readable by its owner alone, for it holds codes. */
export function openPages(stateDir: string): DatabaseSync {
  mkdirSync(stateDir, { recursive: true });
  closeSync(openSync(fileOf(stateDir), 'a', 0o600)); // SQLite gives its other files the mode of this one
  const inbox = new DatabaseSync(fileOf(stateDir), { timeout: 5000 });
  inbox.exec('pragma journal_mode = wal');
  inbox.exec(TABLE);
  return inbox;
}

/**
 * Put a page into the inbox; one whose key is there already stays as it was. What is older than fourteen days goes, but for what
 * still waits for a decision.
 */
export function storePage(inbox: DatabaseSync, page: DeliveredPage): void {
  const now = Date.now();
  inbox
    .prepare('delete from pages where at < ? and coalesce(expiresAt, at) < ?')
    .run(new Date(now - KEPT_MS).toISOString(), new Date(now).toISOString());
  const names = COLUMNS.map((column) => `:${column}`).join(', ');
  inbox
    .prepare(`insert into pages (${COLUMNS.join(', ')}) values (${names}) on conflict (key) do nothing`)
    .run(DeliveredPage.parse(page));
}

/** Pages from the console inbox, oldest first; none where no page was ever delivered. `since` is an ISO 8601 time, exclusive. */
export function readPages(stateDir: string, of: { person?: string; since?: string } = {}): DeliveredPage[] {
  if (!existsSync(fileOf(stateDir))) return [];
  const inbox = openPages(stateDir);
  try {
    const rows = inbox
      .prepare('select * from pages where person = coalesce(:person, person) and at > :since order by at, key')
      .all({ person: of.person ?? null, since: of.since ?? '' });
    return z.array(DeliveredPage).parse(rows);
  } finally {
    inbox.close();
  }
}
