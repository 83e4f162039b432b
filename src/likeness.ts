/** Share of what either looked like that two incidents must have in common to resemble each other. */
export const ALIKE = 0.5;

/** How much of what either looked like (`fingerprint`) both did, 0..1. Source: Jaccard index. */
export function likeness(one: string[], other: string[]): number {
  const either = new Set([...one, ...other]);
  return either.size === 0 ? 0 : one.filter((item) => other.includes(item)).length / either.size;
}
