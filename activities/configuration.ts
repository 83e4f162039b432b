import { z } from 'zod';
import type { Policy, Scope, Settings } from '../src/contracts/index.ts';
import type { Configuration } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';

export const env = z.object({
  /** `<key id>=<base64 of 32 bytes>`, comma separated; several while a key is being replaced. */
  HOLDFAST_DECISION_PUBLIC_KEYS: z.string().default(''),
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
     * What a run needs of the configuration. A service that is not in it (triage of an unrouted alert) gets the first service's
     * defaults in mode `observe`.
     * @throws NotConfigured (permanent) when a known service lacks the environment.
     */
    async policy({ service, environment }: Scope): Promise<Policy> {
      const known = settings.services.find(({ name }) => name === service);
      const of =
        known === undefined
          ? Object.values(settings.services[0]?.environments ?? {})[0]
          : known.environments[environment];
      if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
      const { objectives, alertAt, measure, coolDown } = of;
      const { people, ladder, approval } = settings;
      return {
        mode: known === undefined ? 'observe' : of.mode,
        people,
        ladder,
        approval,
        objectives,
        alertAt,
        measure,
        coolDown,
        decisionKeys,
      };
    },
  } satisfies Configuration;
}
