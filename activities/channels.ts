import { z } from 'zod';
import { createNotifier } from '../src/channels/notifier.ts';
import type { Settings } from '../src/contracts/index.ts';
import type { Notifier } from '../src/contracts/ports.ts';

/** Each channel has variables of its own, and is closed without them; codes need their secret. */
export const env = z.looseObject({ HOLDFAST_CODE_SECRET: z.string().min(16) });

/** Pages and announcements over every channel that is set up. */
export function createActivities(env: Record<string, unknown>, settings: Settings) {
  return createNotifier(env as Record<string, string | undefined>, settings) satisfies Notifier;
}
