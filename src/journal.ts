import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Scope } from './contracts/index.ts';
import { failure } from './errors.ts';
import { readIfThere, writeWhole } from './processes.ts';

const KEPT = 50;
const Memory = z.object({
  fence: z.number().int().default(0),
  changes: z.array(z.object({ key: z.string(), stage: z.enum(['begun', 'done']), summary: z.string() })).default([]),
});

export interface Journal {
  /**
   * Note durably that a change begins. `begun`: an attempt that was cut short may have done it, wholly or in part, with the note
   * that the first attempt made; `done`: with the summary it had. @throws Fenced (permanent) when a later change has begun since.
   */
  begin(change: {
    key: string;
    fence: number;
    note?: string;
  }): Promise<{ stage: 'new' | 'begun' | 'done'; summary: string }>;
  done(key: string, summary: string): Promise<void>;
  /** Whether a change of this key has begun. */
  knows(key: string): Promise<boolean>;
}

/** What was changed in a system that keeps no memory of it itself: `<stateDir>/<system>/<service>.<environment>.json`. */
export function openJournal(stateDir: string, system: string, { service, environment }: Scope): Journal {
  const file = join(stateDir, system, `${service}.${environment}.json`);
  const read = async (): Promise<z.output<typeof Memory>> =>
    Memory.parse(JSON.parse((await readIfThere(file)) ?? '{}'));
  const note = async (fence: number, key: string, stage: 'begun' | 'done', summary: string): Promise<void> => {
    const { changes } = await read();
    await mkdir(dirname(file), { recursive: true });
    const others = changes.filter((one) => one.key !== key);
    await writeWhole(file, JSON.stringify({ fence, changes: [{ key, stage, summary }, ...others].slice(0, KEPT) }));
  };
  return {
    async begin({ key, fence, note: text = '' }) {
      const memory = await read();
      const known = memory.changes.find((one) => one.key === key);
      if (known?.stage === 'done') return known;
      if (fence < memory.fence)
        throw failure('Fenced', `a later change (${memory.fence}) has acted on ${system} since ${fence}`);
      await note(fence, key, 'begun', known?.summary ?? text);
      return known ?? { stage: 'new', summary: text };
    },
    knows: async (key) => (await read()).changes.some((one) => one.key === key),
    async done(key, summary) {
      await note((await read()).fence, key, 'done', summary);
    },
  };
}
