import type { FreshnessReport } from '../contracts/index.ts';
import { freshnessQuery } from '../../workflows/index.ts';
import { asked, type Access } from './temporal.ts';

/** How fresh the runbooks of a service are; undefined where no worker has started its drills yet. @throws Unavailable. */
export async function freshnessOf(
  { client }: Pick<Access, 'client'>,
  service: string,
): Promise<FreshnessReport | undefined> {
  try {
    return await asked(client, () => client.workflow.getHandle(`drills.${service}`).query(freshnessQuery));
  } catch (error) {
    if (error instanceof Error && 'type' in error && error.type === 'NotFound') return undefined;
    throw error;
  }
}
