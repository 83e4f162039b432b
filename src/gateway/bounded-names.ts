/**
 * Names that anybody may send: few have a place of their own, the rest is counted together. Places are kept by what is sent often, from
 * one slot of time to the next, so that what is made up takes no place of what is real unless it comes more often than that.
 * Source: Misra and Gries, "Finding repeated elements", 1982, for those without a place.
 */
export const OTHERS = 'others';
/** How many of those without a place are counted, for each that may have one. */
const CANDIDATES = 4;
/** Half of the places are whoever's comes first; the others are for names that came so often. */
const EARNED = 10;
/** Share of the places that what is known may keep: who is new finds one in any slot. */
const KEPT = 0.8;

/** The name that it is counted by: its own, of at most so many in one slot, or `OTHERS`. */
export function boundedNames(most: number): (name: string, slot: number) => string {
  let current = NaN;
  let placed = new Map<string, number>();
  let candidates = new Map<string, number>();

  function begin(slot: number): void {
    const known = [...placed, ...candidates]
      .map(([name, count]) => [name, Math.floor(count / 2)] as const)
      .filter(([, count]) => count > 0)
      .toSorted(([, a], [, b]) => b - a);
    const kept = Math.floor(most * KEPT);
    [current, placed, candidates] = [slot, new Map(known.slice(0, kept)), new Map(known.slice(kept))];
  }

  /** One for it, or one less for each of those that have filled all there is room for. */
  function consider(name: string, count: number): void {
    if (candidates.has(name) || candidates.size < CANDIDATES * most) return void candidates.set(name, count);
    for (const [other, times] of candidates)
      if (times === 1) candidates.delete(other);
      else candidates.set(other, times - 1);
  }

  return (name, slot) => {
    if (slot !== current) begin(slot);
    const known = placed.get(name);
    const count = (known ?? candidates.get(name) ?? 0) + 1;
    const free = most - placed.size;
    if (known === undefined && free <= most / 2 && (free === 0 || count < EARNED)) {
      consider(name, count);
      return OTHERS;
    }
    candidates.delete(name);
    placed.set(name, count);
    return name;
  };
}
