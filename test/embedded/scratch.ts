import { mkdtempSync, chmodSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endAll } from '../../src/embedded/supervisor.ts';

/** A state folder of its own, that other users may enter, as Postgres does when started by root. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-embedded-'));
  chmodSync(folder, 0o755);
  return folder;
}

export async function removeScratch(folder: string): Promise<void> {
  await endAll(folder);
  await rm(folder, { recursive: true, force: true });
}
