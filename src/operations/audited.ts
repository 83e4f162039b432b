import { audit, auditSince, verifyAudit, type Audited, type Trail } from '../audit.ts';
import type { IncidentRecord } from '../record.ts';

/** Do what somebody asks for, and note in the audit trail that it was done, or why not. */
export async function audited<T>(trail: Trail, of: Omit<Audited, 'result'>, act: () => Promise<T>): Promise<T> {
  try {
    const done = await act();
    audit(trail, { ...of, result: 'done' });
    return done;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    audit(trail, { ...of, result: 'refused', detail: [of.detail, why].filter(Boolean).join(': ') });
    throw error;
  }
}

/**
 * Walk the whole chain, and hold it against what the record has of it: who may write the folder could make a chain anew that
 * holds in itself. `recorded`: how many of its entries the record holds. @throws Unavailable where the record is away.
 */
export async function verifyTrail(
  stateDir: string,
  record: Pick<IncidentRecord, 'auditHead'> | undefined,
): Promise<{ entries: number; recorded?: number; fault?: string }> {
  const found = verifyAudit(stateDir);
  if (record === undefined || found.fault !== undefined) return found;
  const { entries, trail } = auditSince(stateDir, { byte: 0, trail: '' });
  const { seq: recorded, hash } = (await record.auditHead(trail)) ?? { seq: 0, hash: '' };
  if (recorded > entries.length)
    return { ...found, recorded, fault: `the record holds ${recorded - entries.length} more at its end` };
  if (recorded > 0 && entries[recorded - 1]?.hash !== hash)
    return { ...found, recorded, fault: `the record holds another entry ${recorded}: the chain was made anew` };
  return { ...found, recorded };
}
