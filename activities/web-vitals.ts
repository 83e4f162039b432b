/** Web vitals of real users, as the gateways have written them to the record. */
import { z } from 'zod';
import type { Settings, VitalsSlot, WebVital } from '../src/contracts/index.ts';
import type { WebVitals } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { createRecord } from '../src/record.ts';
import { newSketch, sketchOf } from '../src/sketches.ts';

const SHOWN = 60;
/** Slots that are read in one go: more would take longer than whoever asks waits. */
const AT_MOST = 20_000;

export const env = z.object({ RECORD_SUPABASE_URL: z.url(), RECORD_SUPABASE_SECRET_KEY: z.string().min(1) });

export function createActivities(
  { RECORD_SUPABASE_URL, RECORD_SUPABASE_SECRET_KEY }: z.output<typeof env>,
  _settings: Settings,
) {
  const { vitals } = createRecord({ url: RECORD_SUPABASE_URL, key: RECORD_SUPABASE_SECRET_KEY });
  return {
    /**
     * p75 per page, device class and metric, those with most samples first; of slots that began in the window, or since the moment.
     * Within one percent of a value that was measured; of the newest where there are more slots than can be read. @throws Unavailable (transient) while the record is away.
     */
    async webVitals({ windowSeconds, release, since, ...scope }): Promise<WebVital[]> {
      const from = since ?? new Date(Date.now() - windowSeconds * 1000).toISOString();
      const { slots, whole } = await vitals({ ...scope, since: from, release, atMost: AT_MOST });
      return [...Map.groupBy(slots, ({ page, device, metric }) => `${page} ${device} ${metric}`).values()]
        .map((some) => ({ ...merged(some), ...(!whole && { newest: true as const }) }))
        .toSorted((a, b) => b.samples - a.samples)
        .slice(0, SHOWN);
    },
  } satisfies WebVitals;
}

function merged(slots: VitalsSlot[]): WebVital {
  const all = newSketch();
  for (const { sketch } of slots) all.merge(readSketch(sketch));
  const [first] = slots;
  const p75 = all.at(0.75);
  if (first === undefined || p75 === undefined) throw failure('UnexpectedResponse', 'the record holds an empty sketch');
  return { page: first.page, device: first.device, metric: first.metric, p75, samples: all.samples };
}

function readSketch(text: string): ReturnType<typeof sketchOf> {
  try {
    return sketchOf(text);
  } catch {
    throw failure('UnexpectedResponse', 'the record holds what is no sketch');
  }
}
