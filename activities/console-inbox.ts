import { z } from 'zod';
import { oneTimeCode } from '../src/codes.ts';
import type { Notifier } from '../src/contracts/ports.ts';
import type { Settings } from '../src/contracts/index.ts';
import { openPages, storePage } from '../src/pages.ts';

export const env = z.object({
  HOLDFAST_STATE_DIR: z.string().min(1).default('.holdfast'),
  HOLDFAST_CODE_SECRET: z.string().min(16),
});

/** Pages into a file on this machine, read by the CLI and the console: works while everything else is down. */
export function createActivities(
  { HOLDFAST_STATE_DIR, HOLDFAST_CODE_SECRET }: z.output<typeof env>,
  _settings: Settings,
) {
  return {
    /** Idempotent on `page.key`. The one-time code is made here and goes nowhere but into the inbox. */
    async page({ asks, ...page }) {
      const { workflowId, runId, person } = page;
      const code = asks
        ? oneTimeCode({ secret: HOLDFAST_CODE_SECRET, workflowId, runId, digest: asks.digest, person })
        : null;
      const inbox = openPages(HOLDFAST_STATE_DIR);
      try {
        storePage(inbox, {
          ...page,
          at: new Date().toISOString(),
          digest: asks?.digest ?? null,
          code,
          expiresAt: asks?.expiresAt ?? null,
        });
      } finally {
        inbox.close();
      }
    },
  } satisfies Notifier;
}
