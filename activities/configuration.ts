import { z } from 'zod';
import type { Policy, Scope, Settings } from '../src/contracts/index.ts';
import type { Configuration } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

export const env = z.object({
  /** `<key id>=<base64 of 32 bytes>`, comma separated; several while a key is being replaced. */
  HOLDFAST_DECISION_PUBLIC_KEYS: z
    .string()
    .regex(/^([\w.-]+=[A-Za-z0-9+/]{43}=(,|$))*$/, 'use <key id>=<base64 of 32 bytes>, comma separated')
    .default(''),
});

export function createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS }: z.output<typeof env>, settings: Settings) {
  const decisionKeys = Object.fromEntries(
    HOLDFAST_DECISION_PUBLIC_KEYS.split(',')
      .filter((entry) => entry !== '')
      .map((entry) => {
        const at = entry.indexOf('=');
        return [entry.slice(0, at), Buffer.from(entry.slice(at + 1), 'base64').toString('hex')];
      }),
  );
  return {
    /**
     * What a run needs of the configuration. A service or environment that is not in it (triage of an unrouted alert, a worker
     * that has not been restarted) gets the defaults of the nearest that is, in mode `observe`: somebody must still be paged.
     * @throws NotConfigured (permanent) when nothing is configured.
     */
    async policy({ service, environment }: Scope): Promise<Policy> {
      const nearest = settings.services.find(({ name }) => name === service) ?? settings.services[0];
      const known = nearest?.name === service ? nearest.environments[environment] : undefined;
      const of = known ?? Object.values(nearest?.environments ?? {})[0];
      if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
      const { objectives, alertAt, measure, coolDown } = of;
      const { people, ladder, announce, approval } = settings;
      const { procedure, after, canary, backup, migrations } = of.deployment;
      const { longSeconds, maxEnded, restartBy, project } = of.database;
      return {
        mode: known === undefined ? 'observe' : of.mode,
        people: people.map(({ name, roles, channels }) => ({ name, roles, channels: channels.map(({ via }) => via) })),
        ladder,
        announce,
        approval,
        objectives,
        alertAt,
        measure,
        coolDown,
        deployment: {
          procedure,
          ...(after !== undefined && { after }),
          canary,
          backup: backup !== undefined,
          migrations: migrations !== undefined,
        },
        database: { longSeconds, maxEnded, restartBy, hosted: project !== undefined },
        decisionKeys,
      };
    },
  } satisfies Configuration;
}
