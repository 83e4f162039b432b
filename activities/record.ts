import { z } from 'zod';
import type { ObjectiveKeeper, RecordKeeper, ReviewKeeper } from '../src/contracts/ports.ts';
import type { Settings } from '../src/contracts/index.ts';
import { createRecord } from '../src/record.ts';

export const env = z.object({ RECORD_SUPABASE_URL: z.url(), RECORD_SUPABASE_SECRET_KEY: z.string().min(1) });

/** The record in a Supabase project of the control plane. */
export function createActivities(
  { RECORD_SUPABASE_URL, RECORD_SUPABASE_SECRET_KEY }: z.output<typeof env>,
  _settings: Settings,
) {
  const { save, saveReview, saveObjectives } = createRecord({
    url: RECORD_SUPABASE_URL,
    key: RECORD_SUPABASE_SECRET_KEY,
  });
  return {
    /** Idempotent on the status's `revision`: an older or equal one changes nothing. */
    async record(status) {
      await save(status);
    },
    /** Idempotent on the review's `revision`, as above. */
    async recordReview(review) {
      await saveReview(review);
    },
    /** Idempotent: of a day, what was measured for longest is kept. */
    async recordObjectives(days) {
      await saveObjectives(days);
    },
  } satisfies RecordKeeper & ReviewKeeper & ObjectiveKeeper;
}
