/** Pages into a file on this machine, read by the CLI and the console: works while everything else is down. */
import { z } from 'zod';
import { openPages, storePage } from '../pages.ts';
import { oneLine, plainText } from '../plain-text.ts';
import { defineChannel } from './channel.ts';

export const consoleInbox = defineChannel({
  name: 'console',
  env: z.object({ HOLDFAST_STATE_DIR: z.string().min(1).default('.holdfast') }),
  personal: true,
  singly: true,
  create: ({ HOLDFAST_STATE_DIR }) => ({
    async page({ asks, code = null, to: _to, ...page }) {
      const inbox = openPages(HOLDFAST_STATE_DIR);
      try {
        const at = new Date().toISOString();
        const [subject, text] = [oneLine(page.subject, 200), plainText(page.text)]; // a terminal obeys control characters
        storePage(inbox, {
          ...page,
          subject,
          text,
          at,
          digest: asks?.digest ?? null,
          code,
          expiresAt: asks?.expiresAt ?? null,
        });
      } finally {
        inbox.close();
      }
    },
  }),
});
