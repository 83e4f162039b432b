/** So many keys at most: what fills it up is forgotten first. */
const KEYS = 10_000;

/** Counts per key in windows of a fixed length, in memory. */
export function createLimiter(of: { atMost: number; withinMs: number }) {
  const windows = new Map<string, { from: number; count: number }>();
  return {
    /** Seconds to wait; 0 where this one is still within the limit. */
    take(key: string): number {
      const now = Date.now();
      const window = windows.get(key);
      if (window === undefined || now - window.from >= of.withinMs) {
        windows.delete(key);
        if (windows.size >= KEYS) for (const oldest of windows.keys()) if (windows.delete(oldest)) break;
        windows.set(key, { from: now, count: 1 });
        return 0;
      }
      window.count += 1;
      return window.count <= of.atMost ? 0 : Math.ceil((window.from + of.withinMs - now) / 1000);
    },
    forget: (key: string): void => void windows.delete(key),
  };
}
export type Limiter = ReturnType<typeof createLimiter>;
