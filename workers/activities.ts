import { z } from 'zod';
import * as providers from '../activities/index.ts';
import { createSimulator } from '../activities/simulator.ts';
import type { Config } from '../src/config.ts';
import type { Settings } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';

export interface Composition {
  activities: Partial<Ports>;
  /** Files of `activities/` that are registered. */
  registered: string[];
  /** Provider → why it is not registered. */
  absent: Record<string, string>;
  /** Activities that no provider serves. */
  missing: string[];
}

type Provider = { env: z.ZodType; createActivities: (env: never, settings: Settings) => object };

/**
 * Configuration → activities. A provider whose variables are absent is not registered; one whose variables are wrong stops the
 * worker, and so do two providers of one activity. @throws Error that names the variable or the two providers.
 */
export function composeActivities(config: Config, settings: Settings): Composition {
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
    for (const [activity, run] of Object.entries(provider.createActivities(parsed.data as never, settings))) {
      const other = owners[activity];
      if (other !== undefined)
        throw new Error(`${other} and ${name} both provide "${activity}": configure one of them`);
      owners[activity] = name;
      activities[activity] = run;
    }
    registered.push(name);
  }
  const missing = Object.keys(createSimulator().ports).filter((activity) => !(activity in activities));
  return { activities: activities as Partial<Ports>, registered, absent, missing };
}

/** The composition, for people: what is registered, what is not and why. */
export function describe({ registered, absent, missing }: Composition): string[] {
  const unset = Object.entries(absent).map(([provider, variables]) => `not registered: ${provider} (set ${variables})`);
  return [
    `providers: ${registered.join(', ')}`,
    ...unset,
    ...(missing.length > 0 ? [`without a provider, their checks will be unknown: ${missing.join(', ')}`] : []),
  ];
}
