import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

/** One line of the audit trail: who tried what, on what, over which way in, and whether it was done, not allowed, or gone wrong. */
export const AuditEntry = z.object({
  seq: z.number().int(),
  at: z.string(),
  who: z.string(),
  via: z.string(),
  what: z.string(),
  on: z.string(),
  result: z.enum(['done', 'refused', 'failed']),
  detail: z.string().max(1000),
  /** Hash of the entry before. */
  prev: z.string(),
  /** SHA-256 (hex) of the rest of the entry. */
  hash: z.string(),
});
export type AuditEntry = z.output<typeof AuditEntry>;
export type Audited = Pick<AuditEntry, 'who' | 'via' | 'what' | 'on' | 'result'> & { detail?: string | undefined };

const FIRST = '0'.repeat(64);
const Head = z.object({ seq: z.number(), hash: z.string(), size: z.number() });
type Head = z.output<typeof Head>;

const fileOf = (stateDir: string): string => join(stateDir, 'audit.jsonl');
const hashOf = ({ hash: _hash, ...rest }: AuditEntry): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex');

/** Why a line cannot follow the one before, else undefined. */
function faultOf(line: string, before: Pick<Head, 'seq' | 'hash'>): string | AuditEntry {
  let entry: AuditEntry;
  try {
    entry = AuditEntry.parse(JSON.parse(line));
  } catch {
    return 'is no entry';
  }
  if (hashOf(entry) !== entry.hash) return 'was changed';
  if (entry.seq !== before.seq + 1)
    return `has number ${entry.seq} where ${before.seq + 1} must be: entries were dropped or reordered`;
  if (entry.prev !== before.hash) return 'does not follow from the entry before: entries were replaced';
  return entry;
}

/** The head of the chain is kept beside the file, so that entries cut off at its end are missed too. */
function openHead(stateDir: string): DatabaseSync {
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, 'audit.sqlite');
  closeSync(openSync(file, 'a', 0o600));
  const db = new DatabaseSync(file, { timeout: 5000 });
  db.exec(
    'create table if not exists head (one integer primary key check (one = 1), seq integer, hash text, size integer) strict',
  );
  return db;
}
const readHead = (db: DatabaseSync): Head =>
  Head.parse({ seq: 0, hash: FIRST, size: 0, ...db.prepare('select seq, hash, size from head').get() });

export interface Audit {
  /** Append an entry; it is on the disk when this returns. Entries of several processes form one chain. */
  write(entry: Audited): void;
  close(): void;
}

/** The audit trail of a state folder: `audit.jsonl`, readable by its owner alone. */
export function openAudit(stateDir: string): Audit {
  const db = openHead(stateDir);
  const file = openSync(fileOf(stateDir), 'a+', 0o600);
  const store = db.prepare('insert or replace into head (one, seq, hash, size) values (1, ?, ?, ?)');

  /** What a process that died has written and not noted is adopted; half a line is cut off. */
  const recovered = (head: Head): Head => {
    const { size } = fstatSync(file);
    if (size <= head.size) return { ...head, size };
    const tail = Buffer.alloc(size - head.size);
    readSync(file, tail, 0, tail.length, head.size);
    let last = head;
    for (const line of tail.toString('utf8').split('\n').slice(0, -1)) {
      const entry = faultOf(line, last);
      if (typeof entry === 'string') return { ...last, size }; // somebody else's: `verifyAudit` finds it
      last = { seq: entry.seq, hash: entry.hash, size: last.size + Buffer.byteLength(line) + 1 };
    }
    if (last.size < size) ftruncateSync(file, last.size);
    return last;
  };
  return {
    write({ detail = '', ...rest }) {
      db.exec('begin immediate');
      try {
        const head = recovered(readHead(db));
        const unsigned = {
          seq: head.seq + 1,
          at: new Date().toISOString(),
          ...rest,
          detail: detail.slice(0, 1000),
          prev: head.hash,
          hash: '',
        };
        const entry: AuditEntry = { ...unsigned, hash: hashOf(unsigned) };
        const line = `${JSON.stringify(entry)}\n`;
        writeSync(file, line);
        fsyncSync(file);
        store.run(entry.seq, entry.hash, head.size + Buffer.byteLength(line));
        db.exec('commit');
      } catch (error) {
        db.exec('rollback');
        throw error;
      }
    },
    close() {
      closeSync(file);
      db.close();
    },
  };
}

/** Where it is written who tried what, and whether it was done. */
export interface Trail {
  audit: Audit;
  log: (line: string) => void;
}

/** Write into the audit trail; that it cannot be written is told, and holds nobody up who mends something. */
export function audit({ audit: trail, log }: Trail, entry: Audited): void {
  try {
    trail.write(entry);
  } catch (error) {
    log(`the audit trail could not be written: ${String(error)}: ${JSON.stringify(entry)}`);
  }
}

/** Walk the whole chain. `fault` names the first line that is not what was written. */
export function verifyAudit(stateDir: string): { entries: number; fault?: string } {
  const text = existsSync(fileOf(stateDir)) ? readFileSync(fileOf(stateDir), 'utf8') : '';
  const db = openHead(stateDir);
  const head = readHead(db);
  db.close();
  let last: Pick<Head, 'seq' | 'hash'> = { seq: 0, hash: FIRST };
  for (const [index, line] of text.split('\n').slice(0, -1).entries()) {
    const entry = faultOf(line, last);
    if (typeof entry === 'string') return { entries: last.seq, fault: `line ${index + 1} ${entry}` };
    last = entry;
    if (entry.seq === head.seq && entry.hash !== head.hash)
      return { entries: last.seq, fault: `line ${index + 1} was replaced` };
  }
  if (!text.endsWith('\n') && text !== '') return { entries: last.seq, fault: 'the last line is cut off' };
  if (last.seq < head.seq)
    return { entries: last.seq, fault: `${head.seq - last.seq} entries were dropped at the end` };
  return { entries: last.seq };
}

/** The newest entries, newest first. */
export function readAudit(stateDir: string, limit: number): AuditEntry[] {
  if (!existsSync(fileOf(stateDir))) return [];
  const lines = readFileSync(fileOf(stateDir), 'utf8').split('\n').slice(0, -1);
  return lines
    .slice(-limit)
    .reverse()
    .map((line) => AuditEntry.parse(JSON.parse(line)));
}

/**
 * The whole entries that lie after a byte of the file, and where the next ones begin. A trail is known by the hash of its first
 * entry; where the file is shorter than it was, another one has begun.
 */
export function auditSince(
  stateDir: string,
  from: { byte: number; trail: string },
): { entries: AuditEntry[]; byte: number; trail: string } {
  if (!existsSync(fileOf(stateDir))) return { entries: [], byte: 0, trail: '' };
  const file = openSync(fileOf(stateDir), 'r');
  try {
    const { size } = fstatSync(file);
    const { byte, trail } = size < from.byte ? { byte: 0, trail: '' } : from;
    const bytes = Buffer.alloc(size - byte);
    readSync(file, bytes, 0, bytes.length, byte);
    const end = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.toString('utf8', 0, end).split('\n').slice(0, -1);
    const entries = lines.map((line) => AuditEntry.parse(JSON.parse(line)));
    return { entries, byte: byte + end, trail: trail || (entries[0]?.hash ?? '') };
  } finally {
    closeSync(file);
  }
}
