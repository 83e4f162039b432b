import { openAudit, type Audit, type Audited } from '../audit.ts';
import type { Config } from '../config.ts';
import { audited } from '../operations/audited.ts';

/** Do what a person asks for with the key of this machine, and note it in the audit trail of its state folder. */
export async function noting<T>(
  { HOLDFAST_STATE_DIR: stateDir }: Config,
  of: Pick<Audited, 'who' | 'what' | 'on' | 'detail'>,
  act: () => Promise<T>,
): Promise<T> {
  let audit: Audit;
  try {
    audit = openAudit(stateDir);
  } catch (error) {
    console.error(`the audit trail of ${stateDir} could not be opened: ${String(error)}`); // it holds nobody up
    return await act();
  }
  try {
    return await audited({ audit, log: console.error }, { ...of, via: 'cli' }, act);
  } finally {
    audit.close();
  }
}
