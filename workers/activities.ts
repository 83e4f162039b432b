import { z } from 'zod';
import * as providers from '../activities/index.ts';
import { createSimulator } from '../activities/simulator.ts';
import type { Config } from '../src/config.ts';
import type { Settings } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

export interface Composition {
  activities: Partial<Ports>;
  /** Files of `activities/` that are registered. */
  registered: string[];
  /** Provider → why it is not registered. */
  absent: Record<string, string>;
  /** Activities that no provider serves. */
  missing: string[];
}

const ALL = Object.keys(createSimulator().ports);
type Provider = { env: z.ZodType; createActivities: (env: never, settings: Settings) => object };

/**
 * Configuration → activities. A provider whose variables are absent is not registered; one whose variables are wrong stops the
 * worker, and so do two providers of one activity. Nothing but what is `wanted` is served.
 * @throws Error that names the variable or the two providers.
 */
export function composeActivities(config: Config, settings: Settings, wanted: readonly string[] = ALL): Composition {
  const activities: Record<string, unknown> = {};
  const owners: Record<string, string> = {};
  const registered: string[] = [];
  const absent: Record<string, string> = {};
  const env = { ...config.env, ...config };
  for (const [name, provider] of Object.entries(providers) as [string, Provider][]) {
    const parsed = provider.env.safeParse(env);
    if (!parsed.success) {
      const wrong = parsed.error.issues.filter(({ path }) => env[path[0] as keyof typeof env] !== undefined);
      if (wrong.length > 0)
        throw new Error(`Cannot start, the environment of ${name} is wrong:\n${z.prettifyError(parsed.error)}`);
      absent[name] = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
      continue;
    }
    const provided = Object.entries(provider.createActivities(parsed.data as never, settings));
    const served = provided.filter(([activity]) => wanted.includes(activity));
    for (const [activity, run] of served) {
      const other = owners[activity];
      if (other !== undefined)
        throw new Error(`${other} and ${name} both provide "${activity}": configure one of them`);
      owners[activity] = name;
      activities[activity] = run;
    }
    if (served.length > 0) registered.push(name);
  }
  const missing = wanted.filter((activity) => !(activity in activities));
  for (const activity of missing) activities[activity] = unprovided(activity);
  return { activities: activities as Partial<Ports>, registered, absent, missing };
}

/** A local activity that is not registered leaves nothing in the history, and the run could not be replayed: it must fail itself. */
const unprovided = (activity: string) => async (): Promise<never> => {
  throw failure('NotConfigured', `nothing provides "${activity}": the worker names at its start the variables to set`);
};

/** The composition, for people: what is registered, what is not and why. */
export function describe({ registered, absent, missing }: Composition): string[] {
  const unset = Object.entries(absent).map(([provider, variables]) => `not registered: ${provider} (set ${variables})`);
  return [
    `providers: ${registered.join(', ')}`,
    ...unset,
    ...(missing.length > 0 ? [`without a provider, their checks will be unknown: ${missing.join(', ')}`] : []),
  ];
}
