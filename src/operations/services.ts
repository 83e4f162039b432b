import { z } from 'zod';
import type { Ledger, Policy } from '../contracts/index.ts';
import { controlOf } from './control.ts';
import { asked, type Access } from './temporal.ts';

/** How one environment of a service stands. */
export interface EnvironmentHealth {
  environment: string;
  url: string;
  mode: Policy['mode'];
  procedure: string;
  objectives: { errorRatio: number; p95Ms: number };
  /** Alerts that fire now, by name, with their start; `undefined` where nobody watches. */
  firing: Record<string, string> | undefined;
  ledger: Ledger | undefined;
}

export interface ServiceHealth {
  service: string;
  /** What could not be read. */
  unknown: string[];
  killSwitch: { on: boolean; by: string; reason: string } | undefined;
  environments: EnvironmentHealth[];
}

/** Answer of the monitor's query `watched`, of which only this is read. */
const Watched = z.array(
  z.object({
    environment: z.string(),
    alerts: z.record(z.string(), z.object({ firingSince: z.string().optional() })),
  }),
);

/** Health of the configured services, as monitor and safety authority know it. Never fails: what cannot be read is named. */
export async function servicesHealth(
  access: Access,
  of: (service: string) => boolean = () => true,
): Promise<ServiceHealth[]> {
  const { client, settings } = access;
  return await Promise.all(
    settings.services
      .filter(({ name }) => of(name))
      .map(async ({ name, environments }) => {
        const [control, watched] = await Promise.allSettled([
          controlOf(access, name),
          asked(client, () => client.workflow.getHandle(`monitor.${name}`).query('watched')).then((found) =>
            Watched.parse(found),
          ),
        ]);
        const known = control.status === 'fulfilled' ? control.value : undefined;
        const readings = watched.status === 'fulfilled' ? watched.value : [];
        return {
          service: name,
          unknown: [
            ...(control.status === 'rejected' ? ['releases'] : []),
            ...(watched.status === 'rejected' ? ['alerts'] : []),
          ],
          killSwitch: known?.killSwitch,
          environments: Object.entries(environments).map(([environment, one]) => ({
            environment,
            url: one.url,
            mode: one.mode,
            procedure: one.deployment.procedure,
            objectives: one.objectives,
            firing: firingOf(readings.find((reading) => reading.environment === environment)),
            ledger: known?.ledgers[environment],
          })),
        };
      }),
  );
}

function firingOf(watched: z.output<typeof Watched>[number] | undefined): Record<string, string> | undefined {
  if (watched === undefined) return undefined;
  const firing = Object.entries(watched.alerts).flatMap(([name, { firingSince }]) =>
    firingSince === undefined ? [] : [[name, firingSince] as const],
  );
  return Object.fromEntries(firing);
}
