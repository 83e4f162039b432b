import type { Settings } from '../../contracts/index.ts';
import { strayCredentials } from '../../runner-credentials.ts';
import { ok, warning, type Finding } from './finding.ts';

/** Whether only the runners have what it takes to reach into their environments. */
export async function checkRunnerCredentials(
  env: Readonly<Record<string, string | undefined>>,
  settings: Settings,
): Promise<Finding[]> {
  const served = settings.services.some(({ environments }) =>
    Object.values(environments).some(({ taskQueue }) => taskQueue !== undefined),
  );
  const stray = strayCredentials(env, settings);
  if (stray.length === 0)
    return served ? [ok('runners', 'what reaches into their environments is not among the variables here')] : [];
  return stray.map(({ says, remedy }) => warning('runners', says, remedy));
}
