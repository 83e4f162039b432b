/** Wait until a condition holds; the test's own time-out bounds it, or `withinMs`, after which the error says how it stands. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  late?: { withinMs: number; says: () => string | Promise<string> },
): Promise<void> {
  const latest = Date.now() + (late?.withinMs ?? Infinity);
  while (!(await holds())) {
    if (late !== undefined && Date.now() > latest)
      throw new Error(`not so within ${late.withinMs / 1000} s: ${await late.says()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
