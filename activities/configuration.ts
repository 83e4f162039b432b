import { z } from 'zod';
import {
  ReviewSettings,
  type OnCall,
  type Policy,
  type Scope,
  type Settings,
  type WindowState,
} from '../src/contracts/index.ts';
import type { Configuration } from '../src/contracts/ports.ts';
import { approvalAt } from '../src/approval-rules.ts';
import { failure } from '../src/errors.ts';
import { businessAt, onCallAt } from '../src/on-call.ts';

export const env = z.object({
  /** `<key id>=<base64 of 32 bytes>`, comma separated; several while a key is being replaced. */
  HOLDFAST_DECISION_PUBLIC_KEYS: z
    .string()
    .regex(/^([\w.-]+=[A-Za-z0-9+/]{43}=(,|$))*$/, 'use <key id>=<base64 of 32 bytes>, comma separated')
    .default(''),
  /** `1`, as the embedded platform has it: game days may give a release its traffic without an approval. */
  HOLDFAST_UNAPPROVED_RELEASES: z.enum(['0', '1']).optional(),
});

export function createActivities(
  { HOLDFAST_DECISION_PUBLIC_KEYS, HOLDFAST_UNAPPROVED_RELEASES: unapproved }: z.output<typeof env>,
  settings: Settings,
) {
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
      const { objectives, alertAt, limits, measure, coolDown, monitor, metrics, errors } = of;
      const { people, ladder, announce, escalation, proposals, reviews, drills } = settings;
      const { procedure, after, canary, backup, migrations } = of.deployment;
      const { longSeconds, maxEnded, restartBy, project } = of.database;
      const { vitals, bundle, caching, laboratory } = of.performance;
      return {
        mode: known === undefined ? 'observe' : of.mode,
        people: people.map(({ name, roles, delegates, channels }) => ({
          name,
          roles,
          ...(delegates !== undefined && { delegates }),
          channels: channels.map(({ via }) => via),
        })),
        ladder,
        escalation: { ...escalation, businessHours: escalation.businessHours?.severities ?? [] },
        announce,
        approval: approvalAt(settings, { service, environment }),
        objectives,
        alertAt: { ...alertAt, ...(errors?.alertAt !== undefined && { errors: errors.alertAt }) },
        limits,
        measure,
        coolDown,
        proposals,
        performance: {
          ...(vitals !== undefined && {
            vitals: { windowSeconds: vitals.windowSeconds, minimumSamples: vitals.minimumSamples },
          }),
          bundle: bundle !== undefined,
          caching: caching.length > 0,
          ...(laboratory !== undefined && {
            laboratory: { taskQueue: laboratory.taskQueue, pages: laboratory.pages.length },
          }),
        },
        ...(monitor !== undefined && { monitor: { ...monitor, metrics: metrics !== undefined } }),
        deployment: {
          procedure,
          ...(after !== undefined && { after }),
          canary,
          backup: backup !== undefined,
          migrations: migrations !== undefined,
          ...(of.releases?.github !== undefined && { shown: true }),
        },
        database: { longSeconds, maxEnded, restartBy, hosted: project !== undefined },
        review: ReviewSettings.parse(reviews),
        drills,
        runners: Object.fromEntries(
          Object.entries(nearest?.environments ?? {}).flatMap(([name, { taskQueue }]) =>
            taskQueue === undefined ? [] : [[name, taskQueue]],
          ),
        ),
        unapprovedReleases: unapproved === '1',
        decisionKeys,
      };
    },
    /** Nobody where a gap came up since the configuration was loaded. @throws NotConfigured (permanent) for an unknown schedule. */
    async onCall({ schedule, at }: { schedule: string; at: string }): Promise<OnCall> {
      const known = settings.schedules.find(({ name }) => name === schedule);
      if (known === undefined) throw failure('NotConfigured', `the schedule "${schedule}" is not in the configuration`);
      return onCallAt(known, Date.parse(at));
    },
    /** Always open where the configuration has none. */
    async businessHours({ at }: { at: string }): Promise<WindowState> {
      const { businessHours } = settings.escalation;
      return businessHours === undefined ? { open: true, reason: 'always' } : businessAt(businessHours, Date.parse(at));
    },
  } satisfies Configuration;
}
