import type { Measurement, Quantity, Status } from '../contracts/index.ts';

const MOST = 48;

/** What a reading adds to the charts of its run. */
export interface Seen {
  readings?: { quantity: Quantity; value: number; limit?: number }[];
  /** The release that takes the traffic. */
  running?: Status['running'];
  commits?: Status['commits'];
  /** What the release sends to browsers. */
  bundle?: Status['bundle'];
}

/** One point more of each quantity; of what would be too many, every second older one goes. */
export function withReadings(
  before: Measurement[] = [],
  readings: NonNullable<Seen['readings']>,
  at: string,
): Measurement[] {
  return readings.reduce((all, { quantity, value, limit }) => {
    const known = all.find((one) => one.quantity === quantity)?.points ?? [];
    const kept = known.length < MOST ? known : known.filter((_, i) => i % 2 === 0);
    const points = [...kept, { at, value }];
    const measured = { quantity, ...(limit !== undefined && { limit }), points };
    return [...all.filter((one) => one.quantity !== quantity), measured];
  }, before);
}
