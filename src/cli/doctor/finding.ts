/** What one check found. `failed` is what Holdfast does not work with, `warning` what somebody should look at. */
export interface Finding {
  check: string;
  state: 'ok' | 'fixed' | 'warning' | 'failed';
  says: string;
  /** What to do about it. */
  remedy?: string;
}

export const ok = (check: string, says: string): Finding => ({ check, state: 'ok', says });
export const warning = (check: string, says: string, remedy: string): Finding => ({
  check,
  state: 'warning',
  says,
  remedy,
});
export const failed = (check: string, says: string, remedy: string): Finding => ({
  check,
  state: 'failed',
  says,
  remedy,
});

/** A check that cannot be carried out has failed, with the reason. */
export async function checked(check: string, remedy: string, run: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await run();
  } catch (error) {
    return [failed(check, error instanceof Error ? error.message : String(error), remedy)];
  }
}
